//! Where secrets rest: one [`Store`] handle per place, whatever the place is.
//!
//! A [`Backend`] knows one kind of place. It is owned by a worker task (`worker`) that makes one
//! call at a time, each under a deadline, and says how the place is without being asked. The rest
//! of the daemon holds a [`Store`], which is a way to that worker.
//!
//! What every backend keeps:
//! - *absent* is said only of a place that is unlocked and was read; anything else is an error, and
//!   an error means *unknown*;
//! - a write is finished when the value was read back;
//! - an empty secret is never a value;
//! - no dialog appears because something was read.

mod error;
mod file;
mod handle;
mod key;
mod memory;
#[cfg(any(test, target_os = "macos", windows))]
mod native;
#[cfg(target_os = "linux")]
mod secret_service;
mod worker;

use std::path::{Path, PathBuf};

use hfd_proto::{Passphrase, Protection, Secret, StoreId};

pub use error::{Effect, StoreError};
pub use file::{FileStore, read_for_fuzzing};
pub use handle::{DEADLINE, Store};
pub use key::{Key, Part};
pub use memory::{Knobs, Memory};
#[cfg(any(test, target_os = "macos", windows))]
pub use native::Native;
#[cfg(target_os = "linux")]
pub use secret_service::SecretService;

/// A place where secrets rest. One match per operation, here and nowhere else: a new kind of place
/// is a variant, an arm in `each!` and in [`Backend::open`], and a bench in `tests/store_contract`.
#[derive(Debug)]
#[cfg_attr(
    target_os = "linux",
    expect(
        clippy::large_enum_variant,
        reason = "there is one for each store, and it is moved once, into its worker"
    )
)]
pub enum Backend {
    /// The keychain of a Linux desktop.
    #[cfg(target_os = "linux")]
    SecretService(SecretService),
    /// The keychain of macOS or Windows.
    #[cfg(any(test, target_os = "macos", windows))]
    Native(Native),
    /// An encrypted file of our own.
    File(FileStore),
    /// For tests: no configuration names it.
    Memory(Memory),
}

/// A value for a key, or the removal of the one it has.
pub type Edit = (Key, Option<Secret>);

/// How far a list of edits came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// So many of them were made, from the first on.
    pub count: usize,
    /// Why not the next; it was not made.
    pub stopped: Option<StoreError>,
}

/// What was found after somebody had touched items: perhaps nothing else than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// One was made or changed.
    Touched {
        /// Whose it is.
        key: Key,
        /// What it holds; nothing where it is gone again, or holds no token.
        value: Option<Secret>,
    },
    /// Something was removed. These are left.
    Remaining(Vec<Key>),
}

macro_rules! each {
    ($backend:expr, $place:ident => $call:expr) => {
        match $backend {
            #[cfg(target_os = "linux")]
            Backend::SecretService($place) => $call,
            #[cfg(any(test, target_os = "macos", windows))]
            Backend::Native($place) => $call,
            Backend::File($place) => $call,
            Backend::Memory($place) => $call,
        }
    };
}

/// The encrypted file in the state directory.
pub(crate) fn file_in(directory: &Path) -> PathBuf {
    directory.join("tokens.hfd")
}

/// Where a service manager hands over what it was told to (systemd.exec(5)).
fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

impl Backend {
    /// The place with this id, not touched yet; `None` for one of another platform. A place that
    /// is a file lies in `directory`.
    pub fn open(id: StoreId, directory: &Path) -> Option<Self> {
        match id {
            #[cfg(target_os = "linux")]
            StoreId::SecretService => Some(Self::SecretService(SecretService::new(|name| {
                std::env::var_os(name)
            }))),
            #[cfg(target_os = "macos")]
            StoreId::MacosKeychain => Some(Self::Native(Native::new())),
            #[cfg(windows)]
            StoreId::WindowsCredentialManager => Some(Self::Native(Native::new())),
            StoreId::File => Some(Self::File(FileStore::new(
                file_in(directory),
                credentials(),
            ))),
            _ => None,
        }
    }

    /// Which kind of place this is.
    pub fn id(&self) -> StoreId {
        each!(self, place => place.id())
    }

    /// The value of `key`; `None` only when the place is open and has none.
    pub async fn get(&mut self, key: &Key) -> Result<Option<Secret>, StoreError> {
        each!(self, place => place.get(key).await)
    }

    /// Creates or updates the value of `key`, and reads it back.
    pub async fn put(&mut self, key: &Key, secret: &Secret) -> Result<(), StoreError> {
        each!(self, place => place.put(key, secret).await)
    }

    /// Removes the value of `key`; true when there was one.
    pub async fn delete(&mut self, key: &Key) -> Result<bool, StoreError> {
        each!(self, place => place.delete(key).await)
    }

    /// Makes edits in order: all at once where the place can, else one after the other up to the
    /// first that it refuses. An error means that it refused the first.
    pub async fn write(&mut self, edits: Vec<Edit>) -> Result<Written, StoreError> {
        let mut count = 0;
        if let Self::File(place) = self {
            count = edits.len();
            place.write(edits).await?;
            return Ok(Written {
                count,
                stopped: None,
            });
        }
        for (key, value) in edits {
            let outcome = match value {
                Some(secret) => self.put(&key, &secret).await,
                None => self.delete(&key).await.map(drop),
            };
            match outcome {
                Ok(()) => count += 1,
                // Whether the last one was made is not known.
                Err(error @ StoreError::TimedOut { .. }) => return Err(error),
                Err(error) if count == 0 => return Err(error),
                Err(error) => {
                    let stopped = Some(error);
                    return Ok(Written { count, stopped });
                }
            }
        }
        Ok(Written {
            count,
            stopped: None,
        })
    }

    /// Opens a place that a passphrase opens; one of another kind is an error.
    pub async fn unlock(&mut self, passphrase: Option<Passphrase>) -> Result<(), StoreError> {
        match self {
            Self::File(place) => place.unlock(passphrase).await,
            other => Err(no_passphrase(other.id())),
        }
    }

    /// Forgets what a passphrase has opened.
    pub async fn close(&mut self) -> Result<(), StoreError> {
        match self {
            Self::File(place) => place.close().await,
            _ => Ok(()),
        }
    }

    /// Encrypts a place that hfd itself encrypts with a new key, behind a passphrase where one is given.
    pub async fn rekey(&mut self, passphrase: Option<Passphrase>) -> Result<(), StoreError> {
        match self {
            Self::File(place) => place.rekey(passphrase).await,
            other => Err(no_passphrase(other.id())),
        }
    }

    /// What opens a place that hfd itself encrypts.
    pub async fn protection(&mut self) -> Result<Option<Protection>, StoreError> {
        match self {
            Self::File(place) => place.protection().await,
            _ => Ok(None),
        }
    }

    /// Every key that has a value, in order.
    pub async fn keys(&mut self) -> Result<Vec<Key>, StoreError> {
        each!(self, place => place.keys().await)
    }

    /// Whether the place is there and open. May start the program that serves it.
    pub async fn probe(&mut self) -> Result<(), StoreError> {
        each!(self, place => place.probe().await)
    }

    /// As [`Backend::probe`], but starts nothing: for looking again by ourselves.
    async fn glance(&mut self) -> Result<(), StoreError> {
        each!(self, place => place.glance().await)
    }

    /// What was done to items since it was last asked for, where the place tells of it; `None` when
    /// there is no more. Starts nothing. Cancelling loses nothing.
    async fn next_change(&mut self) -> Result<Option<Change>, StoreError> {
        match self {
            #[cfg(target_os = "linux")]
            Self::SecretService(place) => place.next_change().await,
            _ => Ok(None),
        }
    }

    /// Waits for a sign that the place may have changed: locked, unlocked, gone, back, or an item of
    /// it touched. Cancelling loses nothing.
    async fn noticed(&mut self) {
        each!(self, place => place.noticed().await);
    }

    /// What was done to items cannot be looked at.
    fn forget_changes(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::SecretService(place) => place.forget_changes(),
            _ => {}
        }
    }

    /// Cleans up after a call that was cancelled at its deadline: takes a dialog off the screen.
    async fn abandon(&mut self) {
        each!(self, place => place.abandon().await);
    }

    /// Forgets connections and sessions, after a panic left them in an unknown condition.
    fn reset(&mut self) {
        each!(self, place => place.reset());
    }

    /// More about the place for a person, when it is ready.
    fn detail(&self) -> Option<String> {
        each!(self, place => place.detail())
    }
}

fn no_passphrase(store: StoreId) -> StoreError {
    StoreError::Rejected {
        store,
        what: format!("{} has no passphrase of hfd's", store.title()),
        hint: String::from("its own program changes its password"),
        dismissed: false,
    }
}
