//! The stores that this daemon can use, each opened when it is first needed.

use std::path::PathBuf;
use std::sync::OnceLock;

use hfd_proto::{Error, Kind, StoreId};
use tokio::sync::Notify;

use crate::store::{Backend, FileStore, SecretService, Store};

/// The stores by their id.
pub struct Stores {
    /// Where new tokens go.
    pub default: StoreId,
    directory: PathBuf,
    secret_service: OnceLock<Store>,
    file: OnceLock<Store>,
    /// Told whenever the state of a store that is in use changes.
    changed: std::sync::Arc<Notify>,
}

impl Stores {
    /// Stores of which none is open yet; the file store lies in `directory`.
    pub fn new(default: StoreId, directory: PathBuf) -> Self {
        Self {
            default,
            directory,
            secret_service: OnceLock::new(),
            file: OnceLock::new(),
            changed: std::sync::Arc::default(),
        }
    }

    /// For tests: `store` in the place of the Secret Service.
    #[cfg(test)]
    pub(crate) fn of(store: Store) -> Self {
        let stores = Self::new(StoreId::SecretService, PathBuf::new());
        stores.secret_service.get_or_init(|| stores.watched(store));
        stores
    }

    /// A store. One that this build does not have is an error that names those it has.
    pub fn get(&self, id: StoreId) -> Result<&Store, Error> {
        match id {
            StoreId::SecretService => Ok(self.secret_service.get_or_init(|| {
                self.watched(Store::spawn(Backend::SecretService(SecretService::new(
                    |name| std::env::var_os(name),
                ))))
            })),
            StoreId::File => {
                let file = self.directory.join("tokens.hfd");
                let open = || Store::spawn(Backend::File(FileStore::new(file)));
                Ok(self.file.get_or_init(|| self.watched(open())))
            }
            StoreId::MacosKeychain | StoreId::WindowsCredentialManager => Err(Error::new(
                Kind::StoreUnavailable,
                format!("the store {} does not exist on this system", id.as_str()),
            )
            .hint("use --store secret-service or --store file")),
        }
    }

    /// The stores where tokens of an earlier index may be: the default one, and the file where it
    /// exists.
    pub fn to_search(&self) -> Vec<StoreId> {
        let file = self.directory.join("tokens.hfd").exists() && self.default != StoreId::File;
        [self.default]
            .into_iter()
            .chain(file.then_some(StoreId::File))
            .collect()
    }

    /// Completes when the state of a store has changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn watched(&self, store: Store) -> Store {
        let (mut state, changed) = (store.subscribe(), std::sync::Arc::clone(&self.changed));
        tokio::spawn(async move {
            while state.changed().await.is_ok() {
                changed.notify_one();
            }
        });
        store
    }
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores")
            .field("default", &self.default)
            .finish_non_exhaustive()
    }
}
