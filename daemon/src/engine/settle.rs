//! What came of changes whose store call timed out or was cut off, and of tokens that an index
//! before this one knew.

use hfd_core::model::{Change, Kept, Record};
use hfd_proto::{Error, Secret, StoreId, StoreState, TokenKind, TokenName};

use super::Worker;
use super::change::{items, kept_items};
use super::sync::now;
use crate::journal::{Item, Transaction};
use crate::store::{Key, Part};

/// How many tokens that a store holds are taken up together.
const CHUNK: usize = 32;

impl Worker {
    /// Reads back every intent whose outcome is open, oldest first, and completes or undoes it. One
    /// whose store is known not to answer is left for when it does: the store says so by itself.
    pub(super) async fn settle(&mut self) {
        for transaction in self.parts.journal.unsettled.clone() {
            if !self.answers(&transaction) {
                continue;
            }
            match self.settle_one(&transaction).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(id = transaction.id, %error, "not settled yet");
                    return;
                }
            }
        }
    }

    fn answers(&self, transaction: &Transaction) -> bool {
        let items = transaction.puts.iter().map(|(item, _)| item);
        items.chain(&transaction.deletes).all(|item| {
            let store = self.parts.stores.get(item.store);
            store.is_ok_and(|store| !store.was_asked() || store.status().state == StoreState::Ready)
        })
    }

    async fn settle_one(&mut self, transaction: &Transaction) -> Result<(), Error> {
        let mut there = Vec::new();
        for (item, intended) in &transaction.puts {
            let found = self.read_item(item).await?;
            if found.map(|value| self.index().salt.fingerprint(&value)) == Some(*intended) {
                there.push(item);
            }
        }
        let reached = |item: &Item| there.contains(&item);
        let mut missing = transaction.puts.iter().filter(|(item, _)| !reached(item));
        let whole = match separable(transaction) {
            true => missing.all(|(item, _)| item.refresh),
            // What it began with is still there: it stays.
            false => missing.next().is_none(),
        };
        let mut touched = false;
        if whole {
            self.in_store(&[], &transaction.deletes, &mut touched)
                .await?;
            self.finish(transaction, "settled", |journal, id| journal.done(id));
            let missing = transaction.puts.iter().filter(|(item, _)| !reached(item));
            for (item, _) in missing.filter(|(item, _)| item.kept.is_none()) {
                self.forget_refresh(&item.name);
            }
            return Ok(());
        }
        // Each of several imported tokens stands for itself. Of anything else nothing is kept.
        let lost = |name: &TokenName| {
            let mut puts = transaction.puts.iter();
            puts.any(|(item, _)| item.name == *name && !item.refresh && !reached(item))
        };
        let kept: Vec<&TokenName> = match separable(transaction) {
            true => there
                .iter()
                .map(|item| &item.name)
                .filter(|name| !lost(name))
                .collect(),
            false => Vec::new(),
        };
        let strays = there.iter().filter(|item| !kept.contains(&&item.name));
        let strays = strays.filter(|item| !self.is_known(item));
        let replaced = transaction.deletes.iter();
        let replaced = replaced.filter(|item| kept.contains(&&item.name));
        let deletes: Vec<Item> = strays.copied().chain(replaced).cloned().collect();
        self.in_store(&[], &deletes, &mut touched).await?;
        let changes = transaction.changes.iter().filter(|change| {
            matches!(change, Change::Put { name, .. } | Change::Take { name, .. } | Change::Keep { kept: Kept { name, .. } }
                if kept.contains(&name))
        });
        self.change(changes.cloned().collect())?;
        tracing::info!(
            id = transaction.id,
            kept = kept.len(),
            of = transaction.puts.len(),
            "undone: the store does not hold all of it"
        );
        self.finish(transaction, "undone", |journal, id| journal.undone(id));
        Ok(())
    }

    /// Whether the index knows whose item this is.
    fn is_known(&self, item: &Item) -> bool {
        let record = self.index().tokens.get(&item.name);
        let mut kept = self.index().kept.iter();
        record.is_some_and(|record| items(&item.name, record).contains(item))
            || kept.any(|kept| kept_items(kept).contains(item))
    }

    /// Whether a value is one that was logged out under this name: a copy of the store that was put back raises nobody.
    pub(super) fn was_removed(&self, key: &Key, access: &Secret) -> bool {
        let print = self.index().salt.fingerprint(access);
        let mut tombstones = self.index().tombstones.iter();
        tombstones.any(|tombstone| tombstone.name == key.name && tombstone.access == print)
    }

    /// Whether the index knows whose value a store holds under this key.
    pub(super) fn knows(&self, id: StoreId, key: &Key) -> bool {
        self.is_known(&item(id, key))
    }

    fn finish(
        &mut self,
        transaction: &Transaction,
        event: &str,
        record: impl FnOnce(&mut crate::journal::Journal, u64) -> std::io::Result<()>,
    ) {
        if let Err(error) = record(&mut self.parts.journal, transaction.id) {
            // It stays open and is looked at again.
            tracing::warn!(%error, "cannot write the journal");
            return;
        }
        let name = transaction.changes.iter().find_map(|change| match change {
            Change::Put { name, .. } | Change::Take { name, .. } => Some(name),
            Change::Remove { tombstone } => Some(&tombstone.name),
            Change::Rename { new, .. } => Some(new),
            _ => None,
        });
        self.event(event, name, None);
    }

    fn forget_refresh(&mut self, name: &TokenName) {
        let Some(record) = self.index().tokens.get(name) else {
            return;
        };
        let record = Record {
            refresh: None,
            ..record.clone()
        };
        if let Err(error) = self.change(vec![Change::Put {
            name: name.clone(),
            record,
        }]) {
            tracing::warn!(%error, "cannot write the journal");
        }
    }

    /// Where the index is new, takes up every token that the stores hold: names, kinds and
    /// endpoints come from the items themselves, the rest is asked of the Hub another day.
    pub(super) async fn search_stores(&mut self) {
        if self.parts.journal.complete {
            return;
        }
        for id in self.parts.stores.to_search() {
            if let Err(error) = self.search_store(id).await {
                tracing::debug!(store = id.as_str(), %error, "not searched yet");
                return;
            }
        }
        if let Err(error) = self.parts.journal.completed() {
            tracing::warn!(%error, "cannot write the index");
        }
    }

    pub(super) async fn search_store(&mut self, id: StoreId) -> Result<(), Error> {
        let keys = self.keys_of(id).await?;
        let unknown: Vec<&Key> = keys
            .iter()
            .filter(|key| matches!(key.part, Part::Access | Part::KeptAccess(_)))
            .filter(|key| !self.knows(id, key))
            .collect();
        // What is found is kept at once: thousands of tokens may take more than one attempt.
        for some in unknown.chunks(CHUNK) {
            let mut changes = Vec::new();
            for key in some {
                let same = |change: &Change| matches!(change, Change::Put { name, .. } if *name == key.name);
                if changes.iter().any(same) {
                    self.change(std::mem::take(&mut changes))?;
                }
                if let Part::KeptAccess(number) = key.part {
                    changes.extend(self.found_kept(id, key, number, &keys).await?);
                    continue;
                }
                if self.index().tokens.contains_key(&key.name) {
                    // Two Hubs, or two stores, with a token of the same name.
                    self.take_up_under_another_name(id, key).await?;
                    continue;
                }
                let Some(access) = self.read_item(&item(id, key)).await? else {
                    continue;
                };
                if self.was_removed(key, &access) {
                    continue;
                }
                let refresh = Key {
                    part: Part::Refresh,
                    ..(*key).clone()
                };
                let refresh = match keys.contains(&refresh) {
                    true => self.read_item(&item(id, &refresh)).await?,
                    false => None,
                };
                changes.push(Change::Put {
                    name: key.name.clone(),
                    record: self.found(id, key, &access, refresh.as_ref()),
                });
            }
            self.change(changes)?;
            let (store, found) = (id.as_str(), some.len());
            tracing::info!(store, found, "took up tokens that the store holds");
        }
        Ok(())
    }

    /// What is kept for `hfd restore`, from now on for the whole time again.
    async fn found_kept(
        &self,
        id: StoreId,
        key: &Key,
        number: u64,
        keys: &[Key],
    ) -> Result<Option<Change>, Error> {
        let Some(access) = self.read_item(&item(id, key)).await? else {
            return Ok(None);
        };
        let refresh = Key {
            part: Part::KeptRefresh(number),
            ..key.clone()
        };
        let refresh = match keys.contains(&refresh) {
            true => self.read_item(&item(id, &refresh)).await?,
            false => None,
        };
        let kept = Kept {
            name: key.name.clone(),
            record: self.found(id, key, &access, refresh.as_ref()),
            at: now(),
            by: "hfd".to_owned(),
            replaced: false,
            number,
        };
        Ok(Some(Change::Keep { kept }))
    }

    /// The access token of a key whose name another token has. Without its refresh token, which goes
    /// on to be found under the old name.
    async fn take_up_under_another_name(&mut self, id: StoreId, key: &Key) -> Result<(), Error> {
        let old = item(id, key);
        let Some(access) = self.read_item(&old).await? else {
            return Ok(());
        };
        let name = self.index().free_name(&key.name);
        let record = self.found(id, key, &access, None);
        let new = Item {
            name: name.clone(),
            ..old.clone()
        };
        let change = Change::Put { name, record };
        self.transact(vec![(new, access)], vec![old], vec![change])
            .await
    }

    fn found(&self, id: StoreId, key: &Key, access: &Secret, refresh: Option<&Secret>) -> Record {
        let salt = self.index().salt;
        let print = salt.fingerprint(access);
        self.parts.values.learn(print, access);
        Record {
            refresh: refresh.map(|value| salt.fingerprint(value)),
            named: !key.name.as_str().starts_with("unnamed-"),
            ..Record::new(
                key.endpoint.clone(),
                kind_of(access, refresh.is_some()),
                id,
                print,
            )
        }
    }
}

/// Whether its tokens stand each for itself: new ones do, what is renamed, removed or moved does not. Of what is
/// moved nothing leaves its store before all of it is in the other one.
fn separable(transaction: &Transaction) -> bool {
    let mut changes = transaction.changes.iter();
    let is_move = |old: &Item| {
        let mut puts = transaction.puts.iter();
        puts.any(|(new, _)| new.store != old.store && new.key() == old.key())
    };
    !changes.any(|change| matches!(change, Change::Rename { .. } | Change::Remove { .. }))
        && !transaction.deletes.iter().any(is_move)
}

pub(super) fn item(store: StoreId, key: &Key) -> Item {
    Item {
        store,
        endpoint: key.endpoint.clone(),
        name: key.name.clone(),
        refresh: matches!(key.part, Part::Refresh | Part::KeptRefresh(_)),
        kept: match key.part {
            Part::Access | Part::Refresh | Part::Renewing | Part::Probe => None,
            Part::KeptAccess(number) | Part::KeptRefresh(number) => Some(number),
        },
    }
}

/// What a value says of its kind without the Hub: browser logins get `hf_oauth_…`, and only they
/// come with a refresh token.
pub(super) fn kind_of(access: &Secret, has_refresh: bool) -> TokenKind {
    if has_refresh || access.expose().starts_with("hf_oauth_") {
        TokenKind::Oauth
    } else {
        TokenKind::AccessToken
    }
}
