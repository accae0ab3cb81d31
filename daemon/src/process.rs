//! What the process does to itself before anything else: it leaves its parent, and keeps its
//! memory to itself.

#![allow(unsafe_code)] // one call, below

use std::io;
use std::process::{Command, Stdio};

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Files that may be open: 2,048 connections, and the rest of the daemon.
const FILES: u64 = 4096;

/// No core dump, no reading of this process's memory by others of the same user, files private.
/// Each is best effort: a sandbox may forbid it, and a daemon that serves is worth more. Returns
/// what did not work, to be logged once there is a log.
pub fn harden() -> Vec<(&'static str, io::Error)> {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let outcomes = [
        (
            "this process can be dumped",
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable),
        ),
        (
            "core dumps are not switched off",
            rustix::process::setrlimit(Resource::Core, none),
        ),
        ("the limit of open files stays low", raise_files()),
    ];
    let failed = outcomes
        .into_iter()
        .filter_map(|(what, outcome)| Some((what, outcome.err()?)));
    failed.map(|(what, error)| (what, error.into())).collect()
}

fn raise_files() -> rustix::io::Result<()> {
    let files = rustix::process::getrlimit(Resource::Nofile);
    let wanted = files.maximum.map_or(FILES, |maximum| maximum.min(FILES));
    match files.current {
        Some(current) if current < wanted => {
            let raised = Rlimit {
                current: Some(wanted),
                maximum: files.maximum,
            };
            rustix::process::setrlimit(Resource::Nofile, raised)
        }
        _ => Ok(()),
    }
}

/// Starts this program again as a daemon: a session of its own, no parent, nothing inherited but
/// standard output, on which it says when it is ready. The caller then exits.
pub fn detach() -> io::Result<()> {
    // Refused to the leader of a group, which this is when a shell runs it by hand: the daemon then
    // stays in that session, and lives on as any background job does.
    let _ = rustix::process::setsid();
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
    // until the program is replaced. Linux before 5.11 refuses, and what Rust opened is marked
    // anyway.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
}
