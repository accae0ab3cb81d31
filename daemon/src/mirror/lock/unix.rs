//! Unix: filelock 3.10 to 4.3.1, `_native/_unix.py` (`_unix.py` before 4.3): the file is opened with `O_RDWR | O_NOFOLLOW | O_NONBLOCK`,
//! created with mode 0664, and locked with flock(2), polled. Some versions unlink it when they let
//! go (3.21), so that the lock counts only while the path still leads to the locked file. Where
//! flock is missing (`ENOSYS`, and no other error), the file itself is the lock (`_soft.py`).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::super::file::is_at;
use super::NotTaken;

/// How often a held lock is tried again: filelock tries every 50 ms, and a switch waits 300 ms.
const POLL: Duration = Duration::from_millis(10);

/// Python lets groups in that share a home.
const MODE: u32 = 0o664;

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Lock(Held);

#[derive(Debug)]
enum Held {
    /// By flock: the kernel lets go when the file is closed. The file stays, since others may wait
    /// on it.
    Flock { _file: File },
    /// By being there.
    Soft { path: PathBuf, file: File },
    /// The file system knows no locks, and filelock gives up there too: nobody can hold it.
    Nothing,
}

/// Takes the lock at `path`, trying until `deadline`, and at least once.
pub(in crate::mirror) fn take(path: &Path, deadline: Instant) -> Result<Lock, NotTaken> {
    take_by(path, deadline, |file| {
        flock(file, FlockOperation::NonBlockingLockExclusive)
    })
}

fn take_by(
    path: &Path,
    deadline: Instant,
    flock: impl Fn(&File) -> rustix::io::Result<()>,
) -> Result<Lock, NotTaken> {
    let mut soft = false;
    loop {
        let attempt = match soft {
            true => take_soft(path),
            false => match take_flock(path, &flock) {
                Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                    soft = true;
                    continue;
                }
                attempt => attempt,
            },
        };
        match attempt {
            Ok(Some(held)) => return Ok(Lock(held)),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
            Ok(None) => return Err(NotTaken::Held),
            Err(error) => return Err(NotTaken::Io(error)),
        }
    }
}

/// One attempt; nothing where it is held.
fn take_flock(
    path: &Path,
    flock: impl Fn(&File) -> rustix::io::Result<()>,
) -> io::Result<Option<Held>> {
    let Some((file, created)) = open(path)? else {
        return Ok(None);
    };
    match flock(&file) {
        Ok(()) => {}
        // Some file systems say EACCES for a lock that is held.
        Err(Errno::AGAIN | Errno::ACCESS) => return Ok(None),
        Err(Errno::NOSYS) => {
            if created {
                // An empty file would be a lock that nobody ever gives back.
                remove_own(path, &file);
            }
            return Err(Errno::NOSYS.into());
        }
        Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::INVAL) => return Ok(Some(Held::Nothing)),
        Err(error) => return Err(error.into()),
    }
    // Whoever held it before may have unlinked what we opened.
    Ok(is_at(&file, path).then_some(Held::Flock { _file: file }))
}

/// Opens the lock file, saying whether it was made; nothing where another try is worth while.
fn open(path: &Path) -> io::Result<Option<(File, bool)>> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    match options.clone().create_new(true).mode(MODE).open(path) {
        Ok(file) => {
            // Whatever the umask; without it only other users of the group are locked out.
            drop(file.set_permissions(std::fs::Permissions::from_mode(MODE)));
            return Ok(Some((file, true)));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    match options.open(path) {
        Ok(file) => Ok(Some((file, false))),
        Err(error) => match error.kind() {
            // Unlinked since, or under a lease that is being given back.
            io::ErrorKind::NotFound | io::ErrorKind::WouldBlock => Ok(None),
            _ => Err(error),
        },
    }
}

/// One attempt at a lock that is held by being there. One that a dead process left stays: it is
/// filelock's to judge.
fn take_soft(path: &Path) -> io::Result<Option<Held>> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    let mut file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    let name = rustix::system::uname();
    let host = name.nodename().to_string_lossy();
    if let Err(error) = file.write_all(format!("{}\n{host}\n", std::process::id()).as_bytes()) {
        remove_own(path, &file);
        return Err(error);
    }
    Ok(Some(Held::Soft {
        path: path.to_owned(),
        file,
    }))
}

fn remove_own(path: &Path, file: &File) {
    if is_at(file, path)
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::warn!(%error, "a lock file stays");
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Held::Soft { path, file } = &self.0 {
            remove_own(path, file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(30)
    }

    fn late() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_lock_is_held_once_and_its_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stored_tokens.lock");
        let first = take(&path, soon()).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o664);
        assert!(matches!(take(&path, soon()), Err(NotTaken::Held)));
        drop(first);
        assert!(path.exists());
        take(&path, soon()).unwrap();
    }

    #[test]
    fn who_waits_gets_the_lock_when_it_is_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stored_tokens.lock");
        let first = take(&path, soon()).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| take(&path, late()).is_ok());
            drop(first);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn a_lock_on_an_unlinked_file_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stored_tokens.lock");
        // filelock 3.21 unlinks between our open and our flock.
        let unlinked = std::cell::Cell::new(0);
        let lock = take_by(&path, late(), |file| {
            if unlinked.replace(unlinked.get() + 1) == 0 {
                std::fs::remove_file(&path).unwrap();
            }
            flock(file, FlockOperation::NonBlockingLockExclusive)
        });
        assert_eq!(unlinked.get(), 2);
        assert!(matches!(take(&path, soon()), Err(NotTaken::Held)));
        drop(lock);
    }

    #[test]
    fn without_flock_the_file_is_the_lock_and_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stored_tokens.lock");
        let missing = |_: &File| Err(Errno::NOSYS);
        let lock = take_by(&path, soon(), missing).unwrap();
        let content = std::fs::read_to_string(&path).unwrap();
        assert!(content.starts_with(&format!("{}\n", std::process::id())));
        assert!(matches!(
            take_by(&path, soon(), missing),
            Err(NotTaken::Held)
        ));
        drop(lock);
        assert!(!path.exists());
    }

    #[test]
    fn the_soft_lock_of_another_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stored_tokens.lock");
        std::fs::write(&path, "999999\nelsewhere\n").unwrap();
        let taken = take_by(&path, soon(), |_| Err(Errno::NOSYS));
        assert!(matches!(taken, Err(NotTaken::Held)));
        assert!(path.exists());
    }

    #[test]
    fn a_file_system_without_locks_is_written_without_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stored_tokens.lock");
        take_by(&path, soon(), |_| Err(Errno::OPNOTSUPP)).unwrap();
    }

    #[test]
    fn a_link_is_no_lock_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stored_tokens.lock");
        std::os::unix::fs::symlink(directory.path().join("other"), &path).unwrap();
        assert!(matches!(take(&path, soon()), Err(NotTaken::Io(_))));
        assert!(!directory.path().join("other").exists());
    }
}
