//! Linux.

#![allow(unsafe_code)] // fork(2) and close_range(2)

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::null;
use crate::process::Side;

/// No other process of this user may read this one's memory.
pub(super) fn deny_tracing() -> rustix::io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Forks. To be called before there is a second thread or an open file; a fork costs a tenth of
/// what starting the program again does, which somebody waits for.
pub fn detach() -> io::Result<Side> {
    // SAFETY: this is the only thread, so the child may do whatever the parent may.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => return Ok(Side::Parent),
    }
    rustix::process::setsid()?;
    rustix::process::chdir("/")?;
    close_inherited();
    let null = null()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(Side::Daemon)
}

/// What the caller's shell or editor left open is not for the daemon.
fn close_inherited() {
    // SAFETY: this process has opened nothing yet, so nothing here owns one of them. Linux before
    // 5.9 refuses; Rust marks what it opens, and most others do.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}
