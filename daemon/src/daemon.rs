//! What every connection shares.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hfd_core::model::{Fingerprint, Record};
use hfd_proto::{Endpoint, Error, Event, Secret, StoreId, TokenName};
use tokio::sync::{Notify, broadcast, watch};

use crate::browser::Logins;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::hub::Hub;
use crate::idle::Idle;
use crate::mirror::Guests;
use crate::renew::Renewals;
use crate::snapshot::Snapshot;
use crate::store::{Change, Key, Part};
use crate::stores::Stores;
use crate::values::Values;

/// Events that a slow watcher may lag behind before it is told so.
pub(crate) const EVENTS: usize = 64;

/// The parts of the running daemon.
#[derive(Debug)]
pub struct Daemon {
    /// The configuration, read at start.
    pub config: Config,
    /// The way to the Hub.
    pub hub: Hub,
    /// The stores.
    pub stores: Arc<Stores>,
    /// Values of access tokens.
    pub values: Arc<Values>,
    /// For looking into homes that are no mirrors.
    pub guests: Guests,
    /// The last published state.
    pub state: watch::Receiver<Arc<Snapshot>>,
    /// The owner of all state.
    pub engine: Engine,
    /// What happens, for watchers.
    pub events: broadcast::Sender<Event>,
    /// Where it listens now.
    pub socket: watch::Receiver<PathBuf>,
    /// When it started.
    pub started: Instant,
    /// What time it is.
    pub clock: Arc<Clock>,
    /// Renewals under way.
    pub renewals: Renewals,
    /// Values that the Hub said it does not know.
    pub refusals: Refusals,
    /// Values that the Hub was asked about since a program said that it had refused them.
    pub checks: Checks,
    /// Browser logins that wait for a person.
    pub logins: Logins,
    /// From 0 to 1: moves this daemon's renewals apart from those of other machines.
    pub jitter: f64,
    /// The service manager that runs it, if one does.
    pub service: Option<String>,
    /// Connections on which requests are being answered.
    pub busy: AtomicUsize,
    /// When hfd was last used, for locking itself.
    pub idle: Arc<Idle>,
    /// Whether it leaves as soon as what is under way is answered, and takes nothing new.
    pub retiring: AtomicBool,
    /// Told after work that leaves memory to be given back.
    pub untidy: Notify,
    /// Told to end the daemon.
    pub leave: Arc<Notify>,
}

impl Daemon {
    /// The last published state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state.borrow())
    }

    /// The Hub that was asked for, else the configured one.
    pub(crate) fn endpoint(&self, asked: Option<&Endpoint>) -> Endpoint {
        asked.unwrap_or(&self.config.endpoint).clone()
    }

    /// The access token of a record. One that another program has changed in the keychain is taken
    /// into the index.
    pub(crate) async fn value(&self, name: &TokenName, record: &Record) -> Result<Secret, Error> {
        let (value, print) = self.values.of(name, record).await?;
        if print != record.access {
            self.look_into(name, record);
        }
        Ok(value)
    }

    /// Takes up what other programs do to items in the keychain, as it tells of them.
    pub(crate) async fn follow_keychain(&self) {
        while let Some((store, change)) = self.stores.next_change().await {
            self.take_up(store, &change);
        }
    }

    fn take_up(&self, store: StoreId, change: &Change) {
        let state = self.snapshot();
        let there = state.index.tokens.iter();
        let mut there = there.filter(|(_, record)| record.store == store);
        match change {
            Change::Touched { key, value } => {
                let is = |(name, record): &(&TokenName, &Record)| *key == access(name, record);
                if let Some((name, record)) = there.find(is) {
                    let value = value.as_ref().map(|value| self.values.saw(value));
                    if value != Some(record.access) {
                        self.look_into(name, record);
                    }
                }
            }
            Change::Remaining(keys) => {
                for (name, record) in there {
                    if !keys.contains(&access(name, record)) {
                        self.look_into(name, record);
                    }
                }
            }
        }
    }

    /// Has the engine see what the keychain holds in the token's place now. Where it has too much to
    /// do, the next lookup does.
    fn look_into(&self, name: &TokenName, record: &Record) {
        if !self.engine.replaced(name.clone(), record.access) {
            self.values.forget(record.access);
        }
    }

    /// Waits until every request that has arrived is answered.
    pub(crate) async fn answered(&self) {
        while self.busy.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Counts a connection that answers, for as long as the guard lives.
    pub(crate) fn work(&self) -> Working<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Working(&self.busy)
    }
}

fn access(name: &TokenName, record: &Record) -> Key {
    Key {
        endpoint: record.endpoint.clone(),
        name: name.clone(),
        part: Part::Access,
    }
}

/// Values that the Hub did not know when it was asked a moment ago.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Fingerprint, (Instant, Error)>>);

/// How long the Hub is not asked about such a value again.
const HAMMER: Duration = Duration::from_secs(60);

impl Refusals {
    /// What the Hub said of it within the last minute.
    pub(crate) fn recent(&self, value: Fingerprint) -> Option<Error> {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.retain(|_, (at, _)| at.elapsed() < HAMMER);
        refusals.get(&value).map(|(_, error)| error.clone())
    }

    pub(crate) fn remember(&self, value: Fingerprint, error: &Error) {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.insert(value, (Instant::now(), error.clone()));
    }
}

/// Values that the Hub was asked about a moment ago because a program had them refused.
#[derive(Debug, Default)]
pub struct Checks(Mutex<HashMap<Fingerprint, Instant>>);

impl Checks {
    /// Whether it is time to ask about it, which is taken for asking.
    pub(crate) fn begin(&self, value: Fingerprint) -> bool {
        let mut checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        checks.retain(|_, at| at.elapsed() < HAMMER);
        match checks.entry(value) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Instant::now());
                true
            }
        }
    }
}

/// Requests of one connection are being answered.
#[derive(Debug)]
pub(crate) struct Working<'a>(&'a AtomicUsize);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
