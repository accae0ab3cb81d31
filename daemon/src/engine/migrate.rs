//! Tokens that move from one store to another: written there, read back, and then removed where they were.

use hfd_core::model::{Change, Kept, Record};
use hfd_proto::{Error, Migrate, Migrated, Secret, StoreId, TokenName};

use super::Worker;
use super::change::{items, kept_items};
use crate::journal::Item;

/// So many move together: a keychain takes them in a small part of a job's time.
const TOGETHER: usize = 16;

/// Something that rests in a store.
struct Load {
    name: TokenName,
    from: Vec<Item>,
    to: Vec<Item>,
    change: Change,
    is_kept: bool,
    /// It is being renewed: what comes of that is put where it was begun.
    flies: bool,
}

impl Worker {
    /// Moves the next few, or tells which there are.
    ///
    /// # Errors
    /// As the stores'. What was begun is completed or undone, as every change of a store.
    pub(super) async fn migrate(&mut self, request: Migrate) -> Result<Migrated, Error> {
        self.check_unlocked()?;
        self.parts.stores.get(request.to)?;
        let loads = self.elsewhere(request.to);
        let mut reply = Migrated {
            moved: Vec::new(),
            kept: 0,
            left: loads.len(),
            missing: Vec::new(),
        };
        let (mut puts, mut deletes, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for load in loads {
            if request.dry_run {
                note(&mut reply, &load);
                continue;
            }
            if changes.len() == TOGETHER {
                break;
            }
            if load.flies {
                continue;
            }
            match self.lift(&load).await? {
                Some(values) => {
                    note(&mut reply, &load);
                    reply.left -= 1;
                    puts.extend(values);
                    deletes.extend(load.from);
                    changes.push(load.change);
                }
                None => {
                    reply.left -= 1;
                    reply.missing.push(load.name);
                }
            }
        }
        if !changes.is_empty() {
            self.transact(puts, deletes, changes).await?;
            tracing::info!(
                tokens = reply.moved.len(),
                to = request.to.as_str(),
                "moved"
            );
        }
        Ok(reply)
    }

    /// What rests in another store.
    fn elsewhere(&self, to: StoreId) -> Vec<Load> {
        let flies = |record: &Record| {
            let refresh = record.refresh.as_ref();
            refresh.is_some_and(|refresh| self.flying.contains(refresh))
        };
        let moved = |record: &Record| Record {
            store: to,
            ..record.clone()
        };
        let tokens = self.index().tokens.iter();
        let tokens = tokens.filter(|(_, record)| record.store != to);
        let tokens = tokens.map(|(name, record)| Load {
            name: name.clone(),
            from: items(name, record),
            to: items(name, &moved(record)),
            change: Change::Take {
                name: name.clone(),
                record: moved(record),
            },
            is_kept: false,
            flies: flies(record),
        });
        let kept = self.index().kept.iter();
        let kept = kept.filter(|kept| kept.record.store != to).map(|kept| {
            let there = Kept {
                record: moved(&kept.record),
                ..kept.clone()
            };
            Load {
                name: kept.name.clone(),
                from: kept_items(kept),
                to: kept_items(&there),
                change: Change::Keep { kept: there },
                is_kept: true,
                flies: false,
            }
        });
        tokens.chain(kept).collect()
    }

    /// The values of one; nothing where its store does not hold it. A refresh token that is not there stays away.
    async fn lift(&self, load: &Load) -> Result<Option<Vec<(Item, Secret)>>, Error> {
        let mut values = Vec::new();
        for (from, to) in load.from.iter().zip(&load.to) {
            match self.read_item(from).await? {
                Some(value) => values.push((to.clone(), value)),
                None if from.refresh => {}
                None => return Ok(None),
            }
        }
        Ok(Some(values))
    }
}

fn note(reply: &mut Migrated, load: &Load) {
    match load.is_kept {
        true => reply.kept += 1,
        false => reply.moved.push(load.name.clone()),
    }
}
