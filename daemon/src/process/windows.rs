//! Windows.

#![allow(
    unsafe_code,
    reason = "a process that inherits two handles and no others is made by the Windows API alone"
)]

use std::ffi::{OsStr, c_void};
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::size_of;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, IntoRawHandle as _, OwnedHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation,
};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle,
};
use windows_sys::Win32::System::ErrorReporting::{WER_FAULT_REPORTING_FLAG_NOHEAP, WerSetFlags};
use windows_sys::Win32::System::Threading::{
    CREATE_BREAKAWAY_FROM_JOB, CREATE_NEW_PROCESS_GROUP, CreateProcessW, DETACHED_PROCESS,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, InitializeProcThreadAttributeList,
    PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROCESS_INFORMATION, STARTF_USESTDHANDLES, STARTUPINFOEXW,
    UpdateProcThreadAttribute,
};

use super::Side;

/// Tells the process that [`detach`] starts that it is that one. It holds no more than `1`.
const STARTED: &str = "HFDD_DETACHED";

/// Keeps this process's memory out of crash reports; other processes of this person may read it, as
/// they may on Windows. Returns what did not work, to be logged once there is a log.
pub fn harden() -> Vec<(&'static str, io::Error)> {
    // SAFETY: it takes flags alone.
    match unsafe { WerSetFlags(WER_FAULT_REPORTING_FLAG_NOHEAP) } {
        0.. => Vec::new(),
        code => vec![(
            "crash reports may hold memory",
            io::Error::from_raw_os_error(code),
        )],
    }
}

/// How many files may be open: Windows has no such limit.
pub fn files() -> usize {
    usize::MAX
}

/// Starts this program again, without a console, with standard output and no other handle of the
/// caller's: one that waits for the end of a pipe would wait as long as the daemon runs.
pub fn detach() -> io::Result<Side> {
    if std::env::var_os(STARTED).is_some() {
        return Ok(Side::Daemon);
    }
    // SAFETY: there is no other thread yet that could read the environment.
    unsafe { std::env::set_var(STARTED, "1") };
    let null = null_device()?;
    let out = standard(STD_OUTPUT_HANDLE);
    let out = if out.is_null() {
        null.as_raw_handle()
    } else {
        out
    };
    for handle in [null.as_raw_handle(), out] {
        // SAFETY: both are open: one is ours, the other is this process's standard output.
        if unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) } == 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // A job (an editor's, a service's) ends with whoever made it; not all let go of a process.
    match start(null.as_raw_handle(), out, CREATE_BREAKAWAY_FROM_JOB) {
        Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED as i32) => {
            start(null.as_raw_handle(), out, 0)?;
        }
        started => started?,
    }
    Ok(Side::Parent)
}

fn start(null_device: HANDLE, out: HANDLE, flags: u32) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let application = wide(program.as_os_str());
    // Its arguments once more, none of which would need quotes.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut line = wide(format!("hfdd {}", arguments.join(" ")).as_ref());
    let mut handles = [null_device, out];
    let count = if null_device == out { 1 } else { 2 };
    let attributes = Attributes::of_handles(&mut handles[..count])?;
    let mut info = STARTUPINFOEXW::default();
    info.StartupInfo.cb = size_of::<STARTUPINFOEXW>() as u32;
    info.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    info.StartupInfo.hStdInput = null_device;
    info.StartupInfo.hStdOutput = out;
    info.StartupInfo.hStdError = null_device;
    info.lpAttributeList = attributes.list();
    let flags = flags | DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP | EXTENDED_STARTUPINFO_PRESENT;
    // A directory of the caller's could not be removed as long as the daemon is in it.
    let directory = program
        .parent()
        .map(|directory| wide(directory.as_os_str()));
    let mut made = PROCESS_INFORMATION::default();
    // SAFETY: every pointer is to something that outlives the call: strings that end in NUL, of which
    // the command line may be written to, and the structures above.
    let started = unsafe {
        CreateProcessW(
            application.as_ptr(),
            line.as_mut_ptr(),
            null(),
            null(),
            1,
            flags,
            null(),
            directory
                .as_ref()
                .map_or(null(), |directory| directory.as_ptr()),
            &info.StartupInfo,
            &mut made,
        )
    };
    if started == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both handles were just made, and are nobody else's.
    drop(unsafe {
        [
            OwnedHandle::from_raw_handle(made.hProcess),
            OwnedHandle::from_raw_handle(made.hThread),
        ]
    });
    Ok(())
}

/// What a new process is told besides: which handles it inherits.
struct Attributes {
    /// As wide as a pointer, for its alignment.
    list: Vec<usize>,
}

impl Attributes {
    /// The handles must outlive the list.
    fn of_handles(handles: &mut [HANDLE]) -> io::Result<Self> {
        let mut size = 0;
        // SAFETY: without a list it says how large one is.
        unsafe { InitializeProcThreadAttributeList(null_mut(), 1, 0, &mut size) };
        let attributes = Self {
            list: vec![0; size.div_ceil(size_of::<usize>())],
        };
        // SAFETY: the list has the size that was asked for.
        if unsafe { InitializeProcThreadAttributeList(attributes.list(), 1, 0, &mut size) } == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the list is initialised, and the handles are as many as is said.
        let updated = unsafe {
            UpdateProcThreadAttribute(
                attributes.list(),
                0,
                PROC_THREAD_ATTRIBUTE_HANDLE_LIST as usize,
                handles.as_ptr().cast(),
                size_of_val(handles),
                null_mut(),
                null(),
            )
        };
        match updated {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(attributes),
        }
    }

    fn list(&self) -> *mut c_void {
        self.list.as_ptr().cast_mut().cast()
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: it was initialised, or is as it was made, all zero, of which nothing is freed.
        unsafe { DeleteProcThreadAttributeList(self.list()) };
    }
}

/// Lets go of standard output: whoever reads it to its end would wait as long as the daemon runs.
pub fn leave_stdout() -> io::Result<()> {
    let before = standard(STD_OUTPUT_HANDLE);
    let null = null_device()?.into_raw_handle();
    // SAFETY: the handle is open, and stays so: nothing owns it from here on.
    if unsafe { SetStdHandle(STD_OUTPUT_HANDLE, null) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let shared = [STD_INPUT_HANDLE, STD_ERROR_HANDLE].map(standard);
    if !before.is_null() && !shared.contains(&before) {
        // SAFETY: it was this process's standard output, which it is no more, nor another of the
        // three; std asks for the handle at each write.
        drop(unsafe { OwnedHandle::from_raw_handle(before) });
    }
    Ok(())
}

/// Null where there is none.
fn standard(which: u32) -> HANDLE {
    // SAFETY: it takes a number alone.
    let handle = unsafe { GetStdHandle(which) };
    if handle == windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE {
        return null_mut();
    }
    handle
}

/// A pipe ends with its server: there is none to be bound anew.
pub fn wake(_pid: u32) -> bool {
    false
}

fn null_device() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("NUL")
}

fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}
