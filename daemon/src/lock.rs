//! The lock that makes a daemon the only one of its person on this machine.

use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hfd_proto::os::{Own, identity, identity_at, open_own};
use hfd_proto::{LockFile, Place};

/// The held lock. It is released when the process ends, and not before.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Where it is written who holds it: the lock itself, or another file where nobody else can read
    /// what is locked.
    text: PathBuf,
}

impl Lock {
    /// Takes the lock; `None` when another daemon holds it.
    pub fn take(place: &Place) -> io::Result<Option<Self>> {
        let path = place.lock();
        loop {
            let file = open_own(&path, Own::Kept)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let lock = Self {
                file,
                path: path.clone(),
                text: place.lock_text(),
            };
            // Between opening and locking somebody may have removed the file: that lock is void.
            if lock.holds() {
                // Whoever held it before is not the one to be asked any more.
                lock.write(b"")?;
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
        self.write(&content)
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        if self.text != self.path {
            return open_own(&self.text, Own::Emptied)?.write_all(text);
        }
        let mut file = &self.file;
        file.set_len(0)?;
        if text.is_empty() {
            return Ok(());
        }
        file.seek(SeekFrom::Start(0))?;
        file.write_all(text)
    }
}

/// Whether `path` leads to the open `file`.
pub fn same_file(file: &File, path: &Path) -> bool {
    matches!((identity(file), identity_at(path)), (Ok(open), Ok(there)) if open == there)
}
