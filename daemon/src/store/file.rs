//! The encrypted file: for machines without a keychain, chosen by name and never by itself.
//!
//! What it protects: copies of the file alone (backups, synchronised folders, a disk image without
//! the key) are of no use, and any change to it is found. What it does not: who can read the key
//! file beside it, which is every program running as this user and root, can read the tokens. That
//! is the protection of the plaintext `token` file against those, and better against the rest.

mod disk;
mod format;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hfd_proto::{Secret, StoreId};
use tokio::sync::{Mutex, oneshot};

use self::disk::Disk;
use super::{Edit, Key, StoreError};

/// A file of our own, encrypted with a key file beside it.
#[derive(Debug)]
pub struct FileStore {
    disk: Arc<Disk>,
    /// Held by the thread that is at the files. One that hangs in a dead file system keeps it, so
    /// that no second one joins it.
    turn: Arc<Mutex<()>>,
}

impl FileStore {
    /// The store in `file`; its key is `file` with `.key` appended. Nothing is touched yet: both,
    /// and their directory (0700), come with the first value.
    pub fn new(file: PathBuf) -> Self {
        Self {
            disk: Arc::new(Disk::new(file)),
            turn: Arc::default(),
        }
    }

    /// The token file.
    pub fn path(&self) -> &Path {
        self.disk.file()
    }

    pub(super) fn id(&self) -> StoreId {
        StoreId::File
    }

    pub(super) async fn get(&mut self, key: &Key) -> Result<Option<Secret>, StoreError> {
        let key = key.clone();
        self.at(move |disk| Ok(disk.load()?.remove(&key))).await
    }

    pub(super) async fn put(&mut self, key: &Key, secret: &Secret) -> Result<(), StoreError> {
        self.write(vec![(key.clone(), Some(secret.clone()))]).await
    }

    /// Makes all edits, or none: the file is written once.
    pub(super) async fn write(&mut self, edits: Vec<Edit>) -> Result<(), StoreError> {
        self.at(move |disk| {
            let mut items = disk.load()?;
            for (key, value) in edits {
                match value {
                    Some(secret) => items.insert(key, secret),
                    None => items.remove(&key),
                };
            }
            disk.save(&items)?;
            match disk.load()? == items {
                true => Ok(()),
                false => Err(not_kept(disk)),
            }
        })
        .await
    }

    pub(super) async fn delete(&mut self, key: &Key) -> Result<bool, StoreError> {
        let key = key.clone();
        self.at(move |disk| {
            let mut items = disk.load()?;
            if items.remove(&key).is_none() {
                return Ok(false);
            }
            disk.save(&items)?;
            Ok(true)
        })
        .await
    }

    pub(super) async fn keys(&mut self) -> Result<Vec<Key>, StoreError> {
        self.at(|disk| Ok(disk.load()?.into_keys().collect())).await
    }

    pub(super) async fn probe(&mut self) -> Result<(), StoreError> {
        self.at(|disk| disk.load().map(drop)).await
    }

    pub(super) async fn glance(&mut self) -> Result<(), StoreError> {
        self.probe().await
    }

    pub(super) async fn noticed(&mut self) {
        std::future::pending().await
    }

    pub(super) async fn abandon(&mut self) {}

    pub(super) fn reset(&mut self) {}

    pub(super) fn detail(&self) -> Option<String> {
        Some(self.path().display().to_string())
    }

    /// Works on the files in a thread of its own: flushing takes milliseconds, a dead network file
    /// system for ever, and neither may hold up the daemon. Not tokio's pool, whose threads a
    /// runtime waits for when it ends.
    async fn at<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turn.clone().lock_owned().await;
        let disk = self.disk.clone();
        let (reply, answer) = oneshot::channel();
        let thread = std::thread::Builder::new().name(String::from("hfdd-file"));
        thread
            .spawn(move || {
                let outcome = work(&disk);
                drop(turn);
                // Whoever asked may have left at the deadline.
                let _ = reply.send(outcome);
            })
            .map_err(|error| no_thread(&error.to_string()))?;
        answer
            .await
            .unwrap_or_else(|_| Err(no_thread("it panicked")))
    }
}

fn not_kept(disk: &Disk) -> StoreError {
    StoreError::Rejected {
        store: StoreId::File,
        what: format!("{} did not keep what was written", disk.file().display()),
        hint: String::from("check that disk; does another program write the file?"),
        dismissed: false,
    }
}

fn no_thread(why: &str) -> StoreError {
    StoreError::Unavailable {
        store: StoreId::File,
        what: format!("the thread for the token file failed: {why}"),
        hint: String::from("repeat it"),
    }
}
