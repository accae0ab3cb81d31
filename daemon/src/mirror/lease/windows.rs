//! Windows: who opens a file says what others may do with it meanwhile. Opening it again without
//! letting others write succeeds when nobody has it open for writing, and keeps them from it.

#![allow(
    unsafe_code,
    reason = "an open file is opened again by the Windows API alone"
)]

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_DELETE, FILE_SHARE_READ, ReOpenFile};

use super::super::file::is_taken;
use super::{Kind, Refused};

/// Whether this system has them, though not every file system does.
pub(in crate::mirror) const EXIST: bool = true;

/// How long to wait before a refused lease is asked for again. Writers of these files close them
/// within microseconds.
const RETRY: Duration = Duration::from_millis(1);

/// A lease, given back when it is dropped.
#[derive(Debug)]
pub(in crate::mirror) struct Lease<'file> {
    _held: OwnedHandle,
    file: PhantomData<&'file File>,
}

/// Takes a lease, asking again until `deadline` while the file is open elsewhere. It is asked for at
/// least once.
pub(in crate::mirror) fn take(
    file: &File,
    kind: Kind,
    deadline: Instant,
) -> Result<Lease<'_>, Refused> {
    loop {
        match take_now(file, kind) {
            Err(error) if is_taken(&error) => {
                if Instant::now() >= deadline {
                    return Err(Refused::Open);
                }
                std::thread::sleep(RETRY);
            }
            outcome => return outcome.map_err(|_| Refused::Unsupported),
        }
    }
}

/// Takes none to read a file where others write it: whoever came to do so meanwhile would not wait, but
/// fail.
pub(in crate::mirror) fn take_to_look(
    _file: &File,
    _deadline: Instant,
) -> Result<Lease<'_>, Refused> {
    Err(Refused::Unsupported)
}

fn take_now(file: &File, kind: Kind) -> io::Result<Lease<'_>> {
    let access = match kind {
        Kind::Read => GENERIC_READ,
        Kind::Write => GENERIC_READ | GENERIC_WRITE,
    };
    let share = FILE_SHARE_READ | FILE_SHARE_DELETE;
    // SAFETY: the handle is open as long as `file` lives.
    let handle = unsafe { ReOpenFile(file.as_raw_handle(), access, share, 0) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    Ok(Lease {
        // SAFETY: it was just opened, and is nobody else's.
        _held: unsafe { OwnedHandle::from_raw_handle(handle) },
        file: PhantomData,
    })
}

impl Lease<'_> {
    /// Whoever would write is refused, and does not wait.
    pub(in crate::mirror) fn stands(&self) -> bool {
        true
    }
}
