//! `stored_tokens.lock`, taken as huggingface_hub takes it for a renewal: Python's filelock. Each
//! system has a module with the same names.

use std::io;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::Lock;
#[cfg(unix)]
pub(super) use unix::take;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::Lock;
#[cfg(windows)]
pub(super) use windows::take;

/// Why the lock was not taken.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// Somebody holds it.
    Held,
    /// The file cannot be made or opened.
    Io(io::Error),
}
