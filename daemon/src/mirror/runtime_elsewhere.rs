//! Files that are links into memory: only Linux has a directory of memory that is a person's own.

use std::path::PathBuf;
use std::time::Instant;

use hfd_proto::Home;

use super::leftover::Linked;
use super::observe::Seen;
use super::write::WriteError;

/// Why there is none.
///
/// # Errors
/// Always.
pub fn memory() -> Result<PathBuf, String> {
    Err("only Linux has a directory of memory that is yours alone".to_owned())
}

/// Nothing was ever there.
///
/// # Errors
/// Always.
pub fn vanished(_home: &Home) -> Result<[bool; 2], String> {
    memory().map(|_| [false; 2])
}

/// # Errors
/// Always.
pub fn link(
    _home: &Home,
    _seen: &Seen,
    _wanted: [bool; 2],
    _deadline: Instant,
) -> Result<Linked, WriteError> {
    Err(WriteError::Moved)
}

/// There are no links.
///
/// # Errors
/// Never.
pub fn unlink(_home: &Home) -> Result<(), WriteError> {
    Ok(())
}
