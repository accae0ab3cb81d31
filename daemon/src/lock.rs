//! The lock that makes a daemon the only one of its person on this machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hfd_proto::{LockFile, Place};

/// The held lock. It is released when the process ends, and not before.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock; `None` when another daemon holds it.
    pub fn take(place: &Place) -> io::Result<Option<Self>> {
        let path = place.lock();
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let lock = Self {
                file,
                path: path.clone(),
            };
            // Between opening and locking somebody may have removed the file: that lock is void.
            if lock.holds() {
                // Whoever held it before is not the one to be asked any more.
                lock.file.set_len(0)?;
                return Ok(Some(lock));
            }
        }
    }

    /// Whether the path still leads to the file that is locked. If not, another daemon may start.
    pub fn holds(&self) -> bool {
        same_file(&self.file, &self.path)
    }

    /// Writes down who holds the lock and where it listens.
    pub fn announce(&self, socket: &Path) -> io::Result<()> {
        let content = serde_json::to_vec(&LockFile::of_this_process(socket.to_owned()))?;
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&content)
    }
}

/// Whether `path` leads to the open `file`.
pub fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => open.dev() == there.dev() && open.ino() == there.ino(),
        _ => false,
    }
}
