//! Windows: filelock 3.10 to 4.2.12, `_windows.py`: the file is opened for reading and writing,
//! created where it is missing, and its first byte is locked with `msvcrt.locking(fd, LK_NBLCK, 1)`,
//! polled. It is unlinked when the lock is given back, which fails while anybody else has it open: C's
//! `open` does not share that right, and neither does this.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_READ, FILE_SHARE_WRITE,
};

use super::super::file::is_taken;
use super::NotTaken;

/// How often a held lock is tried again: filelock tries every 50 ms, and a switch waits 300 ms.
const POLL: Duration = Duration::from_millis(10);

/// The lock, held until this is dropped: the system lets go when the file is closed. The file stays,
/// since others may wait on it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock at `path`, trying until `deadline`, and at least once.
pub(in crate::mirror) fn take(path: &Path, deadline: Instant) -> Result<Lock, NotTaken> {
    loop {
        match attempt(path) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
            Ok(None) => return Err(NotTaken::Held),
            Err(error) => return Err(NotTaken::Io(error)),
        }
    }
}

/// One attempt; nothing where it is held.
fn attempt(path: &Path) -> io::Result<Option<Lock>> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        // Somebody is just removing it.
        Err(error) if is_taken(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is a link"));
    }
    // All of it, and so the byte that Python locks.
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(30)
    }

    #[test]
    fn a_lock_is_held_once_and_its_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stored_tokens.lock");
        let first = take(&path, soon()).unwrap();
        assert!(matches!(take(&path, soon()), Err(NotTaken::Held)));
        // As filelock does when it lets go.
        assert!(OpenOptions::new().read(true).open(&path).is_ok());
        std::fs::remove_file(&path).unwrap_err();
        drop(first);
        assert!(path.exists());
        take(&path, soon()).unwrap();
    }
}
