//! What a tool did to a mirror's files goes into store and index.

use hfd_core::model::{Change, MAX_TOKENS, Record, Tombstone};
use hfd_core::reconcile::{Import, NewActive, Plan};
use hfd_core::renewal::Renewal;
use hfd_proto::{Home, MirrorState, TokenName};

use super::Worker;
use super::change::items;
use super::settle::kind_of;
use super::sync::{Trouble, What, now, shown};
use crate::hub::CLIENT_ID;
use crate::journal::Item;

/// How many imports share a transaction: one flush of the journal for many tokens, and little to
/// repeat when a store stops answering in between.
const CHUNK: usize = 32;

impl Worker {
    /// What a tool did goes into store and index.
    pub(super) async fn take_over(
        &mut self,
        home: &Home,
        plan: &Plan,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<(), Trouble> {
        if !plan.imports.is_empty() && !self.parts.journal.complete {
            self.search_stores().await;
            if !self.parts.journal.complete {
                let detail = "its tokens are taken up when the keychain answers; where there is none: \
                              `store = \"file\"` in config.toml, then `hfd service restart`";
                return Err(Trouble::new(MirrorState::Pending, detail));
            }
            // The store knew more than the index: what is new is decided afresh.
            return Ok(());
        }
        for imports in plan.imports.chunks(CHUNK) {
            self.import(home, imports, done).await?;
        }
        for name in &plan.removals {
            self.remove_believed(home, name, done).await?;
        }
        if let Some(active) = &plan.active {
            let name = match active {
                NewActive::Nothing => None,
                NewActive::Name(name) => Some(name.clone()),
            };
            let before = self.index().mirrors.get(home);
            let before = before.and_then(|mirror| mirror.active.clone());
            match (&name, before) {
                (Some(name), _) => self.note(done, home, name, What::Activated),
                (None, Some(before)) => self.note(done, home, &before, What::LoggedOut),
                (None, None) => {}
            }
            self.change(vec![Change::Activate {
                home: home.clone(),
                name,
            }])?;
        }
        Ok(())
    }

    async fn import(
        &mut self,
        home: &Home,
        imports: &[Import],
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<(), Trouble> {
        let (mut puts, mut deletes, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        if self.index().tokens.len() + imports.len() > MAX_TOKENS {
            let detail = format!("hfd keeps at most {MAX_TOKENS} tokens");
            return Err(Trouble::new(MirrorState::Pending, detail));
        }
        for import in imports {
            let record = self.record_of(import);
            let old = self.index().tokens.get(&import.name);
            let [access, refresh] = [false, true].map(|refresh| Item {
                store: record.store,
                endpoint: record.endpoint.clone(),
                name: import.name.clone(),
                refresh,
                kept: None,
            });
            if let Some(old) = old.filter(|old| old.access != record.access) {
                let keeping = self.keep(&import.name, old, &shown(home), true).await?;
                puts.extend(keeping.puts);
                changes.extend(keeping.change);
            }
            if old.is_none_or(|old| old.access != record.access) {
                puts.push((access, import.access.clone()));
            }
            match &import.refresh {
                Some(value) if old.is_none_or(|old| old.refresh != record.refresh) => {
                    puts.push((refresh, value.clone()));
                }
                None if record.refresh.is_none() && old.is_some_and(|o| o.refresh.is_some()) => {
                    deletes.push(refresh);
                }
                _ => {}
            }
            changes.push(Change::Take {
                name: import.name.clone(),
                record,
            });
        }
        self.transact(puts, deletes, changes).await?;
        for import in imports {
            let what = match import.update {
                true => What::Updated,
                false => What::Imported,
            };
            self.note(done, home, &import.name, what);
        }
        Ok(())
    }

    /// The record of a value that a tool brought.
    fn record_of(&self, import: &Import) -> Record {
        let salt = self.index().salt;
        let access = salt.fingerprint(&import.access);
        let refresh = import.refresh.as_ref().map(|value| salt.fingerprint(value));
        let old = self.index().tokens.get(&import.name);
        match old {
            // The same token with more said about it. A refresh token stays with the access token
            // that it came with, also where an older tool has dropped it from the file.
            Some(old) if old.access == access => Record {
                refresh: refresh.or(old.refresh),
                expires_at: import.expires_at.or(old.expires_at),
                renewal: Renewal {
                    shared: old.renewal.shared || refresh.is_some(),
                    ..old.renewal.clone()
                },
                ..old.clone()
            },
            _ => Record {
                expires_at: import.expires_at,
                refresh,
                named: import.named,
                renewal: Renewal {
                    since: Some(self.parts.clock.now()),
                    shared: refresh.is_some(),
                    // Whoever wrote it logged in as huggingface_hub does.
                    client_id: refresh.map(|_| CLIENT_ID.to_owned()),
                    ..Renewal::default()
                },
                ..Record::new(
                    old.map_or(&self.parts.endpoint, |old| &old.endpoint)
                        .clone(),
                    kind_of(&import.access, refresh.is_some()),
                    self.store_for(old.map(|old| old.store)),
                    access,
                )
            },
        }
    }

    async fn remove_believed(
        &mut self,
        home: &Home,
        name: &TokenName,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<(), Trouble> {
        let Some(record) = self.index().tokens.get(name) else {
            return Ok(());
        };
        let tombstone = Tombstone {
            name: name.clone(),
            access: record.access,
            at: now(),
            by: shown(home),
        };
        let (deletes, gone) = (items(name, record), record.clone());
        let keeping = self.keep(name, record, &shown(home), false).await?;
        let mut changes: Vec<Change> = keeping.change.into_iter().collect();
        changes.push(Change::Remove { tombstone });
        self.transact(keeping.puts, deletes, changes).await?;
        self.unmark(name, &gone).await;
        self.note(done, home, name, What::Removed);
        Ok(())
    }
}
