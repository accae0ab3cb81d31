//! What came of changes whose store call timed out or was cut off, and of tokens that an index
//! before this one knew.

use std::time::Duration;

use hfd_core::model::{Change, Record};
use hfd_proto::{Error, Secret, StoreId, StoreState, TokenKind, TokenName};
use tokio::time::timeout_at;

use super::Worker;
use super::change::timed_out;
use crate::journal::{Item, Transaction};
use crate::store::{Key, Part};

/// The first look after a time-out, and the longest pause between looks: a provider that a person
/// thaws is noticed soon, one that is gone costs two wake-ups a minute.
pub(super) const FIRST: Duration = Duration::from_millis(500);
pub(super) const LAST: Duration = Duration::from_secs(30);

impl Worker {
    /// Reads back every intent whose outcome is open, oldest first, and completes or undoes it. One
    /// whose store is known not to answer is left for when it does: the store says so by itself.
    pub(super) async fn settle(&mut self) {
        for transaction in self.journal.unsettled.clone() {
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
            let store = self.stores.get(item.store);
            store.is_ok_and(|store| store.status().state == StoreState::Ready)
        })
    }

    async fn settle_one(&mut self, transaction: &Transaction) -> Result<(), Error> {
        let Some(lost_refresh) = self.read_back(transaction).await? else {
            tracing::info!(id = transaction.id, "undone: the store does not hold it");
            self.finish(transaction, "undone", |journal, id| journal.undone(id));
            return Ok(());
        };
        for item in &transaction.deletes {
            let stores = self.stores();
            let store = stores.get(item.store)?;
            match timeout_at(self.deadline, store.delete(&item.key())).await {
                Ok(outcome) => drop(outcome?),
                Err(_) => return Err(timed_out(item.store)),
            }
        }
        self.finish(transaction, "settled", |journal, id| journal.done(id));
        if let Some(name) = lost_refresh {
            self.forget_refresh(&name);
        }
        Ok(())
    }

    /// Whether all access tokens are there as intended (`Some`), and which token lacks its refresh
    /// token; `None` when the change never reached the store.
    async fn read_back(
        &self,
        transaction: &Transaction,
    ) -> Result<Option<Option<TokenName>>, Error> {
        let mut lost_refresh = None;
        for (item, intended) in &transaction.puts {
            let found = self.read_item(item).await?;
            let found = found.map(|value| self.index().salt.fingerprint(&value));
            match (found == Some(*intended), item.refresh) {
                (true, _) => {}
                // The old name still has both: it stays.
                (false, true) if renames(transaction) => return Ok(None),
                (false, true) => lost_refresh = Some(item.name.clone()),
                (false, false) => return Ok(None),
            }
        }
        Ok(Some(lost_refresh))
    }

    fn finish(
        &mut self,
        transaction: &Transaction,
        event: &str,
        record: impl FnOnce(&mut crate::journal::Journal, u64) -> std::io::Result<()>,
    ) {
        if let Err(error) = record(&mut self.journal, transaction.id) {
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
        if self.journal.complete {
            return;
        }
        for id in self.stores.to_search() {
            if let Err(error) = self.search_store(id).await {
                tracing::debug!(store = id.as_str(), %error, "not searched yet");
                return;
            }
        }
        if let Err(error) = self.journal.completed() {
            tracing::warn!(%error, "cannot write the index");
        }
    }

    async fn search_store(&mut self, id: StoreId) -> Result<(), Error> {
        let stores = self.stores();
        let store = stores.get(id)?;
        let keys = match timeout_at(self.deadline, store.keys()).await {
            Ok(keys) => keys?,
            Err(_) => return Err(timed_out(id)),
        };
        let mut changes = Vec::new();
        for key in keys.iter().filter(|key| key.part == Part::Access) {
            if self.index().tokens.contains_key(&key.name) {
                continue;
            }
            let Some(access) = self.read_item(&item(id, key, Part::Access)).await? else {
                continue;
            };
            let has_refresh = keys.contains(&Key {
                part: Part::Refresh,
                ..key.clone()
            });
            let refresh = match has_refresh {
                true => self.read_item(&item(id, key, Part::Refresh)).await?,
                false => None,
            };
            changes.push(self.found(id, key, &access, refresh.as_ref()));
        }
        let found = changes.len();
        self.change(changes)?;
        if found > 0 {
            tracing::info!(
                store = id.as_str(),
                found,
                "took up tokens that the store holds"
            );
        }
        Ok(())
    }

    fn found(&self, id: StoreId, key: &Key, access: &Secret, refresh: Option<&Secret>) -> Change {
        let salt = self.index().salt;
        let print = salt.fingerprint(access);
        self.values.learn(print, access);
        Change::Put {
            name: key.name.clone(),
            record: Record {
                refresh: refresh.map(|value| salt.fingerprint(value)),
                named: !key.name.as_str().starts_with("unnamed-"),
                ..Record::new(
                    key.endpoint.clone(),
                    kind_of(access, refresh.is_some()),
                    id,
                    print,
                )
            },
        }
    }
}

fn renames(transaction: &Transaction) -> bool {
    let mut changes = transaction.changes.iter();
    changes.any(|change| matches!(change, Change::Rename { .. }))
}

fn item(store: StoreId, key: &Key, part: Part) -> Item {
    Item {
        store,
        endpoint: key.endpoint.clone(),
        name: key.name.clone(),
        refresh: part == Part::Refresh,
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
