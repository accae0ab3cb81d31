//! Unix.

use std::fs::{File, OpenOptions};
use std::io;

use hfd_proto::os::process_name;
use rustix::process::{Resource, Rlimit};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::deny_tracing;
#[cfg(target_os = "linux")]
pub use linux::detach;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos::deny_tracing;
#[cfg(target_os = "macos")]
pub use macos::detach;

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
