//! What only the daemon asks of the operating system, besides what [`hfd_proto::os`] has. Each system
//! has a module with the same names; whoever calls has no `cfg`.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

/// Whom a file is open to, beside this person and the system itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposed {
    /// It is no regular file.
    NoFile,
    /// It belongs to another user.
    Foreign,
    /// Others may read or write it.
    Open,
    /// It has another name elsewhere.
    Linked,
}
