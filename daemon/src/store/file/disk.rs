//! The two files on the disk: who may have them, and how one takes the place of another.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use hfd_proto::os::{Own, how_to_close, open_own};
use hfd_proto::{Error, StoreId, private_dir};
use zeroize::Zeroizing;

use super::format::{Damage, FileKey, Items, MAX_FILE, open, seal};
use crate::os::{self, Exposed};
use crate::store::StoreError;

const STORE: StoreId = StoreId::File;

/// More than a key file has, so that one with something added is called damaged.
const MAX_KEY_FILE: usize = 4096;

/// The token file and its key file, in one directory that is ours alone.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    file: PathBuf,
    key: PathBuf,
}

impl Disk {
    pub(super) fn new(file: PathBuf) -> Self {
        let dir = file.parent().map(Path::to_path_buf).unwrap_or_default();
        let key = with_suffix(&file, ".key");
        Self { dir, file, key }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Everything in the file. A file that is not there is an empty store; a file that cannot be
    /// read is an error, whatever the reason, and never an empty store.
    pub(super) fn load(&self) -> Result<Items, StoreError> {
        let Some(bytes) = read_private(&self.file, MAX_FILE)? else {
            return Ok(Items::new());
        };
        let Some(key) = self.key()? else {
            return Err(unavailable(
                format!(
                    "the key of {} is missing: {}",
                    self.file.display(),
                    self.key.display()
                ),
                "restore the key file from a backup, or move the token file away and log in again",
            ));
        };
        open(&key, &bytes).map_err(|damage| damaged(&self.file, damage))
    }

    /// Makes `items` the content of the file, durably, or leaves the old file as it is.
    pub(super) fn save(&self, items: &Items) -> Result<(), StoreError> {
        private_dir(&self.dir).map_err(|error| not_private(&error))?;
        let key = match self.key()? {
            Some(key) => key,
            // Without a token file: `load` has refused one without a key.
            None => self.make_key()?,
        };
        let mut nonce = [0; 24];
        random(&mut nonce)?;
        let bytes = seal(&key, nonce, items).map_err(|damage| damaged(&self.file, damage))?;
        self.replace(&bytes)
            .map_err(|error| not_written(&self.file, &error))
    }

    fn key(&self) -> Result<Option<FileKey>, StoreError> {
        let Some(bytes) = read_private(&self.key, MAX_KEY_FILE)? else {
            return Ok(None);
        };
        match FileKey::decode(&bytes) {
            Ok(key) => Ok(Some(key)),
            Err(damage) => Err(damaged(&self.key, damage)),
        }
    }

    /// Makes the key file. It appears whole or not at all, and takes the place of no other.
    fn make_key(&self) -> Result<FileKey, StoreError> {
        let mut bytes = Zeroizing::new([0; 48]);
        random(&mut bytes[..])?;
        let key = FileKey::new(&bytes);
        let temporary = with_suffix(&self.key, ".new");
        let made = write_new(&temporary, &key.encode()[..])
            .and_then(|()| fs::hard_link(&temporary, &self.key));
        let removed = fs::remove_file(&temporary);
        made.and(removed)
            .and_then(|()| os::flush_directory(&self.dir))
            .map_err(|error| not_written(&self.key, &error))?;
        Ok(key)
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = with_suffix(&self.file, ".new");
        let written =
            write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, &self.file));
        if written.is_err() {
            // Encrypted, so no harm in a rest; but it would take room on a disk that has none.
            let _ = fs::remove_file(&temporary);
        }
        written.and_then(|()| os::flush_directory(&self.dir))
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Writes a file that was not there, for us alone, down to the disk.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A rest of a daemon that was killed. The daemon's lock sees to it that nobody else writes.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = open_own(path, Own::New)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The content of a file that is ours alone; `None` where there is none. What is checked is the
/// descriptor that is read.
fn read_private(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    // A FIFO must not keep us waiting, a link not lead elsewhere.
    let file = match os::open_itself(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if os::is_link_error(&error) => return Err(exposed(path, "is a link")),
        Err(error) => return Err(not_read(path, &error)),
    };
    let metadata = file.metadata().map_err(|error| not_read(path, &error))?;
    if let Some(how) = os::exposed(&file).map_err(|error| not_read(path, &error))? {
        return Err(exposed(path, in_words(how)));
    }
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if length > limit {
        // Not by hfd, which writes none of that size.
        return Err(damaged(path, Damage::Foreign));
    }
    // One byte more than there should be, so that reading to the end never grows the buffer, which
    // for the key would leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    (&file)
        .take(length as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| not_read(path, &error))?;
    Ok(Some(bytes))
}

fn in_words(how: Exposed) -> &'static str {
    match how {
        Exposed::NoFile => "is no regular file",
        Exposed::Foreign => "belongs to another user",
        Exposed::Open => "is open to other users",
        Exposed::Linked => "has another name elsewhere",
    }
}

fn random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| {
        let what = format!("the operating system gives no random bytes: {error}");
        unavailable(what, "repeat it")
    })
}

fn unavailable(what: String, hint: &str) -> StoreError {
    StoreError::Unavailable {
        store: STORE,
        what,
        hint: hint.to_owned(),
    }
}

fn damaged(path: &Path, damage: Damage) -> StoreError {
    let what = format!("{} {damage}", path.display());
    match damage {
        Damage::TooLarge => StoreError::Rejected {
            store: STORE,
            what,
            hint: String::from("log out of tokens that are not needed"),
            dismissed: false,
        },
        Damage::Newer(_) => unavailable(what, "upgrade hfd"),
        Damage::OtherKey => unavailable(what, "put the key file that belongs to it beside it"),
        _ => unavailable(
            what,
            "restore it and its key file from a backup, or move both away and log in again",
        ),
    }
}

fn exposed(path: &Path, why: &str) -> StoreError {
    let path = path.display();
    unavailable(
        format!("{path} {why}"),
        &format!(
            "make it yours alone: {}; if others may have read it, log in anew",
            how_to_close(&path)
        ),
    )
}

fn not_private(error: &Error) -> StoreError {
    unavailable(
        error.message.clone(),
        error.hint.as_deref().unwrap_or("choose another directory"),
    )
}

fn not_read(path: &Path, error: &io::Error) -> StoreError {
    unavailable(
        format!("cannot read {}: {error}", path.display()),
        "mend the file system, or choose another store",
    )
}

fn not_written(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Rejected {
        store: STORE,
        what: format!("cannot write {}: {error}", path.display()),
        hint: match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                String::from("make room on that disk, then repeat it")
            }
            _ => String::from("mend the file system, then repeat it"),
        },
        dismissed: false,
    }
}
