//! What the process does to itself before anything else: it leaves its parent, and keeps its
//! memory to itself.

#![allow(unsafe_code)] // one call, below

use std::io;
use std::process::{Command, Stdio};

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Files that may be open: 2,048 connections, and the rest of the daemon.
const FILES: u64 = 4096;

/// No core dump, no reading of this process's memory by others of the same user, files private.
/// Each is best effort: a sandbox may forbid it, and a daemon that serves is worth more.
pub fn harden() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "this process can be dumped");
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = rustix::process::setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps are not switched off");
    }
    let files = rustix::process::getrlimit(Resource::Nofile);
    let wanted = files.maximum.map_or(FILES, |maximum| maximum.min(FILES));
    if files.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: files.maximum };
        if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays low");
        }
    }
}

/// Starts this program again as a daemon: a session of its own, no parent, nothing inherited but
/// standard output, on which it says when it is ready. The caller then exits.
pub fn detach() -> io::Result<()> {
    // The caller may be a process group leader when run by hand; the daemon never is.
    if rustix::process::setsid().is_err() {
        tracing::debug!("already the leader of a group");
    }
    close_on_exec();
    Command::new(std::env::current_exe()?)
        .current_dir("/")
        .args(["--log", "file"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// Marks every descriptor but the standard three: what the caller's shell or editor left open is
/// not for the daemon.
fn close_on_exec() {
    // SAFETY: with CLOSE_RANGE_CLOEXEC no descriptor is closed now; each stays valid for its owner
    // until the program is replaced.
    let outcome = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
    if outcome != 0 {
        // Linux before 5.11; descriptors opened by Rust are marked anyway.
        tracing::debug!("inherited descriptors stay open");
    }
}
