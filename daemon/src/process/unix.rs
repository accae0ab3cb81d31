//! Unix.

#![allow(unsafe_code)] // fork(2) and close_range(2)

use std::fs::{File, OpenOptions};
use std::io;

use hfd_proto::os::process_name;
use rustix::process::{Resource, Rlimit};

use super::Side;

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
        ("this process can be dumped", deny_tracing()),
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

/// No other process of this user may read this one's memory.
#[cfg(target_os = "linux")]
fn deny_tracing() -> rustix::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// As Linux's prctl(2), but for debuggers alone; others need the system's leave anyway.
#[cfg(target_os = "macos")]
fn deny_tracing() -> rustix::io::Result<()> {
    // SAFETY: this request takes no address.
    match unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, std::ptr::null_mut(), 0) } {
        0 => Ok(()),
        _ => Err(
            rustix::io::Errno::from_io_error(&io::Error::last_os_error())
                .unwrap_or(rustix::io::Errno::PERM),
        ),
    }
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
#[cfg(target_os = "linux")]
fn close_inherited() {
    // SAFETY: this process has opened nothing yet, so nothing here owns one of them. Linux before
    // 5.9 refuses; Rust marks what it opens, and most others do.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// There is no call for it: what Rust opens is closed in a child, and most others' too.
#[cfg(target_os = "macos")]
fn close_inherited() {}

/// Lets go of standard output: whoever reads it to its end would wait as long as the daemon runs.
pub fn leave_stdout() -> io::Result<()> {
    Ok(rustix::stdio::dup2_stdout(null()?)?)
}

fn null() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}

/// Has a daemon whose socket is gone look for it, and bind it anew. The number in the lock file may
/// be of another container: only an hfdd is signalled.
pub fn wake(pid: u32) -> bool {
    if process_name(pid).as_deref() != Some("hfdd") {
        return false;
    }
    let holder = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    holder.is_some_and(|holder| {
        rustix::process::kill_process(holder, rustix::process::Signal::HUP).is_ok()
    })
}
