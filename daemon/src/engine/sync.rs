//! One mirror and the store, brought together.

use std::collections::BTreeMap;
use std::sync::Arc;

use hfd_core::explain::Effect;
use hfd_core::model::{Base, Change, Fingerprint};
use hfd_core::observe::{Observation, TokenFile};
use hfd_core::reconcile::{Doubt, Held, Occasion, Plan, is_less, reconcile, values};
use hfd_proto::{Error, Home, Kind, MirrorState, Mode, Secret, SyncReply, TokenName, escape};
use tokio::time::{Duration, Instant, sleep};

use super::Worker;
use crate::mirror::{
    Disk, NotSeen, Seen, Stamps, WriteError, age, directory, is_local, observe, runtime,
};
use crate::snapshot::MirrorNow;

/// How often files that move under our hands are looked at again before that is a conflict.
const ROUNDS: usize = 5;

/// How long a file that becomes a link waits for programs that have it open.
const LINKING: Duration = Duration::from_millis(300);

/// A removal is believed when nothing has happened for so long: upstream's `logout` writes one file
/// after the other.
const QUIET: Duration = Duration::from_millis(100);

/// How long is waited for that where others keep writing.
const LONGEST_QUIET: Duration = Duration::from_secs(1);

/// How much of what was done in a mirror `status` tells.
const RECENT: usize = 5;

/// What was done in a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Imported,
    Updated,
    Removed,
    Activated,
    LoggedOut,
    Wrote(Effect),
}

impl What {
    /// In one word, and why.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Imported => ("imported", "another tool added it"),
            Self::Updated => ("updated", "another tool changed it"),
            Self::Removed => ("removed", "another tool logged it out"),
            Self::Activated => ("activated", "another tool made it active"),
            Self::LoggedOut => ("deactivated", "another tool removed the token file"),
            Self::Wrote(effect) => match effect {
                Effect::Activated => ("written", "it is the active token"),
                Effect::Added => ("written", "hfd has it, and the file had not"),
                Effect::Replaced => ("written", "hfd has a newer value"),
                Effect::Withheld => ("written", "its refresh token is withheld"),
                Effect::HandedBack => ("written", "its refresh token is handed back"),
                Effect::Completed => ("written", "the file did not say when it expires"),
                Effect::PutBack => ("put-back", "it was gone in a way that no logout has"),
                Effect::Locked => ("taken-out", "hfd is locked"),
                Effect::LoggedOut => ("taken-out", "it is logged out"),
                Effect::Renamed => ("taken-out", "it has another name"),
                Effect::NotShown => ("taken-out", "the mode does not show it"),
            },
        }
    }
}

/// A mirror at rest.
struct Rest {
    stamps: Stamps,
    doubt: Option<Doubt>,
    trouble: Option<Trouble>,
}

/// Why a mirror is not in step.
pub(super) struct Trouble {
    pub(super) state: MirrorState,
    pub(super) detail: String,
}

impl Trouble {
    pub(super) fn new(state: MirrorState, detail: impl Into<String>) -> Self {
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
    Ok(MirrorNow {
        disk: Arc::new(disk),
        local: false,
        stamps: None,
        state: MirrorState::Pending,
        detail: None,
        doubt: None,
        recent: Vec::new(),
        leftovers: true,
        plainly: false,
        shared_with_group: false,
        directory: None,
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

    /// Looks at those mirrors whose files are not as they were last seen. Our own writes are.
    pub(super) async fn sync_changed(&mut self, home: Option<Home>) -> Result<(), Error> {
        if !self.index().had_mirror {
            self.own_mirror(home.as_ref(), None).await?;
        }
        for home in self.index().mirrors.keys().cloned().collect::<Vec<_>>() {
            let unchanged = match self.mirrors.get(&home) {
                Some(now) => !now.leftovers && now.unchanged(&home).await,
                None => false,
            };
            if !unchanged {
                self.sync_mirror(&home, Occasion::Noticed).await;
            }
        }
        Ok(())
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
        let (stamps, doubt, trouble) = match outcome {
            Ok(rest) => (Some(rest.stamps), rest.doubt, rest.trouble),
            Err(trouble) => (None, None, Some(trouble)),
        };
        let (state, detail) = match trouble {
            None => (MirrorState::InSync, None),
            Some(trouble) => (trouble.state, Some(trouble.detail)),
        };
        let doubt = match (doubt, stamps) {
            (Some(doubt), Some(stamps)) => self.in_doubt(home, doubt, stamps).await,
            _ => None,
        };
        if let Some(now) = self.mirrors.get_mut(home) {
            (now.stamps, now.state, now.detail, now.doubt) = (stamps, state, detail, doubt);
        }
        done
    }

    /// Looks, takes over, writes, and looks again until what lies there is what should.
    async fn bring_together(
        &mut self,
        home: &Home,
        mut occasion: Occasion,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<Rest, Trouble> {
        self.take_up_leftovers(home, done).await?;
        for _ in 0..ROUNDS {
            self.mind_memory(home).await?;
            let seen = self.look_when_quiet(home, occasion, done).await?;
            // It may have gone since.
            if self.mind_memory(home).await? {
                continue;
            }
            if occasion == Occasion::Settled && self.has_moved(home, &seen) {
                occasion = Occasion::Noticed;
            }
            let mut plan = self.plan(home, &seen.observation, occasion);
            if plan.active.is_some() || !plan.imports.is_empty() || !plan.removals.is_empty() {
                self.take_over(home, &plan, done).await?;
                let (held, doubt) = (plan.held, plan.doubt);
                plan = self.plan(home, &seen.observation, occasion);
                plan.held = plan.held.or(held);
                plan.doubt = plan.doubt.or(doubt);
                if plan.active.is_some() || !plan.imports.is_empty() || !plan.removals.is_empty() {
                    // The store knew more than the index: decided afresh in the next round.
                    continue;
                }
            }
            let Some(files) = plan.write else {
                self.agree(home, &seen.observation, plan.held)?;
                // What is gone may be a logout.
                if plan.held.is_none() && self.put_in_memory(home, &seen, [true; 2], done).await? {
                    occasion = Occasion::Noticed;
                    continue;
                }
                return Ok(Rest {
                    stamps: seen.stamps,
                    doubt: plan.doubt,
                    trouble: self.trouble(home, &seen, plan.held),
                });
            };
            // Only what gets a content: a link to nothing says that memory was lost.
            let wanted = [files.stored.is_some(), matches!(files.token, Some(Some(_)))];
            if self.put_in_memory(home, &seen, wanted, done).await? {
                occasion = Occasion::Noticed;
                continue;
            }
            // Only what was written is agreed on: a base that claims more would take what never
            // reached the file for removed.
            if self.write_files(home, &seen, files, done).await? {
                self.agree(home, &seen.observation, plan.held)?;
                // What we wrote is looked at like anything else.
                occasion = Occasion::Noticed;
            }
        }
        let linked = self.on_disk(home, crate::mirror::with_another_name).await?;
        let detail = match linked {
            Some(path) => format!(
                "{} has another name elsewhere, under which it may be written: hfd doctor names the mend",
                path.display()
            ),
            None => "another program keeps changing the files".to_owned(),
        };
        Err(Trouble::new(MirrorState::Conflict, detail))
    }

    pub(super) fn is_in_memory(&self, home: &Home) -> bool {
        let mirror = self.index().mirrors.get(home);
        mirror.is_some_and(|mirror| mirror.mode == Mode::Runtime)
    }

    /// What went with the memory that it was in was removed by nobody: the two sides are united again. Whether that is
    /// so.
    async fn mind_memory(&mut self, home: &Home) -> Result<bool, Trouble> {
        if !self.is_in_memory(home) {
            return Ok(false);
        }
        let vanished = self.on_disk(home, runtime::vanished).await?;
        let [stored, token] = vanished.map_err(|why| Trouble::new(MirrorState::Pending, why))?;
        let lost = self.index().mirrors.get(home).is_some_and(|mirror| {
            (stored && !mirror.base.sections.is_empty()) || (token && mirror.base.token.is_some())
        });
        if lost {
            let base = Base::default();
            let home = home.clone();
            let agreed = self
                .parts
                .journal
                .change(vec![Change::Agree { home, base }], false);
            agreed.map_err(|error| Trouble::new(MirrorState::Pending, error.to_string()))?;
        }
        Ok(lost)
    }

    /// Makes links into memory of what should be such, before anything is written there. Whether anything was not one.
    async fn put_in_memory(
        &mut self,
        home: &Home,
        seen: &Seen,
        wanted: [bool; 2],
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<bool, Trouble> {
        if !self.is_in_memory(home) {
            return Ok(false);
        }
        let (read, latest) = (seen.clone(), std::time::Instant::now() + LINKING);
        let linking = move |home: &Home| runtime::link(home, &read, wanted, latest);
        match self.on_disk(home, linking).await? {
            Ok(linked) => {
                if linked.left_behind {
                    self.look_for_leftovers(home);
                }
                if let Some(displaced) = linked.displaced {
                    self.take_up(home, displaced, Occasion::Noticed, done)
                        .await?;
                }
                Ok(linked.changed)
            }
            Err(WriteError::Moved) => Ok(true),
            Err(error) => Err(Trouble::new(MirrorState::Pending, error.to_string())),
        }
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        home: &Home,
        work: impl FnOnce(&Home) -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        let Some(now) = self.mirrors.get(home) else {
            return Err(Trouble::new(MirrorState::Absent, "it is not open"));
        };
        let disk = Arc::clone(&now.disk);
        let done = disk.run(Some(self.deadline), work).await;
        done.map_err(|waiting| Trouble::new(MirrorState::Waiting, waiting.to_string()))
    }

    /// Whether the files are others than those that were in doubt.
    fn has_moved(&self, home: &Home, seen: &Seen) -> bool {
        let doubt = self.mirrors.get(home).and_then(|now| now.doubt);
        doubt.is_none_or(|doubt| doubt.stamps != seen.stamps)
    }

    /// Looks, and where something has just gone looks again until the tool that took it has had its
    /// time for what it does next. What is new is taken up meanwhile: it may be gone by then.
    async fn look_when_quiet(
        &mut self,
        home: &Home,
        occasion: Occasion,
        done: &mut Vec<hfd_proto::Change>,
    ) -> Result<Seen, Trouble> {
        let latest = Instant::now() + LONGEST_QUIET;
        loop {
            let (seen, age) = self.look(home).await?;
            let mirror = self.index().mirrors.get(home);
            let less = mirror.is_some_and(|mirror| is_less(mirror, &seen.observation));
            let young = age < QUIET && Instant::now() < latest;
            if occasion == Occasion::Asked || !less || !young {
                return Ok(seen);
            }
            let new = Plan {
                imports: self.plan(home, &seen.observation, occasion).imports,
                ..Plan::default()
            };
            self.take_over(home, &new, done).await?;
            sleep(QUIET - age).await;
        }
    }

    /// Reads the files on the mirror's thread and keeps the values that the index knows. With them
    /// comes how long ago the last change was.
    async fn look(&mut self, home: &Home) -> Result<(Seen, Duration), Trouble> {
        let Some(now) = self.mirrors.get(home) else {
            return Err(Trouble::new(MirrorState::Absent, "it is not open"));
        };
        let disk = Arc::clone(&now.disk);
        let look = disk
            .run(Some(self.deadline), |home| {
                (observe(home), is_local(home), age(home), directory(home))
            })
            .await;
        let (seen, local, age, directory) =
            look.map_err(|waiting| Trouble::new(MirrorState::Waiting, waiting.to_string()))?;
        if let Some(now) = self.mirrors.get_mut(home) {
            now.local = local;
        }
        let seen = seen.map_err(|error| {
            let state = match error {
                NotSeen::NotOurs { .. } => MirrorState::Unreadable,
                NotSeen::Unfinished(_) => MirrorState::Pending,
            };
            Trouble::new(state, error.to_string())
        })?;
        if let Some(now) = self.mirrors.get_mut(home)
            && seen.stamps != Stamps::default()
        {
            now.directory = directory;
        }
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
        Ok((seen, age))
    }

    pub(super) fn plan(&self, home: &Home, seen: &Observation, occasion: Occasion) -> Plan {
        match self.index().mirrors.get(home) {
            Some(mirror) => reconcile(self.index(), mirror, seen, occasion),
            None => Plan::default(),
        }
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
                let detail = "token and stored_tokens are gone; if it stays so, that is a logout \
                              from everything";
                Some(Trouble::new(state, detail))
            }
            Held::Unreadable => None,
        }
    }

    /// Remembers what was done in a mirror, and tells watchers.
    pub(super) fn note(
        &mut self,
        done: &mut Vec<hfd_proto::Change>,
        home: &Home,
        name: &TokenName,
        what: What,
    ) {
        let (what, why) = what.words();
        tracing::debug!(?name, dir = shown(home), what, "mirror");
        self.tell(what, Some(name), Some(home), Some(why));
        let dir = home.token_path.parent().unwrap_or(&home.token_path);
        let change = hfd_proto::Change {
            name: name.clone(),
            dir: dir.to_owned(),
            what: what.to_owned(),
            why: why.to_owned(),
            at: now(),
        };
        if let Some(now) = self.mirrors.get_mut(home) {
            now.recent.insert(0, change.clone());
            now.recent.truncate(RECENT);
        }
        done.push(change);
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
