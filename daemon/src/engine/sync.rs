//! One mirror and the store, brought together.

use std::collections::BTreeMap;
use std::sync::Arc;

use hfd_core::ini::Document;
use hfd_core::model::{Change, Fingerprint, MAX_TOKENS, Record, Tombstone};
use hfd_core::observe::{Observation, TokenFile};
use hfd_core::reconcile::{
    Content, Files, Held, Import, NewActive, Occasion, Plan, base_after, reconcile, values,
};
use hfd_proto::{Endpoint, Error, Home, Kind, MirrorState, Secret, SyncReply, TokenName, escape};
use zeroize::Zeroizing;

use super::change::items;
use super::settle::kind_of;
use super::{Worker, change};
use crate::journal::Item;
use crate::mirror::{Disk, NewFiles, Seen, Stamps, WriteError, is_local, observe, sweep, write};
use crate::snapshot::MirrorNow;

/// How often files that move under our hands are looked at again before that is a conflict.
const ROUNDS: usize = 5;

/// How many imports share a transaction: one flush of the journal for many tokens, and little to
/// repeat when a store stops answering in between.
const CHUNK: usize = 32;

/// Why a mirror is not in step.
struct Trouble {
    state: MirrorState,
    detail: String,
}

impl Trouble {
    fn new(state: MirrorState, detail: impl Into<String>) -> Self {
        Self {
            state,
            detail: detail.into(),
        }
    }
}

impl From<hfd_core::ini::Unwritable> for Trouble {
    fn from(error: hfd_core::ini::Unwritable) -> Self {
        Self::new(MirrorState::Conflict, error.to_string())
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::new(MirrorState::Pending, error.message)
    }
}

/// The directory of a home, for a terminal.
pub(super) fn shown(home: &Home) -> String {
    escape(
        &home
            .token_path
            .parent()
            .unwrap_or(&home.token_path)
            .to_string_lossy(),
    )
}

/// A mirror that nothing is known of yet.
pub(super) fn open_mirror(home: Home) -> Result<MirrorNow, Error> {
    let disk = Disk::new(home)
        .map_err(|error| Error::new(Kind::Other, format!("cannot start a thread: {error}")))?;
    disk.begin(sweep);
    Ok(MirrorNow {
        disk: Arc::new(disk),
        local: false,
        stamps: None,
        state: MirrorState::Pending,
        detail: None,
    })
}

impl Worker {
    pub(super) fn open_mirrors(&mut self) {
        for home in self.index().mirrors.keys().cloned().collect::<Vec<_>>() {
            match open_mirror(home.clone()) {
                Ok(now) => drop(self.mirrors.insert(home, now)),
                Err(error) => tracing::error!(%error, "a mirror is not kept in step"),
            }
        }
    }

    /// `hfd sync`: every mirror, the caller's home first becoming one if it is the first of all.
    pub(super) async fn sync(&mut self, home: Option<Home>) -> Result<SyncReply, Error> {
        self.own_mirror(home.as_ref(), None).await?;
        self.search_stores().await;
        let mut changes = Vec::new();
        for home in self.index().mirrors.keys().cloned().collect::<Vec<_>>() {
            changes.extend(self.sync_mirror(&home, Occasion::Noticed).await);
        }
        self.publish();
        Ok(SyncReply {
            changes,
            mirrors: self.parts.publish.borrow().mirror_statuses(),
        })
    }

    /// Brings one mirror in step, as far as that is possible now, and records how it is. Returns
    /// what was done.
    pub(super) async fn sync_mirror(
        &mut self,
        home: &Home,
        occasion: Occasion,
    ) -> Vec<hfd_proto::Change> {
        let mut done = Vec::new();
        let outcome = self.bring_together(home, occasion, &mut done).await;
        let (stamps, state, detail) = match outcome {
            Ok((stamps, None)) => (Some(stamps), MirrorState::InSync, None),
            Ok((stamps, Some(trouble))) => (Some(stamps), trouble.state, Some(trouble.detail)),
            Err(trouble) => (None, trouble.state, Some(trouble.detail)),
        };
        if let Some(now) = self.mirrors.get_mut(home) {
            (now.stamps, now.state, now.detail) = (stamps, state, detail);
        }
        done
    }

    /// Looks, takes over, writes, and looks again until what lies there is what should.
    async fn bring_together(
        &mut self,
        home: &Home,
        mut occasion: Occasion,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<(Stamps, Option<Trouble>), Trouble> {
        for _ in 0..ROUNDS {
            let seen = self.look(home).await?;
            let mut plan = self.plan(home, &seen.observation, occasion);
            if plan.active.is_some() || !plan.imports.is_empty() || !plan.removals.is_empty() {
                self.take_over(home, &plan, done).await?;
                let held = plan.held;
                plan = self.plan(home, &seen.observation, occasion);
                plan.held = plan.held.or(held);
                if plan.active.is_some() || !plan.imports.is_empty() || !plan.removals.is_empty() {
                    // The store knew more than the index: decided afresh in the next round.
                    continue;
                }
            }
            let Some(files) = plan.write else {
                self.agree(home, &seen.observation, plan.held)?;
                let trouble = self.trouble(home, &seen, plan.held);
                return Ok((seen.stamps, trouble));
            };
            // Only what was written is agreed on: a base that claims more would take what never
            // reached the file for removed.
            if self.write_files(home, &seen, files, done).await? {
                self.agree(home, &seen.observation, plan.held)?;
                // What we wrote is looked at like anything else.
                occasion = Occasion::Noticed;
            }
        }
        Err(Trouble::new(
            MirrorState::Conflict,
            "another program keeps changing the files",
        ))
    }

    /// Reads the files on the mirror's thread and keeps the values that the index knows.
    async fn look(&mut self, home: &Home) -> Result<Seen, Trouble> {
        let Some(now) = self.mirrors.get(home) else {
            return Err(Trouble::new(MirrorState::Absent, "it is not open"));
        };
        let disk = Arc::clone(&now.disk);
        let look = disk
            .run(Some(self.deadline), |home| (observe(home), is_local(home)))
            .await;
        let (seen, local) =
            look.map_err(|waiting| Trouble::new(MirrorState::Waiting, waiting.to_string()))?;
        if let Some(now) = self.mirrors.get_mut(home) {
            now.local = local;
        }
        let seen =
            seen.map_err(|error| Trouble::new(MirrorState::Unreadable, error.to_string()))?;
        let known: BTreeMap<Fingerprint, ()> = self
            .index()
            .tokens
            .values()
            .map(|record| (record.access, ()))
            .collect();
        for (print, value) in values(&self.index().salt, &seen.observation) {
            if known.contains_key(&print) {
                self.parts.values.learn(print, value);
            }
        }
        Ok(seen)
    }

    fn plan(&self, home: &Home, seen: &Observation, occasion: Occasion) -> Plan {
        match self.index().mirrors.get(home) {
            Some(mirror) => reconcile(self.index(), mirror, seen, occasion),
            None => Plan::default(),
        }
    }

    /// What a tool did goes into store and index.
    async fn take_over(
        &mut self,
        home: &Home,
        plan: &Plan,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<(), Trouble> {
        if !plan.imports.is_empty() && !self.parts.journal.complete {
            self.search_stores().await;
            if !self.parts.journal.complete {
                let detail = "its tokens are taken up when the keychain answers";
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
            if let Some(name) = &name {
                self.note(done, home, name, "activated");
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
            });
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
            let what = if import.update { "updated" } else { "imported" };
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
                ..old.clone()
            },
            _ => Record {
                expires_at: import.expires_at,
                refresh,
                named: import.named,
                ..Record::new(
                    old.map_or_else(Endpoint::default, |old| old.endpoint.clone()),
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
        let deletes = items(name, record);
        self.transact(Vec::new(), deletes, vec![Change::Remove { tombstone }])
            .await?;
        self.note(done, home, name, "removed");
        Ok(())
    }

    /// Writes the files, if they still are as they were seen; false when they are not.
    async fn write_files(
        &mut self,
        home: &Home,
        seen: &Seen,
        files: Files,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<bool, Trouble> {
        let known = values(&self.index().salt, &seen.observation);
        let mut new = NewFiles::default();
        if let Some(contents) = &files.stored {
            new.stored = Some(self.stored_tokens(contents, &known).await?);
        }
        if let Some(token) = files.token {
            let active = self
                .index()
                .mirrors
                .get(home)
                .and_then(|mirror| mirror.active.clone());
            new.token = Some(match (token, active) {
                (Some(print), Some(name)) => {
                    let value = self.value(&name, print, false, &known).await?;
                    Some(Zeroizing::new(value.expose().as_bytes().to_vec()))
                }
                _ => None,
            });
        }
        let Some(now) = self.mirrors.get(home) else {
            return Ok(false);
        };
        let (disk, seen) = (Arc::clone(&now.disk), seen.clone());
        // A switch waits no longer than this for other programs (reference/review.md, P9).
        let deadline = std::time::Instant::now() + std::time::Duration::from_millis(300);
        match disk
            .run(Some(self.deadline), move |home| {
                write(home, &new, &seen, deadline)
            })
            .await
        {
            Ok(Ok(_)) => {
                let active = self
                    .index()
                    .mirrors
                    .get(home)
                    .and_then(|mirror| mirror.active.clone());
                if let Some(name) = active.filter(|_| files.token.is_some()) {
                    self.note(done, home, &name, "written");
                }
                Ok(true)
            }
            Ok(Err(WriteError::Moved)) => Ok(false),
            Ok(Err(error)) => Err(Trouble::new(MirrorState::Pending, error.to_string())),
            Err(waiting) => Err(Trouble::new(MirrorState::Waiting, waiting.to_string())),
        }
    }

    /// The bytes of `stored_tokens`, as huggingface_hub would write them.
    async fn stored_tokens(
        &self,
        contents: &BTreeMap<String, Content>,
        known: &BTreeMap<Fingerprint, &Secret>,
    ) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let mut document = Document::new();
        for (section, content) in contents {
            match content {
                Content::File(as_it_was) => {
                    for (key, value) in &as_it_was.others {
                        document.set(section, key, value)?;
                    }
                }
                Content::Store(print, others) => {
                    let Ok(name) = TokenName::parse(section.as_str()) else {
                        continue;
                    };
                    let access = self.value(&name, print.access, false, known).await?;
                    document.set(section, "hf_token", access.expose())?;
                    if let Some(refresh) = print.refresh {
                        let refresh = self.value(&name, refresh, true, known).await?;
                        document.set(section, "refresh_token", refresh.expose())?;
                    }
                    if let Some(expires_at) = print.expires_at {
                        document.set(section, "expires_at", &expires_at.to_string())?;
                    }
                    for (key, value) in others {
                        document.set(section, key, value)?;
                    }
                }
            }
        }
        Ok(document.to_bytes())
    }

    /// A value for a file: from the file itself, from memory, else from the store.
    async fn value(
        &self,
        name: &TokenName,
        print: Fingerprint,
        refresh: bool,
        known: &BTreeMap<Fingerprint, &Secret>,
    ) -> Result<Secret, Trouble> {
        if let Some(value) = known.get(&print) {
            return Ok((*value).clone());
        }
        if let Some(value) = self.parts.values.cached(print).filter(|_| !refresh) {
            return Ok(value);
        }
        let missing = || {
            let detail = format!("the keychain does not hold `{}`", name.escaped());
            Trouble::new(MirrorState::Pending, detail)
        };
        let record = self.index().tokens.get(name).ok_or_else(missing)?;
        let item = items(name, record)
            .into_iter()
            .find(|item| item.refresh == refresh);
        let value = self
            .read_item(&item.ok_or_else(missing)?)
            .await?
            .ok_or_else(missing)?;
        if !refresh {
            self.parts
                .values
                .learn(self.index().salt.fingerprint(&value), &value);
        }
        Ok(value)
    }

    /// Files and view agree: remembered as the common ancestor of the next merge.
    fn agree(
        &mut self,
        home: &Home,
        seen: &Observation,
        held: Option<Held>,
    ) -> Result<(), Trouble> {
        let Some(mirror) = self.index().mirrors.get(home) else {
            return Ok(());
        };
        let base = base_after(self.index(), mirror, seen, held);
        if base != mirror.base {
            let agree = Change::Agree {
                home: home.clone(),
                base,
            };
            // Lost in a crash, it is found out again by looking.
            self.parts
                .journal
                .change(vec![agree], false)
                .map_err(|error| change::disk(&error))?;
        }
        Ok(())
    }

    fn trouble(&self, home: &Home, seen: &Seen, held: Option<Held>) -> Option<Trouble> {
        if let Some(why) = seen.observation.trouble(&home.token_path) {
            return Some(Trouble::new(MirrorState::Unreadable, why));
        }
        match held? {
            Held::BothGone => {
                let state = if seen.directory {
                    MirrorState::Pending
                } else {
                    MirrorState::Absent
                };
                let detail = "token and stored_tokens are gone; the tokens are kept, and \
                              `hfd switch NAME` writes them again";
                Some(Trouble::new(state, detail))
            }
            Held::Unreadable => None,
        }
    }

    fn note(&self, done: &mut Vec<hfd_proto::Change>, home: &Home, name: &TokenName, what: &str) {
        tracing::debug!(?name, dir = shown(home), what, "mirror");
        self.event(what, Some(name), Some(home));
        let dir = home
            .token_path
            .parent()
            .unwrap_or(&home.token_path)
            .to_owned();
        done.push(hfd_proto::Change {
            name: name.clone(),
            dir,
            what: what.to_owned(),
        });
    }
}

/// Whether a mirror's `token` file can be answered from directly.
pub(crate) fn token_of(seen: &Seen) -> Result<Option<&Secret>, &str> {
    match &seen.observation.token {
        TokenFile::Value(value) => Ok(Some(value)),
        TokenFile::Absent => Ok(None),
        TokenFile::Unreadable(why) => Err(why),
    }
}

/// Unix seconds now.
pub(crate) fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}
