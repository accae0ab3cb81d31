//! Transactions: store and index change together, or not at all.

use std::io;

use hfd_core::model::{Change, Kept, Record};
use hfd_proto::{Error, Kind, Secret, StoreId, TokenName};
use tokio::time::timeout_at;

use super::Worker;
use crate::journal::Item;
use crate::store::{Effect, Part, StoreError};

/// Edits that share a call to a store: few enough that a keychain answers in time.
const TOGETHER: usize = 64;

/// The index or the journal could not be written.
pub(super) fn disk(error: &io::Error) -> Error {
    Error::new(Kind::Other, format!("cannot write hfd's index: {error}"))
        .hint("make room on the disk of the state directory, then repeat the command")
}

/// The items of what is kept for `hfd restore`.
pub(super) fn kept_items(kept: &Kept) -> Vec<Item> {
    let mut items = items(&kept.name, &kept.record);
    for item in &mut items {
        item.kept = Some(kept.number);
    }
    items
}

/// The items of a token in its store.
pub(super) fn items(name: &TokenName, record: &Record) -> Vec<Item> {
    let item = |refresh| Item {
        store: record.store,
        endpoint: record.endpoint.clone(),
        name: name.clone(),
        refresh,
        kept: None,
    };
    [item(false)]
        .into_iter()
        .chain(record.refresh.map(|_| item(true)))
        .collect()
}

impl Worker {
    /// Writes an intent down, carries it out in the store, and applies its changes to the index.
    ///
    /// # Errors
    /// As the store's. Where it did not answer in time the intent stays: what came of it is read
    /// back later, and then completed or undone.
    pub(super) async fn transact(
        &mut self,
        puts: Vec<(Item, Secret)>,
        deletes: Vec<Item>,
        changes: Vec<Change>,
    ) -> Result<(), Error> {
        self.check_settled(&puts, &deletes)?;
        let salt = self.index().salt;
        let prints = puts
            .iter()
            .map(|(item, value)| (item.clone(), salt.fingerprint(value)))
            .collect();
        let id = self
            .parts
            .journal
            .intend(prints, deletes.clone(), changes)
            .map_err(|e| disk(&e))?;
        let mut touched = false;
        if let Err(error) = self.in_store(&puts, &deletes, &mut touched).await {
            if touched {
                return Err(begun(error));
            }
            if let Err(error) = self.parts.journal.undone(id) {
                // It stays open, and is then found not to have happened.
                tracing::warn!(%error, "cannot write the journal");
            }
            return Err(error);
        }
        self.parts.journal.done(id).map_err(|e| unrecorded(&e))?;
        for (item, value) in puts
            .iter()
            .filter(|(item, _)| item.key().part == Part::Access)
        {
            tracing::debug!(name = ?item.name, "stored");
            self.parts.values.learn(salt.fingerprint(value), value);
        }
        Ok(())
    }

    /// A change that is still open may yet happen, and would then undo a later one of the same token.
    fn check_settled(&self, puts: &[(Item, Secret)], deletes: &[Item]) -> Result<(), Error> {
        let wanted = || puts.iter().map(|(item, _)| item).chain(deletes);
        let open = self.parts.journal.unsettled.iter().flat_map(|transaction| {
            let puts = transaction.puts.iter().map(|(item, _)| item);
            puts.chain(&transaction.deletes)
        });
        for item in open {
            if wanted().any(|wanted| wanted.name == item.name) {
                let name = item.name.escaped();
                return Err(Error::new(
                    Kind::TimedOut,
                    format!(
                        "an earlier change of `{name}` is not settled yet; this one was not begun"
                    ),
                )
                .hint("`hfd status` tells when it is settled"));
            }
        }
        Ok(())
    }

    /// The store's part. `touched` tells whether anything may have been changed.
    pub(super) async fn in_store(
        &self,
        puts: &[(Item, Secret)],
        deletes: &[Item],
        touched: &mut bool,
    ) -> Result<(), Error> {
        let puts = puts.iter().map(|(item, value)| (item, Some(value)));
        let edits: Vec<_> = puts
            .chain(deletes.iter().map(|item| (item, None)))
            .collect();
        let calls = edits
            .chunk_by(|(one, _), (other, _)| one.store == other.store)
            .flat_map(|edits| edits.chunks(TOGETHER));
        for edits in calls {
            let id = edits[0].0.store;
            let store = self.parts.stores.get(id)?;
            let edits = edits
                .iter()
                .map(|(item, value)| (item.key(), value.cloned()));
            match timeout_at(self.deadline, store.write(edits.collect())).await {
                Ok(Ok(written)) => {
                    *touched |= written.count > 0;
                    if let Some(error) = written.stopped {
                        return Err(error.into());
                    }
                }
                Ok(Err(error)) => {
                    // A time-out in the queue is none in the middle of the call.
                    let late = StoreError::TimedOut {
                        store: id,
                        effect: Effect::Possible,
                    };
                    *touched |= error == late;
                    return Err(error.into());
                }
                Err(_) => {
                    *touched = true;
                    return Err(timed_out(id));
                }
            }
        }
        Ok(())
    }

    /// Changes of the index alone, durable before they are answered.
    pub(super) fn change(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        self.parts
            .journal
            .change(changes, true)
            .map_err(|error| disk(&error))
    }

    /// The store for new tokens, or the one asked for.
    pub(super) fn store_for(&self, asked: Option<StoreId>) -> StoreId {
        asked.unwrap_or(self.parts.stores.default)
    }

    /// Reads one item within the job's deadline.
    pub(super) async fn read_item(&self, item: &Item) -> Result<Option<Secret>, Error> {
        let store = self.parts.stores.get(item.store)?;
        match timeout_at(self.deadline, store.get(&item.key())).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(timed_out(item.store)),
        }
    }
}

/// Part of a change was made before the store refused the rest.
fn begun(error: Error) -> Error {
    if error.kind == Kind::TimedOut {
        return error;
    }
    let message = format!("{}; the change was begun", error.message);
    Error::new(Kind::TimedOut, message).hint("`hfd status` tells when it is completed or undone")
}

/// The store holds a change that the index cannot be told of.
fn unrecorded(error: &io::Error) -> Error {
    Error::new(
        Kind::Other,
        format!("the keychain holds the change, but hfd's index cannot be written: {error}"),
    )
    .hint("make room on the disk of the state directory: it is completed then")
}

pub(super) fn timed_out(store: StoreId) -> Error {
    let store = store.as_str();
    Error::new(
        Kind::TimedOut,
        format!("the store {store} did not answer in time; the change may still take effect"),
    )
    .hint("`hfd status` tells when it is settled")
}
