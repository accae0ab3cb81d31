//! Where the value of a token is found: in locked memory, else in its store.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hfd_core::model::{Fingerprint, Index, Record, Salt};
use hfd_proto::{Error, Kind, Secret, TokenName};

use crate::arena::Arena;
use crate::store::{Key, Part};
use crate::stores::Stores;

/// The values of access tokens that were seen, by fingerprint. Refresh tokens are never kept.
#[derive(Debug)]
pub struct Values {
    salt: Salt,
    stores: Arc<Stores>,
    arena: Arena<Fingerprint>,
    /// What `list` shows, which outlives the value's place in the arena.
    masked: Mutex<HashMap<Fingerprint, String>>,
    /// While hfd is locked nothing is remembered.
    locked: AtomicBool,
}

impl Values {
    /// Nothing is known yet.
    pub fn new(salt: Salt, stores: Arc<Stores>) -> Self {
        Self {
            salt,
            stores,
            arena: Arena::new(),
            masked: Mutex::default(),
            locked: AtomicBool::new(false),
        }
    }

    /// Wipes everything and remembers nothing more, or begins to again.
    pub fn lock(&self, locked: bool) {
        self.locked.store(locked, Ordering::Release);
        if locked {
            self.arena.clear();
            lock(&self.masked).clear();
        }
    }

    /// Remembers the value of an access token.
    pub fn learn(&self, print: Fingerprint, value: &Secret) {
        if self.locked.load(Ordering::Acquire) {
            return;
        }
        self.arena.put(print, value);
        if let Some(masked) = value.masked() {
            lock(&self.masked).insert(print, masked);
        }
    }

    /// The value, if it is in memory.
    pub fn cached(&self, print: Fingerprint) -> Option<Secret> {
        self.arena.get(&print)
    }

    /// First three and last four characters, if the value was ever seen.
    pub fn masked(&self, print: Fingerprint) -> Option<String> {
        lock(&self.masked).get(&print).cloned()
    }

    /// Whether the memory of the values is kept out of swap.
    pub fn locked_memory(&self) -> bool {
        self.arena.locked()
    }

    /// The access token of a record, from memory, else from its store, and its fingerprint. The
    /// store is the truth for values: it is not the record's where another program changed the item.
    pub async fn of(
        &self,
        name: &TokenName,
        record: &Record,
    ) -> Result<(Secret, Fingerprint), Error> {
        if let Some(value) = self.cached(record.access) {
            return Ok((value, record.access));
        }
        let value = self.stored(name, record, Part::Access).await?;
        let print = self.salt.fingerprint(&value);
        self.learn(print, &value);
        Ok((value, print))
    }

    /// Forgets the values that no token has any more.
    pub fn keep(&self, index: &Index) {
        let mut masked = lock(&self.masked);
        if masked.len() > index.tokens.len() {
            let current: HashSet<_> = index.tokens.values().map(|record| record.access).collect();
            masked.retain(|print, _| {
                let keep = current.contains(print);
                if !keep {
                    self.arena.remove(print);
                }
                keep
            });
        }
    }

    /// One item of a record, asked of its store.
    pub async fn stored(
        &self,
        name: &TokenName,
        record: &Record,
        part: Part,
    ) -> Result<Secret, Error> {
        let key = Key {
            endpoint: record.endpoint.clone(),
            name: name.clone(),
            part,
        };
        let store = self.stores.get(record.store)?;
        store.get(&key).await?.ok_or_else(|| {
            let (name, store) = (name.escaped(), record.store.as_str());
            Error::new(
                Kind::StoreUnavailable,
                format!("the store {store} does not hold `{name}`"),
            )
            .hint("log in again, or open the keychain that it was stored in")
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding one of these; if it did, a cache is still a cache.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
