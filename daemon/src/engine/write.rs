//! What the store has goes into a mirror's files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hfd_core::explain::explain;
use hfd_core::ini::Document;
use hfd_core::model::{Change, Fingerprint};
use hfd_core::observe::Observation;
use hfd_core::reconcile::{Content, Files, Held, Occasion, base_after, values};
use hfd_proto::{Home, MirrorState, Secret, TokenName};
use zeroize::Zeroizing;

use super::Worker;
use super::change::{self, items};
use super::sync::{Trouble, What, shown};
use crate::mirror::{Displaced, NewFiles, Seen, WriteError, leftovers, lies_about, write};
use crate::os;

/// How long a write waits for the lock, and for programs that have a file open: a switch is to be
/// felt by nobody.
const OTHERS: Duration = Duration::from_millis(300);

impl Worker {
    /// Writes the files, if they still are as they were seen; false when they are not.
    pub(super) async fn write_files(
        &mut self,
        home: &Home,
        seen: &Seen,
        files: Files,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<bool, Trouble> {
        let known = values(&self.index().salt, &seen.observation);
        let mut new = NewFiles {
            held: self.held.contains_key(home),
            ..NewFiles::default()
        };
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
        let (disk, read) = (Arc::clone(&now.disk), seen.clone());
        let latest = std::time::Instant::now() + OTHERS;
        let writing = disk.run(Some(self.deadline), move |home| {
            write(home, &new, &read, latest)
        });
        let written = match writing.await {
            Ok(Ok(written)) => written,
            Ok(Err(WriteError::Moved)) => return Ok(false),
            Ok(Err(error)) => {
                self.look_for_leftovers(home);
                return Err(Trouble::new(MirrorState::Pending, error.to_string()));
            }
            Err(waiting) => {
                self.look_for_leftovers(home);
                return Err(Trouble::new(MirrorState::Waiting, waiting.to_string()));
            }
        };
        if written.left_behind {
            self.look_for_leftovers(home);
        }
        if let Some(now) = self.mirrors.get_mut(home) {
            now.plainly = written.plainly;
            if written.shared_with_group && !now.shared_with_group {
                tracing::warn!(dir = shown(home), "the group of the files can read them");
            }
            // A write of `token` alone says nothing about the other file.
            now.shared_with_group &= files.stored.is_none();
            now.shared_with_group |= written.shared_with_group;
        }
        if let Some(displaced) = written.displaced {
            self.take_up(home, displaced, Occasion::Noticed, done)
                .await?;
            return Ok(false);
        }
        let mirror = self.index().mirrors.get(home);
        let effects = mirror.map(|mirror| explain(self.index(), mirror, &seen.observation, &files));
        for (name, effect) in effects.unwrap_or_default() {
            self.note(done, home, &name, What::Wrote(effect));
        }
        Ok(true)
    }

    /// What lay where we wrote, and had not been read: another tool's edit in the same moment. Once
    /// the store has what it said, the file goes; until then it stays, and is found again.
    pub(super) async fn take_up(
        &mut self,
        home: &Home,
        displaced: Displaced,
        occasion: Occasion,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<(), Trouble> {
        // Twice, because an index that is new learns from the store first.
        for _ in 0..2 {
            let mut plan = self.plan(home, &displaced.observation, occasion);
            if occasion == Occasion::Asked {
                // It is old: what it lacks was not removed, what was active in it may not be now, and
                // what hfd has seen before may have been renamed or logged out since.
                (plan.active, plan.removals) = (None, Vec::new());
                let salt = self.index().salt;
                plan.imports
                    .retain(|import| !self.index().has_seen(salt.fingerprint(&import.access)));
            }
            if let Err(trouble) = self.take_over(home, &plan, done).await {
                self.look_for_leftovers(home);
                return Err(trouble);
            }
        }
        if let Some(now) = self.mirrors.get(home) {
            let discarding = now
                .disk
                .run(Some(self.deadline), move |_| displaced.discard());
            // A file system that does not answer now is asked again at the next start.
            let _ = discarding.await;
        }
        Ok(())
    }

    pub(super) fn look_for_leftovers(&mut self, home: &Home) {
        if let Some(now) = self.mirrors.get_mut(home) {
            now.leftovers = true;
        }
    }

    /// Takes up what an earlier write has left: a daemon that was killed, a program that had the file
    /// open still, a store that did not answer.
    pub(super) async fn take_up_leftovers(
        &mut self,
        home: &Home,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<(), Trouble> {
        let Some(now) = self.mirrors.get_mut(home).filter(|now| now.leftovers) else {
            return Ok(());
        };
        now.leftovers = false;
        let looking = now.disk.run(Some(self.deadline), leftovers);
        let left = looking.await;
        let left = left.map_err(|waiting| {
            self.look_for_leftovers(home);
            Trouble::new(MirrorState::Waiting, waiting.to_string())
        })?;
        let left = left.map_err(|error| {
            self.look_for_leftovers(home);
            Trouble::new(MirrorState::Pending, error.to_string())
        })?;
        if left.open {
            self.look_for_leftovers(home);
        }
        for displaced in left.found {
            self.take_up(home, displaced, Occasion::Asked, done).await?;
        }
        // What could not be removed is tried again at the next look.
        let staying = match self.mirrors.get(home) {
            Some(now) => now.disk.run(Some(self.deadline), lies_about).await,
            None => Ok(false),
        };
        if staying.unwrap_or(true) {
            self.look_for_leftovers(home);
        }
        Ok(())
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
        Ok(os::as_text(document.to_bytes()))
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
    pub(super) fn agree(
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
}
