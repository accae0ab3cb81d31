//! The stores that this daemon can use, each opened when it is first needed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use hfd_proto::{Error, Kind, StoreId};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, mpsc};

use crate::store::{Backend, Change, Store, file_in};

/// The stores by their id.
pub struct Stores {
    /// Where new tokens go.
    pub default: StoreId,
    directory: PathBuf,
    /// Those of this platform.
    open: BTreeMap<StoreId, OnceLock<Store>>,
    /// What the stores run on, whoever opens one.
    runtime: Handle,
    /// Told whenever the state of a store that is in use changes.
    changed: std::sync::Arc<Notify>,
    /// Items that were touched.
    touched: mpsc::UnboundedSender<(StoreId, Change)>,
    to_follow: Mutex<mpsc::UnboundedReceiver<(StoreId, Change)>>,
}

impl Stores {
    /// Stores of which none is open yet; those that are files lie in `directory`. They run on the
    /// runtime that this is called on.
    pub fn new(default: StoreId, directory: PathBuf) -> Self {
        let here = StoreId::HERE.iter();
        let (touched, to_follow) = mpsc::unbounded_channel();
        Self {
            default,
            directory,
            open: here.map(|id| (*id, OnceLock::new())).collect(),
            runtime: Handle::current(),
            changed: std::sync::Arc::default(),
            touched,
            to_follow: Mutex::new(to_follow),
        }
    }

    /// For tests: `store` in the place of this system's keychain.
    #[cfg(test)]
    pub(crate) fn of(store: Store, directory: PathBuf) -> Self {
        let keychain = StoreId::HERE[0];
        let stores = Self::new(keychain, directory);
        stores.open[&keychain].get_or_init(|| stores.watched(store));
        stores
    }

    /// A store. One that this build does not have is an error that names those it has.
    pub fn get(&self, id: StoreId) -> Result<&Store, Error> {
        let store = self.open.get(&id).ok_or_else(|| not_here(id))?;
        if let Some(open) = store.get() {
            return Ok(open);
        }
        let backend = Backend::open(id, &self.directory).ok_or_else(|| not_here(id))?;
        let _entered = self.runtime.enter();
        Ok(
            store
                .get_or_init(|| self.watched(Store::spawn_followed(backend, self.touched.clone()))),
        )
    }

    /// The stores where tokens of an earlier index may be: the default one, and the file where it
    /// exists.
    pub fn to_search(&self) -> Vec<StoreId> {
        let file = file_in(&self.directory).exists() && self.default != StoreId::File;
        [self.default]
            .into_iter()
            .chain(file.then_some(StoreId::File))
            .collect()
    }

    /// Closes the store that a passphrase has opened.
    pub async fn close(&self) {
        if let Some(store) = self.open.get(&StoreId::File).and_then(OnceLock::get)
            && let Err(error) = store.close().await
        {
            tracing::warn!(store = store.id().as_str(), %error, "not closed");
        }
    }

    /// Completes when the state of a store has changed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The next item that was touched in a store, by another program or by this one. For one follower.
    pub(crate) async fn next_change(&self) -> Option<(StoreId, Change)> {
        self.to_follow.lock().await.recv().await
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

fn not_here(id: StoreId) -> Error {
    let here: Vec<String> = StoreId::HERE
        .iter()
        .map(|id| format!("--store {}", id.as_str()))
        .collect();
    Error::new(
        Kind::StoreUnavailable,
        format!("the store {} does not exist on this system", id.as_str()),
    )
    .hint(format!("use {}", here.join(" or ")))
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores")
            .field("default", &self.default)
            .finish_non_exhaustive()
    }
}
