//! The index beside what the stores hold.

use std::collections::BTreeSet;

use hfd_proto::{Compare, Compared, Error, StoreId, TokenName};
use tokio::time::timeout_at;

use super::Worker;
use super::change::{disk, items, timed_out};
use super::settle::item;
use crate::store::{Key, Part};

impl Worker {
    /// Says where the two differ, after it was mended where that is asked for.
    pub(super) async fn compare(&mut self, request: &Compare) -> Result<Compared, Error> {
        let mut found = Vec::new();
        if request.repair {
            self.check_unlocked()?;
            let before: BTreeSet<TokenName> = self.index().tokens.keys().cloned().collect();
            self.parts.journal.write_anew().map_err(|e| disk(&e))?;
            for id in StoreId::HERE {
                // One that cannot be read is told of below.
                if let Err(error) = self.search_store(*id).await {
                    tracing::debug!(store = id.as_str(), %error, "not searched");
                }
            }
            let now = self.index().tokens.keys();
            found.extend(now.filter(|name| !before.contains(name)).cloned());
            self.sync_mirrors().await;
        }
        let mut told = Compared {
            missing: Vec::new(),
            unknown: 0,
            found,
            unread: Vec::new(),
            index: self.parts.journal.is_there(),
        };
        for id in StoreId::HERE {
            match self.keys_of(*id).await {
                Ok(keys) => self.differences(*id, &keys, &mut told).await?,
                Err(error) => {
                    tracing::debug!(store = id.as_str(), %error, "not read");
                    told.unread.push((*id).into());
                }
            }
        }
        Ok(told)
    }

    pub(super) async fn keys_of(&self, id: StoreId) -> Result<Vec<Key>, Error> {
        let store = self.parts.stores.get(id)?;
        match timeout_at(self.deadline, store.keys()).await {
            Ok(keys) => Ok(keys?),
            Err(_) => Err(timed_out(id)),
        }
    }

    async fn differences(
        &self,
        id: StoreId,
        keys: &[Key],
        told: &mut Compared,
    ) -> Result<(), Error> {
        let held: BTreeSet<&Key> = keys.iter().collect();
        let here = self.index().tokens.iter();
        for (name, record) in here.filter(|(_, record)| record.store == id) {
            let access = items(name, record).first().map(crate::journal::Item::key);
            if access.is_some_and(|key| !held.contains(&key)) {
                told.missing.push(name.clone());
            }
        }
        for key in keys {
            let is_token = matches!(key.part, Part::Access | Part::KeptAccess(_));
            if !is_token || self.knows(id, key) {
                continue;
            }
            let value = self.read_item(&item(id, key)).await?;
            // What was logged out is not missed.
            if value.is_some_and(|value| !self.was_removed(key, &value)) {
                told.unknown += 1;
            }
        }
        Ok(())
    }
}
