//! The two files on the disk: who may have them, and how one takes the place of another.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hfd_proto::os::{Own, how_to_close, open_own};
use hfd_proto::{Error, Passphrase, Protection, StoreId, private_dir};
use zeroize::Zeroizing;

use super::format::{Damage, FileKey, Items, MAX_FILE, key_id, open, seal};
use super::key_file::{KeyFile, Protected, plain};
use crate::os::{self, Exposed};
use crate::store::StoreError;

const STORE: StoreId = StoreId::File;

/// More than a key file has, so that one with something added is called damaged.
const MAX_KEY_FILE: usize = 4096;

/// The longest passphrase file that is read.
const MAX_CREDENTIAL: usize = 4096;

/// What a service manager is told to hand over (`LoadCredential=` of systemd.exec(5)).
const CREDENTIAL: &str = "hfd.passphrase";

/// The token file and its key file, in one directory that is ours alone.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    file: PathBuf,
    key: PathBuf,
    /// The passphrase from the service manager, where there is one.
    credential: Option<PathBuf>,
    /// What a passphrase has opened, until the store is closed.
    opened: Mutex<Opened>,
}

/// How far a passphrase has come.
#[derive(Debug, Default)]
struct Opened {
    key: Option<FileKey>,
    /// A person has closed the store: what the service manager hands over does not open it again.
    closed: bool,
    /// The key that what it hands over does not open, so that it is not tried at each call.
    tried: Option<[u8; 16]>,
}

impl Disk {
    /// `credentials` is the directory in which a service manager hands over what it was told to.
    pub(super) fn new(file: PathBuf, credentials: Option<PathBuf>) -> Self {
        let dir = file.parent().map(Path::to_path_buf).unwrap_or_default();
        let key = with_suffix(&file, ".key");
        Self {
            dir,
            file,
            key,
            credential: credentials.map(|directory| directory.join(CREDENTIAL)),
            opened: Mutex::default(),
        }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Everything in the file. A file that is not there is an empty store; a file that cannot be
    /// read is an error, whatever the reason, and never an empty store. Neither is one that is locked empty.
    pub(super) fn load(&self) -> Result<Items, StoreError> {
        let Some(bytes) = read_private(&self.file, MAX_FILE)? else {
            return match self.key_file()? {
                Some(key) => self.open_key(key).map(|_| Items::new()),
                None => Ok(Items::new()),
            };
        };
        let id = key_id(&bytes).map_err(|damage| damaged(&self.file, damage))?;
        let key = self.open_key(self.key_file_of(&id)?)?;
        open(&key, &bytes).map_err(|damage| damaged(&self.file, damage))
    }

    /// Makes `items` the content of the file, durably, or leaves the old file as it is.
    pub(super) fn save(&self, items: &Items) -> Result<(), StoreError> {
        private_dir(&self.dir).map_err(|error| not_private(&error))?;
        let key = match self.key_file()? {
            Some(key) => self.open_key(key)?,
            // Without a token file: `load` has refused one without a key.
            None => {
                let key = new_key()?;
                let passphrase = self.credential()?;
                self.write_key(&self.key, &key, passphrase.as_ref())?;
                lock(&self.opened).key = passphrase.map(|_| key.clone());
                key
            }
        };
        self.save_with(&key, items)
    }

    /// How the key is kept; `None` where there is none yet.
    pub(super) fn protection(&self) -> Result<Option<Protection>, StoreError> {
        Ok(self.key_in_use()?.map(|key| match key {
            KeyFile::Plain(_) => Protection::KeyFile,
            KeyFile::Protected(_) => Protection::Passphrase,
        }))
    }

    /// Opens the store for as long as this daemon runs, or until it is closed. Without a passphrase only by what the
    /// service manager hands over, at the next call.
    pub(super) fn unlock(&self, passphrase: Option<&Passphrase>) -> Result<(), StoreError> {
        lock(&self.opened).closed = false;
        match (self.key_in_use()?, passphrase) {
            (Some(KeyFile::Protected(protected)), Some(passphrase)) => {
                let key = protected.open(passphrase);
                let key = key.map_err(|damage| damaged(&self.key, damage))?;
                lock(&self.opened).key = Some(key);
                Ok(())
            }
            // Nothing is asked for it.
            _ => Ok(()),
        }
    }

    /// Forgets what a passphrase has opened.
    pub(super) fn close(&self) {
        *lock(&self.opened) = Opened {
            closed: true,
            ..Opened::default()
        };
    }

    /// The key file that the token file names, or the one that the first token will have.
    fn key_in_use(&self) -> Result<Option<KeyFile>, StoreError> {
        match read_private(&self.file, MAX_FILE)? {
            None => self.key_file(),
            Some(bytes) => {
                let id = key_id(&bytes).map_err(|damage| damaged(&self.file, damage))?;
                self.key_file_of(&id).map(Some)
            }
        }
    }

    /// Encrypts everything with a new key, which is behind a passphrase or in the key file as it is.
    ///
    /// Both files change, one after the other: the new key is beside the old one until the token file says by its
    /// id that it belongs to it, so that whatever happens in between, one of the two fits.
    pub(super) fn rekey(&self, passphrase: Option<&Passphrase>) -> Result<(), StoreError> {
        let items = self.load()?;
        private_dir(&self.dir).map_err(|error| not_private(&error))?;
        let key = new_key()?;
        self.write_key(&self.next_key(), &key, passphrase)?;
        if self.file.exists() {
            self.save_with(&key, &items)?;
        }
        self.take_next_key()?;
        lock(&self.opened).key = passphrase.map(|_| key);
        match self.load()? == items {
            true => Ok(()),
            false => Err(damaged(&self.file, Damage::Altered)),
        }
    }

    fn save_with(&self, key: &FileKey, items: &Items) -> Result<(), StoreError> {
        let mut nonce = [0; 24];
        random(&mut nonce)?;
        let bytes = seal(key, nonce, items).map_err(|damage| damaged(&self.file, damage))?;
        self.replace(&bytes)
            .map_err(|error| not_written(&self.file, &error))
    }

    fn next_key(&self) -> PathBuf {
        with_suffix(&self.key, ".next")
    }

    fn key_file(&self) -> Result<Option<KeyFile>, StoreError> {
        read_key(&self.key)
    }

    /// The key file of a token file.
    fn key_file_of(&self, id: &[u8; 16]) -> Result<KeyFile, StoreError> {
        let first = self.key_file();
        if let Ok(Some(key)) = &first
            && key.id() == *id
        {
            return first.map(|key| key.expect("it was there"));
        }
        // A change of the key was cut off after the token file had the new one.
        if let Ok(Some(next)) = read_key(&self.next_key())
            && next.id() == *id
        {
            self.take_next_key()?;
            return Ok(next);
        }
        match first? {
            Some(_) => Err(damaged(&self.file, Damage::OtherKey)),
            None => Err(unavailable(
                format!(
                    "the key of {} is missing: {}",
                    self.file.display(),
                    self.key.display()
                ),
                "restore the key file from a backup, or move the token file away and log in again",
            )),
        }
    }

    fn take_next_key(&self) -> Result<(), StoreError> {
        fs::rename(self.next_key(), &self.key)
            .and_then(|()| os::flush_directory(&self.dir))
            .map_err(|error| not_written(&self.key, &error))
    }

    /// The key itself, where it is not locked.
    fn open_key(&self, file: KeyFile) -> Result<FileKey, StoreError> {
        let protected = match file {
            KeyFile::Plain(key) => return Ok(key),
            KeyFile::Protected(protected) => protected,
        };
        let locked = StoreError::Locked { store: STORE };
        {
            let opened = lock(&self.opened);
            if let Some(key) = opened.key.as_ref().filter(|key| key.id() == protected.id()) {
                return Ok(key.clone());
            }
            if opened.closed || opened.tried == Some(protected.id()) {
                return Err(locked);
            }
        }
        let Some(passphrase) = self.credential()? else {
            return Err(locked);
        };
        match protected.open(&passphrase) {
            Ok(key) => {
                lock(&self.opened).key = Some(key.clone());
                Ok(key)
            }
            Err(damage) => {
                let (path, why) = (self.key.display(), damage);
                tracing::warn!("{path} {why}, which the service manager hands over");
                lock(&self.opened).tried = Some(protected.id());
                Err(locked)
            }
        }
    }

    /// What the service manager hands over: a line.
    fn credential(&self) -> Result<Option<Passphrase>, StoreError> {
        let Some(path) = &self.credential else {
            return Ok(None);
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_CREDENTIAL + 1));
        let read = fs::File::open(path).and_then(|file| {
            let mut limited = file.take(MAX_CREDENTIAL as u64 + 1);
            limited.read_to_end(&mut bytes)
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(not_read(path, &error)),
            Ok(_) => {}
        }
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        match Passphrase::parse(line) {
            Ok(passphrase) => Ok(Some(passphrase)),
            Err(why) => Err(unavailable(
                format!("{}: {why}", path.display()),
                "write one line of text into what the service hands over",
            )),
        }
    }

    /// Writes a key file. It appears whole or not at all.
    fn write_key(
        &self,
        path: &Path,
        key: &FileKey,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), StoreError> {
        let bytes = match passphrase {
            None => plain(key),
            Some(passphrase) => {
                let mut salt_and_nonce = [0; 40];
                random(&mut salt_and_nonce)?;
                let sealed = Protected::seal(key, passphrase, &salt_and_nonce);
                let sealed = sealed.map_err(|damage| damaged(path, damage))?;
                Zeroizing::new(sealed.encode().to_vec())
            }
        };
        let temporary = with_suffix(path, ".new");
        write_new(&temporary, &bytes)
            .and_then(|()| fs::rename(&temporary, path))
            .and_then(|()| os::flush_directory(&self.dir))
            .map_err(|error| {
                let _ = fs::remove_file(&temporary);
                not_written(path, &error)
            })
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it holds is replaced as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

fn read_key(path: &Path) -> Result<Option<KeyFile>, StoreError> {
    let Some(bytes) = read_private(path, MAX_KEY_FILE)? else {
        return Ok(None);
    };
    match KeyFile::decode(&bytes) {
        Ok(key) => Ok(Some(key)),
        Err(damage) => Err(damaged(path, damage)),
    }
}

fn new_key() -> Result<FileKey, StoreError> {
    let mut bytes = Zeroizing::new([0; 48]);
    random(&mut bytes[..])?;
    Ok(FileKey::new(&bytes))
}

/// The content of a file that is ours alone; `None` where there is none. What is checked is the
/// descriptor that is read.
fn read_private(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    // A FIFO must not keep us waiting, a link not lead elsewhere.
    let file = match os::open_itself(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if os::is_link_error(&error) => return Err(not_ours(path, "is a link")),
        Err(error) => return Err(not_read(path, &error)),
    };
    let metadata = file.metadata().map_err(|error| not_read(path, &error))?;
    if let Some(how) = os::exposed(&file).map_err(|error| not_read(path, &error))? {
        return Err(match how {
            Exposed::Open => exposed(path),
            Exposed::NoFile => not_ours(path, "is no regular file"),
            Exposed::Foreign => not_ours(path, "belongs to another user"),
            Exposed::Linked => not_ours(path, "has another name elsewhere"),
        });
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
        Damage::WrongPassphrase => StoreError::Rejected {
            store: STORE,
            what,
            hint: String::from("type it again; capitals and spaces count"),
            dismissed: true,
        },
        _ => unavailable(
            what,
            "restore it and its key file from a backup, or move both away and log in again",
        ),
    }
}

/// Somebody has put it there, or may write it under another name.
fn not_ours(path: &Path, why: &str) -> StoreError {
    let path = path.display();
    unavailable(
        format!("{path} {why}"),
        "where it is yours, put a copy that has no other name in its place; else move it away",
    )
}

fn exposed(path: &Path) -> StoreError {
    let path = path.display();
    unavailable(
        format!("{path} is open to other users"),
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
