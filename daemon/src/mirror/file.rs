//! The files of a mirror, and what lies around them, as the system sees them. Each system has a
//! module with the same names.

use std::path::Path;

use hfd_proto::os::{identity, identity_at};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::Stamp;
#[cfg(unix)]
pub(super) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::Stamp;
#[cfg(windows)]
pub(super) use windows::*;

/// What is asked of an open file before a word of it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Described {
    /// Neither a directory, nor a device, nor a link.
    pub(super) regular: bool,
    /// It belongs to this person.
    pub(super) ours: bool,
    /// So many names lead to it.
    pub(super) links: u64,
    pub(super) length: u64,
}

/// Whether the path is that of the open file.
pub(super) fn is_at(file: &std::fs::File, path: &Path) -> bool {
    matches!((identity(file), identity_at(path)), (Ok(here), Ok(there)) if here == there)
}
