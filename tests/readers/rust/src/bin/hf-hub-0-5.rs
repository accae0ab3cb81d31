//! Asks for a private model with hf-hub 0.5.

use hf_hub_0_5::api::sync::{ApiBuilder, ApiError};

fn main() -> Result<(), ApiError> {
    let api = ApiBuilder::from_env().build()?;
    api.model("acme/model".to_owned()).info()?;
    Ok(())
}
