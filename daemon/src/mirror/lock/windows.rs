//! Windows: filelock 3.10 to 4.3.1, `_native/_windows.py` (`_windows.py` before 4.3): the file is opened for reading and writing, created
//! where it is missing, and its first byte is locked, polled; by `LockFileEx`, earlier by
//! `msvcrt.locking(fd, LK_NBLCK, 1)`, which is the same range. It is unlinked when the lock is given back,
//! which fails while anybody else has it open: neither C's `open` nor this shares that right. Where the system
//! has no locks filelock raises, and the file itself is never the lock (`huggingface_hub`, `WeakFileLock`).

#![allow(
    unsafe_code,
    reason = "the standard library locks files whole, Python the first byte"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsRawHandle as _;
use std::path::Path;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, ERROR_LOCK_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_MODE, FILE_SHARE_READ, FILE_SHARE_WRITE,
    LOCK_FILE_FLAGS, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::super::file::{is_at, is_passing, is_taken};
use super::NotTaken;

/// How often a held lock is tried again: filelock tries every 50 ms, and a switch waits 300 ms.
const POLL: Duration = Duration::from_millis(10);

/// Where the range begins that filelock locks, and how many bytes it has (`lock_fd_nonblocking`).
const RANGE: (u32, u32) = (0, 1);

/// How it locks them.
const HOW: LOCK_FILE_FLAGS = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;

/// What others may do with the file meanwhile.
const SHARE: FILE_SHARE_MODE = FILE_SHARE_READ | FILE_SHARE_WRITE;

/// The lock, held until this is dropped: the system lets go when the file is closed. The file stays,
/// since others may wait on it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock at `path`, trying until `deadline`, and at least once.
pub(in crate::mirror) fn take(path: &Path, deadline: Instant) -> Result<Lock, NotTaken> {
    loop {
        let late = Instant::now() >= deadline;
        match attempt(path) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) if late => return Err(NotTaken::Held),
            // What is being removed cannot be opened either.
            Err(error) if late || !is_passing(&error) => return Err(NotTaken::Io(error)),
            Ok(None) | Err(_) => std::thread::sleep(POLL),
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
        .share_mode(SHARE)
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
    // Whoever held it before may have unlinked what was opened.
    Ok((lock(&file, RANGE)? && is_at(&file, path)).then_some(Lock { _file: file }))
}

/// Locks a range, unless somebody holds it.
fn lock(file: &File, (offset, length): (u32, u32)) -> io::Result<bool> {
    let mut place = OVERLAPPED::default();
    place.Anonymous.Anonymous.Offset = offset;
    // SAFETY: the handle is open, and not for overlapped work: the call is over when it returns, and with it
    // the use of `place`.
    let locked = unsafe { LockFileEx(file.as_raw_handle(), HOW, 0, length, 0, &mut place) };
    if locked != 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(i32::cast_unsigned) {
        Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING) => Ok(false),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(30)
    }

    fn late() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stored_tokens.lock");
        (directory, path)
    }

    #[test]
    fn a_lock_is_held_once_and_its_file_stays() {
        let (_directory, path) = place();
        let first = take(&path, soon()).unwrap();
        assert!(matches!(take(&path, soon()), Err(NotTaken::Held)));
        // As filelock does when it lets go.
        assert!(OpenOptions::new().read(true).open(&path).is_ok());
        std::fs::remove_file(&path).unwrap_err();
        drop(first);
        assert!(path.exists());
        take(&path, soon()).unwrap();
    }

    #[test]
    fn it_is_the_range_that_filelock_asks_for() {
        // What its own code asks of Windows.
        const RECORDED: &str = include_str!("../../../core/tests/oracle/windows.jsonl");
        let lines = RECORDED
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let locks: Vec<serde_json::Value> = lines
            .filter_map(|line: serde_json::Value| Some(line.get("lock")?.clone()))
            .collect();
        assert!(!locks.is_empty());
        let (offset, length) = RANGE;
        let ours = serde_json::json!(
            { "share": SHARE, "flags": HOW, "offset": offset, "length": length }
        );
        assert!(locks.iter().all(|lock| *lock == ours), "{locks:?}");
    }

    #[test]
    fn it_is_the_first_byte_and_no_other() {
        let (_directory, path) = place();
        let held = take(&path, soon()).unwrap();
        let other = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        assert!(!lock(&other, (0, 1)).unwrap());
        assert!(lock(&other, (1, u32::MAX)).unwrap());
        drop(held);
        assert!(lock(&other, (0, 1)).unwrap());
    }

    #[test]
    fn who_locks_that_byte_as_filelock_does_keeps_us_out() {
        let (_directory, path) = place();
        let theirs = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .share_mode(SHARE)
            .open(&path)
            .unwrap();
        assert!(lock(&theirs, RANGE).unwrap());
        assert!(matches!(take(&path, soon()), Err(NotTaken::Held)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| take(&path, late()).is_ok());
            drop(theirs);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn a_lock_on_an_unlinked_file_does_not_count() {
        let (directory, path) = place();
        let file = File::create(&path).unwrap();
        std::fs::rename(&path, directory.path().join("gone")).unwrap();
        assert!(lock(&file, RANGE).unwrap() && !is_at(&file, &path));
        let ours = take(&path, soon()).unwrap();
        assert!(is_at(&ours._file, &path));
    }

    #[test]
    fn a_directory_is_no_lock_file_and_that_is_said_at_the_end() {
        let (_directory, path) = place();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(take(&path, soon()), Err(NotTaken::Io(_))));
    }

    /// The path that another run of this program is to lock, until it is killed.
    const CHILD: &str = "HFD_TEST_LOCK";

    #[test]
    fn two_processes_exclude_each_other_and_a_killed_one_holds_nothing() {
        if let Some(path) = std::env::var_os(CHILD) {
            let _held = take(Path::new(&path), late()).unwrap();
            let mut stdout = std::io::stdout();
            stdout.write_all(b"\nheld\n").unwrap();
            stdout.flush().unwrap();
            // Whoever started this ends it.
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            return;
        }
        let (_directory, path) = place();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["two_processes_exclude_each_other", "--nocapture"])
            .env(CHILD, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut lines = std::io::BufRead::lines(said).map_while(Result::ok);
        assert!(lines.any(|line| line == "held"));
        assert!(matches!(take(&path, soon()), Err(NotTaken::Held)));
        child.kill().unwrap();
        child.wait().unwrap();
        let ours = take(&path, late()).unwrap();
        assert!(matches!(take(&path, soon()), Err(NotTaken::Held)));
        drop(ours);
    }
}
