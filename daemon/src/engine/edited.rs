//! Values that another program has put into the keychain.

use hfd_core::model::{Change, Fingerprint, Record};
use hfd_core::renewal::Renewal;
use hfd_proto::{Error, StoreId, TokenName};

use super::Worker;
use super::change::items;
use super::restore::Keeping;
use super::settle::item;
use crate::store::{Key, Part};

impl Worker {
    /// Some program has changed a value in a store. What cannot be read is left for whoever asks for it.
    pub(super) async fn edited(&mut self, id: StoreId, key: &Key) {
        let record = self.index().tokens.get(&key.name);
        let is_it = |record: &&Record| record.store == id && record.endpoint == key.endpoint;
        let Some(old) = record.filter(is_it).map(|record| record.access) else {
            return;
        };
        if key.part != Part::Access || self.index().locked {
            return;
        }
        if let Ok(Some(value)) = self.read_item(&item(id, key)).await {
            let new = self.index().salt.fingerprint(&value);
            if new != old {
                self.parts.values.learn(new, &value);
                self.replaced(&key.name, old, new).await;
                self.publish();
            }
        }
    }

    /// A value that another program put into the keychain is taken for the token's, of which nothing
    /// else is known then. What the old one was renewed with is not the new one's: that goes to
    /// `hfd restore`, with the old value where a file still has it.
    pub(super) async fn replaced(&mut self, name: &TokenName, old: Fingerprint, new: Fingerprint) {
        let unsettled = self.parts.journal.unsettled.iter();
        let mut open = unsettled.flat_map(|transaction| &transaction.puts);
        let Some(record) = self.index().tokens.get(name) else {
            return;
        };
        if record.access != old || open.any(|(item, _)| item.name == *name) {
            return;
        }
        let record = record.clone();
        tracing::info!("another program changed a token in the keychain");
        match self.put_replaced(name, &record, new).await {
            Ok(()) => {
                self.unmark(name, &record).await;
                self.event("updated", Some(name), None);
                self.sync_mirrors().await;
            }
            Err(error) => tracing::warn!(%error, "a changed token is not taken up"),
        }
    }

    async fn put_replaced(
        &mut self,
        name: &TokenName,
        old: &Record,
        new: Fingerprint,
    ) -> Result<(), Error> {
        let keeping = match self.shown(old.access).await {
            Some(value) => {
                // The keychain has the new one in its place.
                self.parts.values.learn(old.access, &value);
                self.keep(name, old, "another program", true).await?
            }
            None => Keeping::default(),
        };
        let gone = items(name, old).into_iter().filter(|item| item.refresh);
        let mut changes: Vec<Change> = keeping.change.into_iter().collect();
        changes.push(Change::Put {
            name: name.clone(),
            record: Record {
                access: new,
                user: None,
                role: None,
                expires_at: None,
                refresh: None,
                renewal: Renewal::default(),
                ..old.clone()
            },
        });
        self.transact(keeping.puts, gone.collect(), changes).await
    }
}
