//! A renewal's share of the engine: what comes before the Hub is asked, and what its answer leads to.
//! The request itself is made elsewhere (`crate::renew`), so that nothing waits for the Hub here.

use std::collections::BTreeSet;
use std::time::Instant as Moment;

use hfd_core::model::{Change, Fingerprint, Record};
use hfd_core::reconcile::Occasion;
use hfd_proto::{Error, Home, Kind, Mode, Secret, TokenName};
use tokio::time::timeout_at;

use super::Worker;
use super::change::{items, timed_out};
use crate::hub::Granted;
use crate::journal::Item;
use crate::mirror::{WriteError, hold};
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
    /// The Hub answered, at this time.
    Granted(Box<Granted>, i64),
    /// It will not renew the token any more.
    Refused {
        /// Whether the answer to an earlier request was lost.
        lost: bool,
    },
    /// It has not said.
    Later {
        /// Whether it may have renewed the token all the same.
        lost: bool,
    },
}

impl Worker {
    /// Prepares to send a refresh token to the Hub: what tools have done is taken up, the lock is held
    /// where they could be renewing too, and the store is proven to take an answer. `None` where
    /// nobody has that refresh token any more, or a tool has just renewed it.
    pub(super) async fn begin_renewal(
        &mut self,
        sent: Fingerprint,
    ) -> Result<Option<Begun>, Error> {
        self.check_unlocked()?;
        self.settle().await;
        self.sync_mirrors().await;
        let begun = self.prepare_renewal(sent).await;
        match begun {
            Ok(Some(_)) => drop(self.flying.insert(sent)),
            _ => self.release(sent),
        }
        begun
    }

    async fn prepare_renewal(&mut self, sent: Fingerprint) -> Result<Option<Begun>, Error> {
        let Some((_, before)) = self.token_with(sent) else {
            return Ok(None);
        };
        if before.renewal.shared {
            self.hold_locks(sent).await?;
        }
        let Some((name, record)) = self.token_with(sent) else {
            return Ok(None);
        };
        if record.access != before.access {
            return Ok(None);
        }
        let item = items(&name, &record).into_iter().find(|item| item.refresh);
        let item = item.ok_or_else(|| not_renewable(&name))?;
        let Some(refresh) = self.read_item(&item).await? else {
            let (name, store) = (name.escaped(), record.store.title());
            let message = format!("{store} does not hold the refresh token of `{name}`");
            return Err(Error::new(Kind::StoreUnavailable, message).hint("log in again: hfd login"));
        };
        let print = self.index().salt.fingerprint(&refresh);
        let mut next = record.clone();
        if print != sent {
            next.refresh = Some(print);
            let shown = name.escaped();
            self.change(vec![Change::Put { name, record: next }])?;
            let message = format!("another program changed the refresh token of `{shown}`");
            return Err(Error::new(Kind::TimedOut, message).hint("hfd tries again with that"));
        }
        self.check_not_replaced(&name, &record).await?;
        self.mark(&name, &record, Some(sent)).await?;
        let again = record.renewal.begun == Some(sent);
        next.renewal.begun = Some(sent);
        if !again {
            let record = next.clone();
            self.change(vec![Change::Put { name, record }])?;
        }
        Ok(Some(Begun {
            record: next,
            refresh,
            again,
        }))
    }

    /// A value that somebody has put into the keychain in the token's place would be renewed away. It is
    /// noticed here, since lookups are answered from memory.
    async fn check_not_replaced(&mut self, name: &TokenName, record: &Record) -> Result<(), Error> {
        let item = items(name, record).into_iter().find(|item| !item.refresh);
        let value = match item {
            Some(item) => self.read_item(&item).await?,
            None => None,
        };
        let print = value.map(|value| self.index().salt.fingerprint(&value));
        match print {
            Some(print) if print != record.access => {
                self.replaced(name, record.access).await;
                Err(not_renewable(name))
            }
            // One that is missing comes back with the renewal.
            _ => Ok(()),
        }
    }

    /// Takes the lock of every mirror that shows the token, and looks once more under it. Another
    /// renewal may hold it already; it is given back with the last of them.
    async fn hold_locks(&mut self, sent: Fingerprint) -> Result<(), Error> {
        let has = |name: &TokenName| {
            let record = self.index().tokens.get(name);
            record.is_some_and(|record| record.refresh == Some(sent))
        };
        let shows = |mirror: &hfd_core::model::Mirror| {
            matches!(mirror.mode, Mode::Files | Mode::Runtime)
                || mirror.active.as_ref().is_some_and(has)
        };
        let mirrors = self.index().mirrors.iter();
        let homes: Vec<Home> = mirrors
            .filter(|(_, mirror)| mirror.mode != Mode::Off && shows(mirror))
            .map(|(home, _)| home.clone())
            .collect();
        for home in homes {
            if let Some((_, flights)) = self.held.get_mut(&home) {
                flights.insert(sent);
                self.sync_mirror(&home, Occasion::Noticed).await;
                continue;
            }
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
                Ok(Some(Ok(guard))) => {
                    let flights = BTreeSet::from([sent]);
                    drop(self.held.insert(home.clone(), (guard, flights)));
                }
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

    /// Gives back the locks that nobody else's renewal needs.
    fn release(&mut self, sent: Fingerprint) {
        self.held.retain(|_, (_, flights)| {
            flights.remove(&sent);
            !flights.is_empty()
        });
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

    /// Takes the mark out again. It may stay where the store does not answer: it is of no consequence,
    /// and the next renewal writes over it.
    pub(super) async fn unmark(&self, name: &TokenName, record: &Record) {
        if record.renewal.begun.is_none() {
            return;
        }
        if let Err(error) = self.mark(name, record, None).await {
            tracing::debug!(%error, "the mark of a renewal stays in the store");
        }
    }

    /// Takes up what the Hub has answered to this refresh token.
    ///
    /// # Errors
    /// As the store's: then the answer has to be brought again, since nobody else has it.
    pub(super) async fn finish_renewal(
        &mut self,
        sent: Fingerprint,
        renewed: Renewed,
    ) -> Result<(), Error> {
        let outcome = match renewed {
            Renewed::Granted(granted, now) => {
                self.settle().await;
                let stored = self.renewed(sent, &granted, now).await;
                if stored.is_ok() {
                    self.flying.remove(&sent);
                }
                stored
            }
            Renewed::Refused { lost } => {
                self.flying.remove(&sent);
                self.refused(sent, lost).await
            }
            Renewed::Later { lost } => {
                self.flying.remove(&sent);
                if lost {
                    Ok(())
                } else {
                    self.unasked(sent).await
                }
            }
        };
        self.release(sent);
        outcome
    }

    async fn renewed(
        &mut self,
        sent: Fingerprint,
        granted: &Granted,
        now: i64,
    ) -> Result<(), Error> {
        let salt = self.index().salt;
        let access = salt.fingerprint(&granted.access);
        // Those that have it stored already, with a refresh token that stayed, need it no more.
        let mut holders = self.holders(sent);
        holders.retain(|holder| holder.record.access != access);
        if holders.is_empty() {
            tracing::debug!("a renewed token is wanted by nobody any more");
            return Ok(());
        }
        let refresh = granted.refresh.as_ref();
        let (mut puts, mut changes): (Vec<(Item, Secret)>, Vec<Change>) = Default::default();
        let mut names = Vec::new();
        for holder in holders {
            let mut record = holder.record.clone();
            record.access = access;
            record.refresh = refresh.map(|value| salt.fingerprint(value)).or(Some(sent));
            record.expires_at = granted.expires_in.map(|lives| now.saturating_add(lives));
            record.rejected = None;
            record.renewal.since = Some(now);
            record.renewal.begun = None;
            record.renewal.refused = None;
            record.renewal.shared = !self.index().withhold;
            // The refresh token first: with it alone there is a way on, with the access token alone
            // there is none.
            for item in holder.items(&record).into_iter().rev() {
                match (item.refresh, refresh) {
                    (true, Some(refresh)) => puts.push((item, refresh.clone())),
                    (true, None) => {}
                    (false, _) => puts.push((item, granted.access.clone())),
                }
            }
            names.push((
                holder.name.clone(),
                holder.record.clone(),
                holder.kept.is_some(),
            ));
            changes.extend(holder.becomes(record));
        }
        self.transact(puts, Vec::new(), changes).await?;
        for (name, old, kept) in &names {
            self.unmark(name, old).await;
            if !kept {
                tracing::debug!(?name, "renewed");
                self.event("renewed", Some(name), None);
            }
        }
        self.sync_mirrors().await;
        Ok(())
    }

    /// The Hub does not renew it any more, unless another program has just done so.
    async fn refused(&mut self, sent: Fingerprint, lost: bool) -> Result<(), Error> {
        self.sync_mirrors().await;
        let ended = self.set_renewal(sent, |renewal| {
            renewal.refused = Some(sent);
            renewal.begun = lost.then_some(sent);
        });
        let ended = ended.await?;
        for name in &ended {
            self.event("session-ended", Some(name), None);
        }
        match ended.first() {
            Some(name) => Err(session_ended(name, lost)),
            None => Ok(()),
        }
    }

    /// The Hub has not used the refresh token: nothing was cut off.
    async fn unasked(&mut self, sent: Fingerprint) -> Result<(), Error> {
        let set = self.set_renewal(sent, |renewal| renewal.begun = None);
        set.await.map(drop)
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
