//! A program in place of hfd. Windows replaces no process by another: hfd waits for it and ends with its
//! status.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::ptr::null;

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject,
};

/// The program that a name means, as the shells of Windows look for it: in `PATH`, with each extension of
/// `PATHEXT`. Windows itself looks for `.exe` alone, and much comes as `.cmd`.
pub(crate) fn program(name: &OsStr) -> OsString {
    let path = Path::new(name);
    let of = |variable: &str| std::env::var_os(variable).unwrap_or_default();
    let extensions = of("PATHEXT").to_string_lossy().into_owned();
    let is_one = |extension: &OsStr| {
        let mut known = extensions.split(';').filter_map(|it| it.strip_prefix('.'));
        known.any(|known| extension.eq_ignore_ascii_case(known))
    };
    if path.extension().is_some_and(is_one) {
        return name.to_owned();
    }
    let directories: Vec<_> = match path.components().count() {
        1 => std::env::split_paths(&of("PATH")).collect(),
        // The whole path, as it is.
        _ => vec![PathBuf::new()],
    };
    let mut candidates = directories.into_iter().flat_map(|directory| {
        let with = |extension: &str| {
            let mut candidate = directory.join(name).into_os_string();
            candidate.push(extension);
            candidate
        };
        extensions
            .split(';')
            .filter(|it| !it.is_empty())
            .map(with)
            .collect::<Vec<_>>()
    });
    let found = candidates.find(|candidate| Path::new(candidate).is_file());
    found.unwrap_or_else(|| name.to_owned())
}

/// Runs the program to its end, and gives its exit status.
pub(crate) fn run_in_place(command: &mut Command) -> io::Result<i32> {
    let _interrupts = Interrupts::leave_to_the_child()?;
    let mut child = command.spawn()?;
    let _together = Together::with(&child);
    let status = child.wait()?;
    // On Windows there always is one.
    Ok(status.code().unwrap_or(1))
}

/// Ctrl-C and Ctrl-Break, which the console sends to each program that it shows: the child decides what
/// they mean, and hfd lives as long as that.
#[derive(Debug)]
pub(crate) struct Interrupts;

impl Interrupts {
    /// From now on, until this is dropped.
    pub(crate) fn leave_to_the_child() -> io::Result<Self> {
        // SAFETY: the handler is a function, which stays. Not the null one, which ignores Ctrl-C: a child
        // would inherit that.
        match unsafe { SetConsoleCtrlHandler(Some(is_handled), 1) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(Self),
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { SetConsoleCtrlHandler(Some(is_handled), 0) };
    }
}

/// Whether an event needs no more to be done. At the end of a session, or of its console, hfd ends.
unsafe extern "system" fn is_handled(event: u32) -> i32 {
    i32::from(matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT))
}

/// A program that ends when hfd does: whoever ends hfd means it.
#[derive(Debug)]
pub(crate) struct Together {
    /// A job that ends its process when it is closed, at the latest with hfd.
    _job: Option<OwnedHandle>,
}

impl Together {
    /// Where it cannot be done (a job around hfd may forbid it), the program lives on by itself.
    pub(crate) fn with(child: &Child) -> Self {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        // What the program starts is its own affair.
        limits.BasicLimitInformation.LimitFlags =
            JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
        // SAFETY: the job is ours alone; the structure is the one that the class names; the child is not waited
        // for yet, so its handle is open.
        unsafe {
            let job = CreateJobObjectW(null(), null());
            if job.is_null() {
                return Self { _job: None };
            }
            let job = OwnedHandle::from_raw_handle(job);
            let done = SetInformationJobObject(
                job.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size_of_val(&limits) as u32,
            ) != 0
                && AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()) != 0;
            Self {
                _job: done.then_some(job),
            }
        }
    }
}
