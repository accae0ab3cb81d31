//! A renewal's share of the engine: what comes before the Hub is asked, and what its answer leads to.
//! The request itself is made elsewhere (`crate::renew`), so that nothing waits for the Hub here.

use std::time::Instant as Moment;

use hfd_core::model::{Change, Fingerprint, Record};
use hfd_core::reconcile::Occasion;
use hfd_core::view::view;
use hfd_proto::{Error, HandBackReply, Home, Kind, MirrorState, Mode, Pending, Secret, TokenName};
use tokio::time::timeout_at;

use super::Worker;
use super::change::{items, timed_out};
use super::session::not_written_at;
use crate::hub::Granted;
use crate::journal::Item;
use crate::mirror::{WriteError, hold};
use crate::snapshot::no_such_token;
use crate::store::{Key, Part};

/// How long another program's renewal is waited for here; the caller comes again.
const OTHERS: std::time::Duration = std::time::Duration::from_millis(300);

/// What the Hub is asked with.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The token as it is now.
    pub record: Record,
    /// Its refresh token.
    pub refresh: Secret,
    /// Whether an earlier request with the same refresh token was cut off.
    pub again: bool,
}

/// What a renewal came to.
#[derive(Debug, Clone)]
pub enum Renewed {
    /// The Hub was asked with this refresh token, and answered.
    Granted(Fingerprint, Box<Granted>, i64),
    /// It will not renew it any more; whether the answer to an earlier request was lost.
    Refused(Fingerprint, bool),
    /// Nothing is known.
    Later,
}

impl Worker {
    /// Prepares to ask the Hub: what tools have done is taken up, the lock is held where they could
    /// be renewing too, and the store is proven to take an answer. `None` where a tool has just
    /// renewed it.
    pub(super) async fn begin_renewal(&mut self, name: &TokenName) -> Result<Option<Begun>, Error> {
        self.check_unlocked()?;
        self.settle().await;
        self.sync_mirrors().await;
        let before = self.record(name)?.access;
        let begun = self.prepare_renewal(name, before).await;
        if !matches!(begun, Ok(Some(_))) {
            self.held.clear();
        }
        begun
    }

    async fn prepare_renewal(
        &mut self,
        name: &TokenName,
        before: Fingerprint,
    ) -> Result<Option<Begun>, Error> {
        if self.record(name)?.renewal.shared {
            self.hold_locks(name).await?;
        }
        let record = self.record(name)?.clone();
        if record.access != before {
            return Ok(None);
        }
        let item = items(name, &record).into_iter().find(|item| item.refresh);
        let item = item.ok_or_else(|| not_renewable(name))?;
        let Some(refresh) = self.read_item(&item).await? else {
            let (name, store) = (name.escaped(), record.store.title());
            let message = format!("{store} does not hold the refresh token of `{name}`");
            return Err(Error::new(Kind::StoreUnavailable, message).hint("log in again: hfd login"));
        };
        let print = self.index().salt.fingerprint(&refresh);
        self.mark(name, &record, Some(print)).await?;
        let again = record.renewal.begun == Some(print);
        let mut next = record.clone();
        (next.refresh, next.renewal.begun) = (Some(print), Some(print));
        if next != record {
            let name = name.clone();
            self.change(vec![Change::Put {
                name,
                record: next.clone(),
            }])?;
        }
        Ok(Some(Begun {
            record: next,
            refresh,
            again,
        }))
    }

    /// Takes the lock of every mirror that shows the token, and looks once more under it.
    async fn hold_locks(&mut self, name: &TokenName) -> Result<(), Error> {
        let shows = |mirror: &hfd_core::model::Mirror| {
            mirror.mode == Mode::Files || mirror.active.as_ref() == Some(name)
        };
        let mirrors = self.index().mirrors.iter();
        let homes: Vec<Home> = mirrors
            .filter(|(_, mirror)| mirror.mode != Mode::Off && shows(mirror))
            .map(|(home, _)| home.clone())
            .collect();
        for home in homes {
            let Some(now) = self.mirrors.get(&home) else {
                continue;
            };
            let latest = Moment::now() + OTHERS;
            let holding = now.disk.run(Some(self.deadline), move |home| {
                // A home that is gone needs no lock; one is not made for its sake.
                let there = home
                    .token_path
                    .parent()
                    .is_some_and(std::path::Path::is_dir);
                there.then(|| hold(home, latest))
            });
            match holding.await {
                Ok(Some(Ok(guard))) => drop(self.held.insert(home.clone(), guard)),
                Ok(Some(Err(WriteError::Busy(path)))) => {
                    let message = format!("another program holds {}", path.display());
                    return Err(Error::new(Kind::TimedOut, message)
                        .hint("it may be renewing a token itself; hfd tries again"));
                }
                // Where the lock cannot be had, huggingface_hub does not get it either.
                Ok(Some(Err(error))) => tracing::debug!(%error, "renewed without the lock"),
                Ok(None) | Err(_) => {}
            }
            self.sync_mirror(&home, Occasion::Noticed).await;
        }
        Ok(())
    }

    /// Writes down in the store that a renewal was begun, or that it is over.
    async fn mark(
        &self,
        name: &TokenName,
        record: &Record,
        begun: Option<Fingerprint>,
    ) -> Result<(), Error> {
        let key = Key {
            endpoint: record.endpoint.clone(),
            name: name.clone(),
            part: Part::Renewing,
        };
        let value = match begun {
            Some(print) => Secret::parse(&format!("{:032x}", print.as_u128())).ok(),
            None => None,
        };
        let store = self.parts.stores.get(record.store)?;
        match timeout_at(self.deadline, store.write(vec![(key, value)])).await {
            Ok(written) => match written?.stopped {
                None => Ok(()),
                Some(error) => Err(error.into()),
            },
            Err(_) => Err(timed_out(record.store)),
        }
    }

    /// Takes up what the Hub has answered.
    ///
    /// # Errors
    /// As the store's: then the answer has to be brought again, since nobody else has it.
    pub(super) async fn finish_renewal(
        &mut self,
        name: &TokenName,
        renewed: Renewed,
    ) -> Result<(), Error> {
        let outcome = match renewed {
            Renewed::Granted(sent, granted, now) => {
                self.settle().await;
                self.renewed(name, sent, &granted, now).await
            }
            Renewed::Refused(sent, lost) => self.refused(name, sent, lost).await,
            Renewed::Later => Ok(()),
        };
        self.held.clear();
        outcome
    }

    async fn renewed(
        &mut self,
        name: &TokenName,
        sent: Fingerprint,
        granted: &Granted,
        now: i64,
    ) -> Result<(), Error> {
        let salt = self.index().salt;
        let access = salt.fingerprint(&granted.access);
        let Some(old) = self.index().tokens.get(name).cloned() else {
            // Logged out meanwhile.
            return Ok(());
        };
        if old.access == access || old.refresh != Some(sent) {
            // Stored already, or another login has taken its place.
            return Ok(());
        }
        let refresh = granted.refresh.as_ref();
        let mut record = old.clone();
        record.access = access;
        record.refresh = refresh.map(|value| salt.fingerprint(value)).or(Some(sent));
        record.expires_at = granted.expires_in.map(|lives| now.saturating_add(lives));
        record.rejected = None;
        record.renewal.since = Some(now);
        record.renewal.begun = None;
        record.renewal.refused = None;
        record.renewal.shared = !self.index().withhold;
        // The refresh token first: with it alone there is a way on, with the access token alone there
        // is none.
        let mut puts: Vec<(Item, Secret)> = Vec::new();
        for item in items(name, &record).into_iter().rev() {
            match (item.refresh, refresh) {
                (true, Some(refresh)) => puts.push((item, refresh.clone())),
                (true, None) => {}
                (false, _) => puts.push((item, granted.access.clone())),
            }
        }
        let put = Change::Put {
            name: name.clone(),
            record: record.clone(),
        };
        self.transact(puts, Vec::new(), vec![put]).await?;
        if let Err(error) = self.mark(name, &record, None).await {
            tracing::debug!(%error, "the mark of a renewal stays in the store");
        }
        tracing::debug!(?name, "renewed");
        self.event("renewed", Some(name), None);
        self.sync_mirrors().await;
        Ok(())
    }

    /// The Hub does not renew it any more, unless another program has just done so.
    async fn refused(
        &mut self,
        name: &TokenName,
        sent: Fingerprint,
        lost: bool,
    ) -> Result<(), Error> {
        self.sync_mirrors().await;
        let Some(old) = self.index().tokens.get(name).cloned() else {
            return Ok(());
        };
        if old.refresh != Some(sent) {
            return Ok(());
        }
        let mut record = old;
        record.renewal.refused = Some(sent);
        record.renewal.begun = lost.then_some(sent);
        self.change(vec![Change::Put {
            name: name.clone(),
            record: record.clone(),
        }])?;
        if let Err(error) = self.mark(name, &record, None).await {
            tracing::debug!(%error, "the mark of a renewal stays in the store");
        }
        self.event("session-ended", Some(name), None);
        Err(session_ended(name, lost))
    }

    /// Refresh tokens leave the files, or come back into them; what did not follow is named.
    pub(super) async fn withhold(&mut self, withhold: bool) -> Result<HandBackReply, Error> {
        let mut pending = Vec::new();
        if self.index().withhold != withhold {
            // What a tool has written since would look like something new afterwards.
            self.sync_mirrors().await;
            self.change(vec![Change::Withhold { withhold }])?;
        }
        for home in self.index().mirrors.keys().cloned().collect::<Vec<_>>() {
            self.sync_mirror(&home, Occasion::Noticed).await;
            let mirror = self.status_of(&home)?;
            if mirror.state != MirrorState::InSync && mirror.mode != Mode::Off {
                let detail = mirror.detail.unwrap_or_default();
                let dir = mirror.dir;
                pending.push(Pending { dir, detail });
            }
        }
        Ok(HandBackReply { pending })
    }

    /// The refresh tokens go back into the files of a mirror that hfd is about to leave alone, and
    /// with those that no other mirror shows goes the care for them.
    pub(super) async fn hand_back(&mut self, home: &Home) -> Result<(), Error> {
        if !self.index().withhold {
            return Ok(());
        }
        if self.status_of(home)?.state == MirrorState::Absent {
            // The directory is gone: there is nothing to hand them back to, and hfd goes on caring.
            return Ok(());
        }
        let home = home.clone();
        self.change(vec![Change::HandBack { home: home.clone() }])?;
        self.sync_mirror(&home, Occasion::Noticed).await;
        let mirror = self.status_of(&home)?;
        if mirror.state != MirrorState::InSync {
            return Err(not_written_at(&home, &mirror));
        }
        let shown_at = |home: &Home| {
            let mirror = self.index().mirrors.get(home);
            mirror.and_then(|mirror| view(self.index(), mirror))
        };
        let others = self.index().mirrors.keys().filter(|&other| *other != home);
        let elsewhere: Vec<_> = others.filter_map(shown_at).collect();
        let handed = shown_at(&home).unwrap_or_default().sections;
        let (mut deletes, mut changes) = (Vec::new(), Vec::new());
        for (name, _) in handed.iter().filter(|(_, print)| print.refresh.is_some()) {
            let Some(record) = self.index().tokens.get(name) else {
                continue;
            };
            let mut record = record.clone();
            if elsewhere
                .iter()
                .any(|view| view.sections.contains_key(name))
            {
                record.renewal.shared = true;
            } else {
                deletes.extend(items(name, &record).into_iter().filter(|item| item.refresh));
                record.refresh = None;
            }
            let name = name.clone();
            changes.push(Change::Put { name, record });
        }
        self.transact(Vec::new(), deletes, changes).await
    }

    fn record(&self, name: &TokenName) -> Result<&Record, Error> {
        let record = self.index().tokens.get(name);
        record.ok_or_else(|| no_such_token(name))
    }
}

pub(crate) fn not_renewable(name: &TokenName) -> Error {
    let message = format!(
        "`{}` cannot be renewed: it came without a refresh token",
        name.escaped()
    );
    Error::new(Kind::Refused, message).hint("log in again for a new one: hfd login")
}

/// Only a login helps.
pub(crate) fn session_ended(name: &TokenName, lost: bool) -> Error {
    let name = name.escaped();
    let message = match lost {
        true => format!(
            "`{name}` cannot be renewed any more: hfd was cut off from the Hub's answer to an earlier \
             renewal, and the new token was lost with it"
        ),
        false => format!("the Hub does not renew `{name}` any more: its session has ended"),
    };
    Error::new(Kind::Refused, message).hint("log in again: hfd login")
}
