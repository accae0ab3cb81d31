//! Items of an open collection.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use futures_util::future::try_join_all;
use hfd_proto::Secret;
use secret_service::{Error, Item};
use zeroize::Zeroizing;

use super::bus::Bus;
use super::changes::Look;
use super::fault::{Fault, Ticket};
use crate::store::{Change, Key, Part};

/// Tokens are printable ASCII, and KWallet takes nothing but text.
const CONTENT_TYPE: &str = "text/plain";

/// The value of the attribute `service`.
const SERVICE: &str = "hfd";

/// Questions that are under way at the same time: enough to hide the way there and back, few enough
/// that the last is answered within the time-out of a message.
const TOGETHER: usize = 128;

/// A collection that was found unlocked a moment ago.
pub(super) struct Collection<'a> {
    pub(super) collection: secret_service::Collection<'a>,
    pub(super) service: &'a super::Service,
    pub(super) bus: &'a Bus,
}

impl Collection<'_> {
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Secret>, Fault> {
        match self.find(key).await?.first() {
            None => self.must_be_open().await.map(|()| None),
            Some(item) => read(item, key).await.map(Some),
        }
    }

    /// An error where it was locked meanwhile: what is not found then may be there all the same.
    async fn must_be_open(&self) -> Result<(), Fault> {
        match self.collection.is_locked().await? {
            true => Err(Fault::Locked),
            false => Ok(()),
        }
    }

    /// Updates the item of `key`, or makes one where there is none. `SetSecret` on the same item
    /// and not `CreateItem` with `replace`, which KeePassXC asks its user about.
    pub(super) async fn put(
        &self,
        key: &Key,
        secret: &Secret,
        ticket: &Ticket,
    ) -> Result<(), Fault> {
        let value = secret.expose().as_bytes();
        let found = self.find(key).await?;
        let made;
        let item = match found.first() {
            Some(item) => {
                ticket.change(item.set_secret(value, CONTENT_TYPE)).await?;
                item
            }
            None => {
                made = ticket.change(self.create(key, value)).await?;
                &made
            }
        };
        match read(item, key).await {
            Ok(kept) if kept == *secret => {}
            Ok(_) | Err(Fault::Unusable { .. }) => {
                return Err(Fault::NotKept(key.name.escaped()));
            }
            Err(fault) => return Err(fault),
        }
        for double in found.iter().skip(1) {
            // Older, so no longer what anyone means. One that stays is in nobody's way.
            if let Err(error) = self.remove(double).await {
                let fault = Fault::from(error);
                tracing::warn!(item = %double.item_path.as_str(), "a double stays: {fault}");
            }
        }
        Ok(())
    }

    /// Removes every item of `key`, the newest last: a double must not come to light when the rest
    /// cannot be removed.
    pub(super) async fn delete(&self, key: &Key, ticket: &Ticket) -> Result<bool, Fault> {
        let found = self.find(key).await?;
        if found.is_empty() {
            self.must_be_open().await?;
        }
        for item in found.iter().rev() {
            ticket.change(self.remove(item)).await?;
        }
        // None is left where the provider ended over the first attempt and had removed it.
        Ok(!found.is_empty() || ticket.was_used())
    }

    /// The keys of all our items, in order. Items that hfd did not write are passed over.
    pub(super) async fn keys(&self) -> Result<Vec<Key>, Fault> {
        let ours = HashMap::from([("service", SERVICE)]);
        let items = self.collection.search_items(ours).await?;
        let mut keys = BTreeSet::new();
        // There is no call for the attributes of many items.
        for items in items.chunks(TOGETHER) {
            let all = try_join_all(items.iter().map(Item::get_attributes)).await?;
            keys.extend(all.iter().filter_map(key));
        }
        self.must_be_open().await?;
        Ok(keys.into_iter().collect())
    }

    /// What there is to tell of something that was touched. More may be touched then.
    pub(super) async fn look_at(&self, look: &Look) -> Result<Option<Change>, Fault> {
        let touch = |key: Key| {
            // Nobody follows what is not kept in memory.
            if key.part == Part::Access {
                self.bus.changes.touch(key);
            }
        };
        match look {
            Look::Listing { many } => {
                let keys = self.keys().await?;
                if *many {
                    keys.iter().cloned().for_each(touch);
                }
                Ok(Some(Change::Remaining(keys)))
            }
            Look::Item(path) => {
                let item = self.service.get_item_by_path(path.clone()).await?;
                match item.get_attributes().await.map_err(Fault::from) {
                    Ok(attributes) => key(&attributes).into_iter().for_each(touch),
                    // Gone again, or nobody may look at it.
                    Err(Fault::Refused(_) | Fault::Stale(_) | Fault::Locked) => {}
                    Err(fault) => return Err(fault),
                }
                Ok(None)
            }
            Look::Key(key) => {
                let value = match self.get(key).await {
                    // There is something, but no token.
                    Err(Fault::Unusable { .. }) => None,
                    value => value?,
                };
                let key = key.clone();
                Ok(Some(Change::Touched { key, value }))
            }
        }
    }

    /// The items of `key`, newest first. There is one, unless another program made a double.
    async fn find(&self, key: &Key) -> Result<Vec<Item<'_>>, Fault> {
        let (username, part) = (key.username(), key.part.attribute());
        let items = self
            .collection
            .search_items(attributes(&username, &part))
            .await?;
        if items.len() < 2 {
            return Ok(items);
        }
        let mut dated = Vec::with_capacity(items.len());
        for item in items {
            let modified = item.get_modified().await?;
            dated.push((Reverse(modified), item));
        }
        dated.sort_by(|(one, a), (other, b)| {
            // Within one second, the one that was numbered last.
            let number =
                |item: &Item<'_>| Reverse((item.item_path.len(), item.item_path.to_string()));
            one.cmp(other).then_with(|| number(a).cmp(&number(b)))
        });
        Ok(dated.into_iter().map(|(_, item)| item).collect())
    }

    async fn create(&self, key: &Key, value: &[u8]) -> Result<Item<'_>, Error> {
        let (username, part, label) = (key.username(), key.part.attribute(), key.label());
        let attributes = attributes(&username, &part);
        let creating = self
            .collection
            .create_item(&label, attributes, value, false, CONTENT_TYPE);
        self.bus.prompts.watch(&self.bus.connection, creating).await
    }

    async fn remove(&self, item: &Item<'_>) -> Result<(), Error> {
        let removing = item.delete();
        self.bus.prompts.watch(&self.bus.connection, removing).await
    }
}

/// What every item of ours carries, and all it carries.
fn attributes<'a>(username: &'a str, part: &'a str) -> HashMap<&'a str, &'a str> {
    HashMap::from([("service", SERVICE), ("username", username), ("hfd", part)])
}

/// Whose item it is that carries these; nobody's that hfd knows of where it did not write them.
fn key(attributes: &HashMap<String, String>) -> Option<Key> {
    if attributes.get("service")? != SERVICE {
        return None;
    }
    Key::parse(attributes.get("username")?, attributes.get("hfd")?)
}

/// The value of an item. An empty one is what KWallet has of an item that it had not yet written
/// when it was killed; it is an error like any other text that is no token.
async fn read(item: &Item<'_>, key: &Key) -> Result<Secret, Fault> {
    let value = Zeroizing::new(item.get_secret().await?);
    let unusable = |why: &str| Fault::Unusable {
        name: key.name.escaped(),
        why: why.to_owned(),
    };
    let text = std::str::from_utf8(&value).map_err(|_| unusable("it is not text"))?;
    Secret::parse(text).map_err(|why| unusable(&why.to_string()))
}
