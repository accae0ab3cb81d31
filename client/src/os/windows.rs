//! Windows: processes that are ended rather than asked, a console that has to be told.

#![allow(
    unsafe_code,
    reason = "processes and consoles are those of the Windows API"
)]

use std::fs::{self, File};
use std::io::{self, IsTerminal as _};
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::os::windows::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use hfd_proto::os::{Own, open_own};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, ERROR_SHARING_VIOLATION,
};
use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode,
    GetConsoleScreenBufferInfo, SetConsoleMode,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NO_WINDOW, OpenProcess, PROCESS_TERMINATE, TerminateProcess,
};

mod access;
mod child;
mod interrupt;
pub(crate) mod registry;

pub(crate) use access::*;
pub(crate) use child::{Interrupts, Together, program, run_in_place};
pub(crate) use interrupt::hear_interruptions;

/// What of the caller's environment the daemon may see: who and where the person is, what programs need
/// to be loaded, and its own settings.
pub(crate) const PASSED_ON: [&str; 18] = [
    "SystemRoot",
    "SystemDrive",
    "windir",
    "PATH",
    "USERPROFILE",
    "USERNAME",
    "USERDOMAIN",
    "HOMEDRIVE",
    "HOMEPATH",
    "LOCALAPPDATA",
    "APPDATA",
    "ProgramData",
    "COMPUTERNAME",
    "TEMP",
    "TMP",
    "TZ",
    "HFD_SOCKET",
    "HFD_LOG",
];

/// The variables of which one is set where there is a screen; none where there always is.
pub(crate) const SCREEN: [&str; 0] = [];

/// Whose a file is: the person's, or somebody else's.
pub(crate) fn owner(file: &File) -> io::Result<String> {
    let own = hfd_proto::os::is_own_file(file)?;
    Ok(if own { "own" } else { "another" }.to_owned())
}

/// Whether the file is this person's.
pub(crate) fn is_ours_alone(file: &File) -> io::Result<bool> {
    hfd_proto::os::is_own_file(file)
}

/// Has the disk hold what was written.
pub(crate) fn flush(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// How wide the console at standard output is.
pub(crate) fn columns() -> Option<usize> {
    let mut info = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the structure is ours; what is no console is refused.
    let known = unsafe { GetConsoleScreenBufferInfo(io::stdout().as_raw_handle(), &mut info) };
    let width = i32::from(info.srWindow.Right) - i32::from(info.srWindow.Left) + 1;
    usize::try_from(width).ok().filter(|_| known != 0)
}

/// Where a daemon is started.
pub(crate) const ROOT: &str = r"\";

/// How long a file may be open elsewhere: other programs read it in a moment, a scanner of viruses in
/// some more.
const IN_USE: Duration = Duration::from_secs(2);

/// Whether two names are of the same variable.
pub(crate) fn is_same_variable(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Nothing to do: Windows writes no memory of a client that crashes to where others can read it.
pub(crate) fn harden() {}

/// The program that opens a page of the web in the person's browser.
pub(crate) fn opener() -> Command {
    let mut command = Command::new("rundll32.exe");
    command.arg("url.dll,FileProtocolHandler");
    command
}

/// Has a program be started without a window of its own.
pub(crate) fn without_window(command: &mut Command) -> &mut Command {
    command.creation_flags(CREATE_NO_WINDOW)
}

/// Asks a process to end. There is no such question to a program without a window: what there is to
/// say is said on its pipe.
pub(crate) fn ask_to_end(_pid: u32) -> io::Result<()> {
    Ok(())
}

/// Ends a process.
pub(crate) fn kill(pid: u32) -> io::Result<()> {
    // SAFETY: no pointer is passed, and what is returned is ours alone.
    let process = unsafe {
        let process = OpenProcess(PROCESS_TERMINATE, 0, pid);
        if process.is_null() {
            let error = io::Error::last_os_error();
            // It has just ended by itself.
            return match is(&error, ERROR_INVALID_PARAMETER) {
                true => Ok(()),
                false => Err(error),
            };
        }
        OwnedHandle::from_raw_handle(process)
    };
    // SAFETY: the handle is open.
    if unsafe { TerminateProcess(process.as_raw_handle(), 1) } == 0 {
        let error = io::Error::last_os_error();
        // So says one that is ending.
        if !is(&error, ERROR_ACCESS_DENIED) {
            return Err(error);
        }
    }
    Ok(())
}

/// What is locked to have a directory to oneself: directories cannot be.
pub(crate) fn claim_of(directory: &Path) -> io::Result<File> {
    open_own(&directory.join("claim"), Own::Kept)
}

/// Puts a file in the place of another, when whoever reads that has ended.
pub(crate) fn replace(new: &Path, path: &Path) -> io::Result<()> {
    when_free(|| fs::rename(new, path))
}

/// Removes a file, when whoever reads it has ended.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    when_free(|| fs::remove_file(path))
}

/// The status of a program as our own: they have 32 bits here.
pub(crate) fn exit_code(status: i32) -> ExitCode {
    u8::try_from(status).map_or_else(|_| std::process::exit(status), ExitCode::from)
}

/// Removes a directory with what is in it.
pub(crate) fn remove_dir(path: &Path, _files: &[&str]) -> io::Result<()> {
    fs::remove_dir_all(path)
}

fn when_free(mut act: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let deadline = Instant::now() + IN_USE;
    loop {
        match act() {
            Err(error)
                if (is(&error, ERROR_SHARING_VIOLATION) || is(&error, ERROR_ACCESS_DENIED))
                    && Instant::now() < deadline => {}
            outcome => return outcome,
        }
        // Nobody tells when a file is closed; 2 ms is short beside what may have opened it.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Has the console understand colours, which an older one has to be told.
pub(crate) fn enable_colours() {
    let (out, err) = (io::stdout(), io::stderr());
    let handles = [
        (out.is_terminal(), out.as_raw_handle()),
        (err.is_terminal(), err.as_raw_handle()),
    ];
    for (_, console) in handles.into_iter().filter(|(is_terminal, _)| *is_terminal) {
        let mut mode = 0;
        // SAFETY: the handle is that of a standard stream, which stays open. Where it cannot be done, there
        // is nothing better.
        unsafe {
            if GetConsoleMode(console, &mut mode) != 0 {
                SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
            }
        }
    }
}

/// The home directory of a user: Windows' rules for `~` ask variables alone.
pub(crate) fn account_home(_user: Option<&str>) -> Option<String> {
    None
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code as i32)
}
