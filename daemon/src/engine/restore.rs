//! What was logged out or replaced: kept in the store for 30 days, and brought back.

use hfd_core::model::{Change, KEPT_FOR, Kept, MAX_KEPT, Record};
use hfd_proto::{Error, KeptEntry, Kind, Restore, RestoreReply, Secret, StoreState, TokenName};

use super::Worker;
use super::change::{items, kept_items};
use super::sync::now;
use crate::journal::Item;

/// What it takes to keep a token that goes.
#[derive(Default)]
pub(super) struct Keeping {
    /// Its values under another key.
    pub(super) puts: Vec<(Item, Secret)>,
    /// What the index remembers; nothing where the store does not hold the token.
    pub(super) change: Option<Change>,
}

impl Worker {
    /// `hfd restore`: what there is, or one of them brought back.
    pub(super) async fn restore(&mut self, request: Restore) -> Result<RestoreReply, Error> {
        let home = self.prepare(request.home.as_ref(), None).await?;
        let mut pending = Vec::new();
        if let Some(name) = &request.name {
            self.bring_back(name).await?;
            self.event("restore", Some(name), None);
            pending = self.write_mirrors(home.as_ref(), name).await?;
        }
        let kept = self.index().kept.iter().rev();
        let kept = kept.filter(|kept| !is_over(kept)).map(entry).collect();
        Ok(RestoreReply {
            restored: request.name,
            kept,
            pending,
        })
    }

    async fn bring_back(&mut self, name: &TokenName) -> Result<(), Error> {
        let mut kept = self.index().kept.iter().rev();
        let wanted = |kept: &&Kept| kept.name == *name && !is_over(kept);
        let Some(kept) = kept.find(wanted).cloned() else {
            let name = name.escaped();
            return Err(
                Error::new(Kind::NoSuchToken, format!("nothing is kept of `{name}`"))
                    .hint("`hfd restore` lists what can be brought back"),
            );
        };
        let old_items = kept_items(&kept);
        let new_items = items(name, &kept.record);
        let mut puts = Vec::new();
        let mut deletes = old_items.clone();
        let mut changes = Vec::new();
        if let Some(current) = self.index().tokens.get(name).cloned() {
            // What it has and the other has not: a refresh token, another place.
            let current_items = items(name, &current).into_iter();
            deletes.extend(current_items.filter(|item| !new_items.contains(item)));
            if current.access != kept.record.access {
                // What stands in its place now can be brought back in turn.
                let keeping = self.keep(name, &current, "hfd", true).await?;
                puts.extend(keeping.puts);
                changes.extend(keeping.change);
            }
        }
        for (item, old) in new_items.into_iter().zip(&old_items) {
            match self.read_item(old).await? {
                Some(value) => puts.push((item, value)),
                None if item.refresh => {}
                None => {
                    let store = kept.record.store.title();
                    return Err(Error::new(
                        Kind::StoreUnavailable,
                        format!("{store} does not hold `{}` any more", name.escaped()),
                    ));
                }
            }
        }
        changes.push(Change::Put {
            name: name.clone(),
            record: kept.record.clone(),
        });
        changes.push(Change::Forget {
            name: name.clone(),
            access: kept.record.access,
        });
        self.transact(puts, deletes, changes).await
    }

    /// Prepares to keep a token that is about to go. Nothing is kept of one whose value the store
    /// does not hold.
    pub(super) async fn keep(
        &self,
        name: &TokenName,
        record: &Record,
        by: &str,
        replaced: bool,
    ) -> Result<Keeping, Error> {
        let kept = Kept {
            name: name.clone(),
            record: record.clone(),
            at: now(),
            by: by.to_owned(),
            replaced,
            number: record.access.half(),
        };
        let mut puts = Vec::new();
        for (old, new) in items(name, record).iter().zip(kept_items(&kept)) {
            let cached = match old.refresh {
                true => None,
                false => self.parts.values.cached(record.access),
            };
            let value = match cached {
                Some(value) => Some(value),
                None => self.read_item(old).await?,
            };
            match value {
                Some(value) => puts.push((new, value)),
                None if old.refresh => {}
                None => return Ok(Keeping::default()),
            }
        }
        let change = Some(Change::Keep { kept });
        Ok(Keeping { puts, change })
    }

    /// Removes what is kept for longer than promised, or too much. A store that does not answer
    /// keeps it until it does.
    pub(super) async fn expire_kept(&mut self) {
        let surplus = self.index().kept.len().saturating_sub(MAX_KEPT);
        let kept = self.index().kept.iter().enumerate();
        let expired: Vec<Kept> = kept
            .filter(|(at, kept)| *at < surplus || is_over(kept))
            .map(|(_, kept)| kept.clone())
            .collect();
        for kept in expired {
            let store = self.parts.stores.get(kept.record.store);
            if !store.is_ok_and(|store| store.status().state == StoreState::Ready) {
                continue;
            }
            let forget = Change::Forget {
                name: kept.name.clone(),
                access: kept.record.access,
            };
            let done = self.transact(Vec::new(), kept_items(&kept), vec![forget]);
            if let Err(error) = done.await {
                tracing::debug!(%error, "what was kept stays for now");
                return;
            }
        }
    }
}

/// Whether it was kept for as long as promised. It may still be there: a store that does not answer
/// keeps it.
fn is_over(kept: &Kept) -> bool {
    kept.at < now() - KEPT_FOR
}

fn entry(kept: &Kept) -> KeptEntry {
    KeptEntry {
        name: kept.name.clone(),
        user: kept.record.user.clone(),
        endpoint: kept.record.endpoint.clone(),
        at: kept.at,
        until: kept.at + KEPT_FOR,
        by: kept.by.clone(),
        replaced: kept.replaced,
    }
}
