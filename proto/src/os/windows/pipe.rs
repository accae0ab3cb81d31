//! The client's end of a named pipe, blocking, with time limits.
//!
//! Our own rather than interprocess', which has no time limits for pipes, and opens them so that
//! their server may act in the client's name (no `SECURITY_IDENTIFICATION`). Each transfer is an
//! overlapped one that is waited for, and called off when its time is over.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, ERROR_PIPE_BUSY, ERROR_PIPE_NOT_CONNECTED, ERROR_SEM_TIMEOUT, HANDLE,
    WAIT_TIMEOUT,
};
use windows_sys::Win32::Security::Authorization::SE_KERNEL_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, ReadFile, SECURITY_IDENTIFICATION, WriteFile,
};
use windows_sys::Win32::System::IO::{
    CancelIoEx, GetOverlappedResult, GetOverlappedResultEx, OVERLAPPED,
};
use windows_sys::Win32::System::Pipes::WaitNamedPipeW;
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE};

use super::identity::{own_sid, owner};

/// How long all ends of the pipe may be taken: the daemon makes another with each that it gives
/// away.
const BUSY: Duration = Duration::from_secs(3);

/// A connection to a pipe.
#[derive(Debug)]
pub struct Stream {
    pipe: OwnedHandle,
    /// Set when a transfer has ended. There is one at a time.
    done: OwnedHandle,
    patience: Option<Duration>,
}

impl Stream {
    /// Connects to the pipe of this name.
    ///
    /// # Errors
    /// Not found where nobody listens.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let deadline = Instant::now() + BUSY;
        let pipe = loop {
            let opened = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(FILE_FLAG_OVERLAPPED)
                // The server may know whose process this is, and not act as it.
                .security_qos_flags(SECURITY_IDENTIFICATION)
                .open(path);
            match opened {
                Err(error) if is(&error, ERROR_PIPE_BUSY) => wait_free(path, deadline)?,
                opened => break opened?,
            }
        };
        // SAFETY: no attributes and no name; what is returned is ours alone.
        let done = unsafe {
            let done = CreateEventW(null(), 1, 0, null());
            if done.is_null() {
                return Err(io::Error::last_os_error());
            }
            OwnedHandle::from_raw_handle(done)
        };
        Ok(Self {
            pipe: pipe.into(),
            done,
            patience: None,
        })
    }

    /// Whether this person has made the pipe. Its owner says so, and not the number of the server's process:
    /// whoever makes a pipe of this name may end, and leave it to a process that gets the number later.
    pub fn is_own(&self) -> bool {
        owner(self.pipe.as_raw_handle(), SE_KERNEL_OBJECT).is_ok_and(|owner| owner == own_sid())
    }

    /// How long one reading or writing may take from now on; `None`: for ever.
    ///
    /// # Errors
    /// None.
    pub fn set_patience(&mut self, patience: Option<Duration>) -> io::Result<()> {
        self.patience = patience;
        Ok(())
    }

    /// Starts a transfer and waits for its end.
    ///
    /// # Safety
    /// `start` hands the pipe and the structure to ReadFile or WriteFile, with a buffer that lives until this
    /// returns.
    unsafe fn transfer(
        &mut self,
        start: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32,
    ) -> io::Result<usize> {
        let pipe = self.pipe.as_raw_handle();
        let mut transfer = OVERLAPPED {
            hEvent: self.done.as_raw_handle(),
            ..OVERLAPPED::default()
        };
        if start(pipe, &mut transfer) == 0 {
            let error = io::Error::last_os_error();
            if !is(&error, ERROR_IO_PENDING) {
                return Err(error);
            }
        }
        let mut count = 0;
        // Zero would not wait at all.
        let patience = self
            .patience
            .map_or(INFINITE, |wait| milliseconds(wait).max(1));
        // SAFETY: the pipe is open. The system uses structure and buffer until the transfer has ended, and it
        // has when this function returns: by itself, or called off, which is waited for.
        unsafe {
            if GetOverlappedResultEx(pipe, &transfer, &mut count, patience, 0) != 0 {
                return Ok(count as usize);
            }
            let error = io::Error::last_os_error();
            CancelIoEx(pipe, &transfer);
            // It may have ended at the last moment, or before: then the error is its own.
            match GetOverlappedResult(pipe, &transfer, &mut count, 1) {
                0 if is(&error, WAIT_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
                0 => Err(error),
                _ => Ok(count as usize),
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (start, length) = (buffer.as_mut_ptr(), clamp(buffer.len()));
        // SAFETY: `buffer` outlives the transfer.
        let read = unsafe {
            self.transfer(|pipe, transfer| ReadFile(pipe, start, length, null_mut(), transfer))
        };
        match read {
            // The server has closed its end.
            Err(error) if is_gone(&error) => Ok(0),
            read => read,
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (start, length) = (bytes.as_ptr(), clamp(bytes.len()));
        // SAFETY: `bytes` outlives the transfer.
        let written = unsafe {
            self.transfer(|pipe, transfer| WriteFile(pipe, start, length, null_mut(), transfer))
        };
        match written {
            Err(error) if is_gone(&error) => Err(io::ErrorKind::BrokenPipe.into()),
            written => written,
        }
    }

    /// Waits for nothing: FlushFileBuffers would wait until the server has read everything.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wait_free(path: &Path, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let name = super::wide(path.as_os_str());
    // SAFETY: the name ends in NUL. Zero would mean the server's default, so it is at least one.
    if unsafe { WaitNamedPipeW(name.as_ptr(), milliseconds(left).max(1)) } != 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if is(&error, ERROR_SEM_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
        error => Err(error),
    }
}

/// Whether the server has closed its end, or was about to.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || is(error, ERROR_PIPE_NOT_CONNECTED)
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code as i32)
}

/// A time limit as the Windows API has it; the longest that is none for ever.
fn milliseconds(patience: Duration) -> u32 {
    u32::try_from(patience.as_millis()).map_or(INFINITE - 1, |wait| wait.min(INFINITE - 1))
}

fn clamp(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
