//! Asks for a private model with hf-hub 1.0.

use hf_hub_1_0::{HFClientSync, HFError};

fn main() -> Result<(), HFError> {
    let client = HFClientSync::new()?;
    client.model("acme", "model").info().send()?;
    Ok(())
}
