//! The encrypted file: for machines without a keychain, chosen by name and never by itself.
//!
//! What it protects: copies of the file alone (backups, synchronised folders, a disk image without
//! the key) are of no use, and any change to it is found. What it does not, with a key file beside it: who can
//! read that, which is every program running as this user and root, can read the tokens. That
//! is the protection of the plaintext `token` file against those, and better against the rest. With a
//! passphrase both files are of no use without it; programs running as this user can still ask the daemon.
//!
//! Nothing here is cached but the key that a passphrase has opened.

mod disk;
mod format;
mod key_file;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hfd_proto::{Passphrase, Protection, Secret, StoreId};
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
    /// and their directory (0700), come with the first value. A service manager hands over the passphrase in
    /// `credentials`, if it does (`$CREDENTIALS_DIRECTORY` of systemd.exec(5)).
    pub fn new(file: PathBuf, credentials: Option<PathBuf>) -> Self {
        Self {
            disk: Arc::new(Disk::new(file, credentials)),
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

    /// Opens it for as long as this daemon runs, or until it is closed.
    pub(super) async fn unlock(
        &mut self,
        passphrase: Option<Passphrase>,
    ) -> Result<(), StoreError> {
        self.at(move |disk| disk.unlock(passphrase.as_ref())).await
    }

    /// Forgets what the passphrase has opened.
    pub(super) async fn close(&mut self) -> Result<(), StoreError> {
        self.at(|disk| {
            disk.close();
            Ok(())
        })
        .await
    }

    /// Encrypts it with a new key, behind this passphrase or in the key file as it is.
    pub(super) async fn rekey(&mut self, passphrase: Option<Passphrase>) -> Result<(), StoreError> {
        self.at(move |disk| disk.rekey(passphrase.as_ref())).await
    }

    /// What opens it; `None` before there is anything to be opened.
    pub(super) async fn protection(&mut self) -> Result<Option<Protection>, StoreError> {
        self.at(|disk| disk.protection()).await
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

/// What the fuzz target `store` reads (`tests/fuzz`): any bytes as a token file with its key file, and any bytes as what
/// was encrypted. Whatever is read is what would be written.
///
/// # Panics
/// When it is not.
#[doc(hidden)]
pub fn read_for_fuzzing(content: &[u8]) {
    use self::format::{FileKey, open, seal, sealed_body};
    use self::key_file::KeyFile;
    let cut = content.len().min(124);
    for key_file in [&content[..cut], &content[..content.len().min(56)]] {
        if let Ok(KeyFile::Plain(key)) = KeyFile::decode(key_file) {
            drop(open(&key, &content[key_file.len()..]));
        }
    }
    let key = FileKey::new(&zeroize::Zeroizing::new([1; 48]));
    assert!(
        open(&key, content).is_err(),
        "nothing was encrypted with this key"
    );
    let nonce = [2; 24];
    let file = sealed_body(&key, nonce, content).expect("a small body");
    if let Ok(items) = open(&key, &file) {
        assert_eq!(seal(&key, nonce, &items).as_deref(), Ok(&file[..]));
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
