//! Where the value of a token is found: in locked memory, else in its store.

use std::collections::{HashMap, HashSet};
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
    known: Mutex<Known>,
}

/// What is remembered of the values beside them. Whoever puts one into the arena holds this, so that
/// none comes in while hfd is being locked.
#[derive(Debug, Default)]
struct Known {
    /// Every value that may be in the arena, and what `list` shows, which outlives its place there;
    /// nothing for one that is too short to show anything of.
    masked: HashMap<Fingerprint, Option<String>>,
    /// While hfd is locked nothing is remembered.
    locked: bool,
}

impl Values {
    /// Nothing is known yet.
    pub fn new(salt: Salt, stores: Arc<Stores>) -> Self {
        Self {
            salt,
            stores,
            arena: Arena::new(),
            known: Mutex::default(),
        }
    }

    /// Wipes everything and remembers nothing more, or begins to again.
    pub fn lock(&self, locked: bool) {
        let mut known = lock(&self.known);
        known.locked = locked;
        if locked {
            self.arena.clear();
            known.masked.clear();
        }
    }

    /// Remembers the value of an access token.
    pub fn learn(&self, print: Fingerprint, value: &Secret) {
        let mut known = lock(&self.known);
        if !known.locked {
            self.arena.put(print, value);
            known.masked.insert(print, value.masked());
        }
    }

    /// The value, if it is in memory.
    pub fn cached(&self, print: Fingerprint) -> Option<Secret> {
        self.arena.get(&print)
    }

    /// First three and last four characters, if the value was ever seen.
    pub fn masked(&self, print: Fingerprint) -> Option<String> {
        lock(&self.known).masked.get(&print).cloned().flatten()
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
        let print = self.saw(&value);
        Ok((value, print))
    }

    /// Remembers the value of an access token that was read from its store.
    pub fn saw(&self, value: &Secret) -> Fingerprint {
        let print = self.salt.fingerprint(value);
        self.learn(print, value);
        print
    }

    /// Forgets a value, but not what it looked like.
    pub fn forget(&self, print: Fingerprint) {
        self.arena.remove(&print);
    }

    /// Forgets the values that no token has any more.
    pub fn keep(&self, index: &Index) {
        let current: HashSet<_> = index.tokens.values().map(|record| record.access).collect();
        lock(&self.known).masked.retain(|print, _| {
            let keep = current.contains(print);
            if !keep {
                self.arena.remove(print);
            }
            keep
        });
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

#[cfg(test)]
mod tests {
    use hfd_core::model::Change;
    use hfd_proto::{Endpoint, StoreId, TokenKind};

    use super::*;
    use crate::store::{Backend, Memory, Store};

    #[tokio::test]
    async fn what_no_token_has_any_more_is_wiped_however_little_is_known() {
        let salt = Salt([1; 16]);
        let (memory, _) = Memory::new(StoreId::HERE[0]);
        let store = Store::spawn(Backend::Memory(memory));
        let values = Values::new(salt, Arc::new(Stores::of(store, std::path::PathBuf::new())));
        let secrets = ["hf_1", "hf_of_twenty_letters"].map(|value| Secret::parse(value).unwrap());
        let [short, long] = secrets.each_ref().map(|value| salt.fingerprint(value));
        let mut index = Index::new(salt);
        // Two tokens of which nothing was seen, and two values that nobody has.
        for name in ["a", "b"] {
            index.apply(Change::Put {
                name: TokenName::parse(name).unwrap(),
                record: Record::new(
                    Endpoint::default(),
                    TokenKind::AccessToken,
                    StoreId::HERE[0],
                    salt.fingerprint(&Secret::parse(&format!("hf_unseen_{name}")).unwrap()),
                ),
            });
        }
        values.learn(short, &secrets[0]);
        values.learn(long, &secrets[1]);
        assert!(values.cached(short).is_some() && values.masked(long).is_some());
        values.keep(&index);
        assert!(values.cached(short).is_none() && values.cached(long).is_none());
        assert_eq!(values.masked(long), None);
        values.lock(true);
        values.learn(long, &secrets[1]);
        assert!(values.cached(long).is_none());
    }
}
