//! Unix: signals, and a program that takes the place of this one.
//!
//! Files are removed and renamed by system calls and not by std: each function of libc that this program
//! names is looked up at every start, also at that of `hfd token`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

mod access;
#[cfg(target_os = "linux")]
mod linux;
pub(crate) use access::*;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(not(target_os = "linux"))]
mod macos;
#[cfg(not(target_os = "linux"))]
pub(crate) use macos::*;

/// Where a daemon is started.
pub(crate) const ROOT: &str = "/";

/// Becomes true when hfd is asked to end; a second time ends it on the spot, with this status.
pub(crate) fn hear_interruptions(status: u8) -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: what the first one sets is looked at with the second.
        flag::register_conditional_shutdown(signal, status.into(), Arc::clone(&interrupted))?;
        flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(interrupted)
}

/// Whether two names are of the same variable.
pub(crate) fn is_same_variable(one: &str, other: &str) -> bool {
    one == other
}

/// The program that opens a page of the web in the person's browser. Ctrl-C at this terminal is for hfd.
pub(crate) fn opener() -> Command {
    let mut opener = Command::new(OPENER);
    opener.process_group(0);
    opener
}

/// Has a program be started without a window of its own.
pub(crate) fn without_window(command: &mut Command) -> &mut Command {
    command
}

/// Asks a process to end.
pub(crate) fn ask_to_end(pid: u32) -> io::Result<()> {
    signal(pid, Signal::TERM)
}

/// Ends a process.
pub(crate) fn kill(pid: u32) -> io::Result<()> {
    signal(pid, Signal::KILL)
}

fn signal(pid: u32, signal: Signal) -> io::Result<()> {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(());
    };
    match kill_process(process, signal) {
        // It has just ended by itself.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The program that a name means: exec(3) looks for it itself.
pub(crate) fn program(name: &OsStr) -> OsString {
    name.to_owned()
}

/// Has the program take the place of this one. Only a failure returns; elsewhere it is the program's
/// exit status as well.
pub(crate) fn run_in_place(command: &mut Command) -> io::Result<i32> {
    Err(command.exec())
}

/// The status of a program as our own.
pub(crate) fn exit_code(status: i32) -> ExitCode {
    u8::try_from(status).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// What is locked to have a directory to oneself.
pub(crate) fn claim_of(directory: &Path) -> io::Result<File> {
    File::open(directory)
}

/// Puts a file in the place of another.
pub(crate) fn replace(new: &Path, path: &Path) -> io::Result<()> {
    Ok(rustix::fs::rename(new, path)?)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlink(path)?)
}

/// Removes a directory that has at most these files.
pub(crate) fn remove_dir(path: &Path, files: &[&str]) -> io::Result<()> {
    for file in files {
        match rustix::fs::unlink(path.join(file)) {
            Err(error) if error != Errno::NOENT => return Err(error.into()),
            _ => {}
        }
    }
    Ok(rustix::fs::rmdir(path)?)
}

/// Has the disk hold what was written.
pub(crate) fn flush(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fsync(file)?)
}

/// Whose a file is, in the system's own terms.
pub(crate) fn owner(file: &File) -> io::Result<String> {
    Ok(file.metadata()?.uid().to_string())
}

/// Whether the file is this person's or root's, and not everybody's to write. What a group of theirs may do is
/// their own choice, as in the daemon's configuration.
pub(crate) fn is_ours_alone(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw() || metadata.uid() == 0;
    Ok(ours && metadata.mode() & 0o002 == 0)
}

/// How wide the terminal at standard output is.
pub(crate) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Has the terminal understand colours: it does.
pub(crate) fn enable_colours() {}

/// The home directory of a user, or of the calling one, for `~` where `HOME` is not set.
///
/// Of `/etc/passwd` alone: asking the name services takes libc's getpwnam(3). For an account that
/// is not there, `~` stays as it is, and the home is refused as relative.
pub(crate) fn account_home(user: Option<&str>) -> Option<String> {
    let passwd = fs::read("/etc/passwd").ok()?;
    let uid = rustix::process::getuid().as_raw().to_string();
    String::from_utf8_lossy(&passwd).lines().find_map(|line| {
        // name:password:uid:gid:comment:home:shell (passwd(5))
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, id, _, _, home, ..] = fields[..] else {
            return None;
        };
        let found = user.map_or(id == uid, |user| name == user);
        (found && !home.is_empty()).then(|| home.to_owned())
    })
}
