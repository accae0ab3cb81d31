//! What the process does to itself before anything else: it leaves its parent, and keeps its
//! memory to itself. Each system has a module with the same names.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{detach, files, harden, leave_stdout, wake};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::{detach, files, harden, leave_stdout, wake};

/// The two that [`detach`] makes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Has nothing left to do.
    Parent,
    /// The daemon: a session of its own, no parent, nothing inherited but standard output, on which
    /// it says when it is ready.
    Daemon,
}
