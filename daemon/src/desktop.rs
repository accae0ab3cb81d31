//! A word on the desktop, where there is one: for what a person has to do and would otherwise find
//! out too late.

use hfd_proto::{Error, TokenName};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::show;

#[cfg(not(target_os = "linux"))]
mod silent;
#[cfg(not(target_os = "linux"))]
use silent::show;

/// A session has ended, and only a login helps.
pub(crate) async fn session_ended(name: &TokenName, error: &Error) {
    let title = format!("Hugging Face: log in again as {}", name.escaped());
    let hint = error.hint.as_deref().unwrap_or_default();
    let text = format!("{}. {hint}", error.message);
    if let Err(error) = show(&title, &text).await {
        // Most sessions without a desktop have nobody to tell.
        tracing::debug!(%error, "no desktop notification");
    }
}
