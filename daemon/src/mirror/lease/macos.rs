//! macOS has none.

use std::fs::File;
use std::marker::PhantomData;
use std::time::Instant;

use super::{Kind, Refused};

/// Whether this system has them, though not every file system does.
pub(in crate::mirror) const EXIST: bool = false;

/// A lease that nobody ever has.
#[derive(Debug)]
pub(in crate::mirror) struct Lease<'file> {
    file: PhantomData<&'file File>,
}

/// Takes none.
pub(in crate::mirror) fn take(
    _file: &File,
    _kind: Kind,
    _deadline: Instant,
) -> Result<Lease<'_>, Refused> {
    Err(Refused::Unsupported)
}

/// Takes none.
pub(in crate::mirror) fn take_to_look(
    _file: &File,
    _deadline: Instant,
) -> Result<Lease<'_>, Refused> {
    Err(Refused::Unsupported)
}

impl Lease<'_> {
    /// There is none.
    pub(in crate::mirror) fn stands(&self) -> bool {
        false
    }
}
