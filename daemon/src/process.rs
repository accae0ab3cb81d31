//! What the process does to itself before anything else: it leaves its parent, and keeps its
//! memory to itself.

#![allow(unsafe_code)] // fork(2) and close_range(2)

use std::fs::{File, OpenOptions};
use std::io;

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

/// How many files may be open.
pub fn files() -> usize {
    let files = rustix::process::getrlimit(Resource::Nofile).current;
    files.map_or(usize::MAX, |files| files.try_into().unwrap_or(usize::MAX))
}

/// The two that [`detach`] makes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Has nothing left to do.
    Parent,
    /// The daemon: a session of its own, no parent, nothing inherited but standard output, on which
    /// it says when it is ready.
    Daemon,
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
    // What the caller's shell or editor left open is not for the daemon.
    // SAFETY: this process has opened nothing yet, so nothing here owns one of them. Linux before
    // 5.9 refuses; Rust marks what it opens, and most others do.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    let null = null()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(Side::Daemon)
}

/// Lets go of standard output: whoever reads it to its end would wait as long as the daemon runs.
pub fn leave_stdout() -> io::Result<()> {
    Ok(rustix::stdio::dup2_stdout(null()?)?)
}

fn null() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}
