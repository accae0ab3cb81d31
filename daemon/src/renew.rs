//! Renews tokens before they end: one request at a time for each, later again where the Hub does not
//! answer, never again where it refuses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hfd_core::model::{Fingerprint, Record};
use hfd_core::renewal::{due, margin, pause};
use hfd_proto::{Error, Kind, TokenName};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::daemon::Daemon;
use crate::desktop;
use crate::engine::{Begun, Renewed, leaving};
use crate::hub::NotRenewed;
use crate::os::since_boot;

/// How long the Hub may take while other programs wait for the lock: huggingface_hub does for 30 s.
const UNDER_LOCK: Duration = Duration::from_secs(15);

/// How long otherwise.
const ALONE: Duration = Duration::from_secs(30);

/// The longest sleep: timers stand still while the machine does, and the clock may be set.
const LOOK: Duration = Duration::from_secs(300);

/// How long the time is not asked again of a Hub that did not tell.
const ASK_TIME: i64 = 60;

/// What is under way, and what waits.
#[derive(Debug, Default)]
pub struct Renewals {
    state: Mutex<State>,
    /// Told when one has ended.
    landed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing more is begun.
    closed: bool,
    flights: BTreeMap<TokenName, watch::Receiver<Option<Result<(), Error>>>>,
    pauses: BTreeMap<TokenName, Pause>,
}

/// A token whose renewal has failed.
#[derive(Debug, Clone)]
struct Pause {
    /// With this refresh token; another one starts anew.
    refresh: Option<Fingerprint>,
    failures: u32,
    /// Not before, in seconds since boot.
    until: i64,
    error: Error,
}

impl Renewals {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a token was not renewed the last time.
    pub(crate) fn trouble(&self, name: &TokenName, record: &Record) -> Option<Error> {
        let state = self.state();
        let pause = state.pauses.get(name)?;
        (pause.refresh == record.refresh).then(|| pause.error.clone())
    }

    /// Begins nothing more, and waits until nothing is under way: an answer of the Hub that is not stored yet exists nowhere
    /// else.
    pub(crate) async fn rest(&self) {
        self.state().closed = true;
        loop {
            let flight = self.state().flights.values().next().cloned();
            let Some(mut flight) = flight else { return };
            // One that ended without a word is over, too.
            drop(flight.wait_for(Option::is_some).await);
            sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Daemon {
    /// Renews a token now; whoever asks for the same one meanwhile shares the answer. It goes on
    /// when the asker leaves.
    ///
    /// # Errors
    /// [`Kind::Refused`] where only a login helps.
    pub(crate) async fn renew(self: &Arc<Self>, name: &TokenName) -> Result<(), Error> {
        let mut flight = {
            let mut state = self.renewals.state();
            match state.flights.get(name) {
                Some(flight) => flight.clone(),
                None if state.closed => return Err(leaving()),
                None => {
                    let (tell, flight) = watch::channel(None);
                    state.flights.insert(name.clone(), flight.clone());
                    tokio::spawn(fly(Arc::clone(self), name.clone(), tell));
                    flight
                }
            }
        };
        let landed = flight.wait_for(Option::is_some).await;
        let outcome = landed.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Err(leaving()))
    }

    /// Renews a token that has ended, and waits a moment for that. Whoever asked for it gets the old
    /// one where it does not succeed.
    pub(crate) async fn renew_ended(self: &Arc<Self>, name: &TokenName, record: &Record) {
        let ended = record.expires_at.is_some_and(|end| end <= self.clock.now());
        let can = record.refresh.is_some() && record.renewal.refused != record.refresh;
        if ended && can && self.renewals.trouble(name, record).is_none() {
            drop(timeout(Duration::from_secs(8), self.renew(name)).await);
        }
    }
}

/// One renewal from begin to end.
async fn fly(daemon: Arc<Daemon>, name: TokenName, tell: watch::Sender<Option<Result<(), Error>>>) {
    let before = daemon.snapshot().index.tokens.get(&name).cloned();
    let (outcome, after) = attempt(&daemon, &name).await;
    if let Err(error) = &outcome {
        tracing::info!(kind = ?error.kind, "a token was not renewed");
        tracing::debug!(?name, %error, "not renewed");
    }
    {
        let mut state = daemon.renewals.state();
        match &outcome {
            Err(error) => {
                let refresh = before.as_ref().and_then(|record| record.refresh);
                let old = state.pauses.get(&name).filter(|old| old.refresh == refresh);
                let failures = old.map_or(1, |old| old.failures.saturating_add(1));
                let margin = before.and_then(|record| margin(&record, daemon.clock.now()));
                let pause = pause(failures, margin.unwrap_or(0), daemon.jitter);
                let pause = Duration::from_millis(u64::try_from(pause).unwrap_or(0));
                let until = since_boot() + seconds(pause.max(after.unwrap_or_default()));
                let error = error.clone();
                state.pauses.insert(
                    name.clone(),
                    Pause {
                        refresh,
                        failures,
                        until,
                        error,
                    },
                );
            }
            Ok(()) => drop(state.pauses.remove(&name)),
        }
        state.flights.remove(&name);
    }
    tell.send_replace(Some(outcome));
    daemon.renewals.landed.notify_one();
    daemon.untidy.notify_one();
}

/// Asks the Hub, and has what it says stored. With an error comes how long to leave it alone, where
/// the Hub says so.
async fn attempt(daemon: &Arc<Daemon>, name: &TokenName) -> (Result<(), Error>, Option<Duration>) {
    let begun = match daemon.engine.begin_renewal(name.clone()).await {
        Ok(Some(begun)) => begun,
        // A tool was faster.
        Ok(None) => return (Ok(()), None),
        Err(error) => return (Err(error), None),
    };
    let Begun {
        record,
        refresh,
        again,
    } = begun;
    let sent = daemon.snapshot().index.salt.fingerprint(&refresh);
    let client_id = record.renewal.client_id.clone();
    let client_id = client_id.unwrap_or_else(|| daemon.hub.client_id(&record.endpoint));
    let patience = match record.renewal.shared {
        true => UNDER_LOCK,
        false => ALONE,
    };
    let answer = daemon
        .hub
        .renew(&record.endpoint, &client_id, &refresh, patience)
        .await;
    let (renewed, outcome) = match answer {
        Ok(granted) => {
            if let Some(date) = granted.date {
                daemon.clock.told(date);
            }
            let now = daemon.clock.now();
            (Renewed::Granted(sent, Box::new(granted), now), Ok(()))
        }
        Err(NotRenewed::Refused(error)) => (Renewed::Refused(sent, again), Err((error, None))),
        Err(NotRenewed::Later(error, after)) => (Renewed::Later, Err((error, after))),
    };
    let stored = store(daemon, name, renewed.clone()).await;
    match (stored, outcome) {
        // The engine knows better what it means.
        (Err(error), _) => {
            if matches!(renewed, Renewed::Refused(..)) {
                desktop::session_ended(name, &error).await;
            }
            (Err(error), None)
        }
        (Ok(()), Err((error, after))) if matches!(renewed, Renewed::Later) => (Err(error), after),
        // Stored; or refused, because a tool had been faster.
        (Ok(()), _) => (Ok(()), None),
    }
}

/// Brings the answer to the engine. One that holds tokens is brought until it is stored, however long
/// a keychain is locked: nobody else has them.
async fn store(daemon: &Arc<Daemon>, name: &TokenName, renewed: Renewed) -> Result<(), Error> {
    let mut failures = 0;
    loop {
        let outcome = daemon
            .engine
            .finish_renewal(name.clone(), renewed.clone())
            .await;
        match outcome {
            Err(error) if may_be_repeated(&renewed, &error) => {
                failures += 1;
                if failures == 1 {
                    tracing::warn!(kind = ?error.kind, "a renewed token is not stored yet");
                }
                let refresh = daemon
                    .snapshot()
                    .index
                    .tokens
                    .get(name)
                    .and_then(|r| r.refresh);
                let paused = Pause {
                    refresh,
                    failures,
                    until: 0,
                    error: unstored(&error),
                };
                daemon.renewals.state().pauses.insert(name.clone(), paused);
                sleep(Duration::from_secs(failures.min(10).into())).await;
            }
            outcome => return outcome,
        }
    }
}

fn may_be_repeated(renewed: &Renewed, error: &Error) -> bool {
    match renewed {
        Renewed::Granted(..) => true,
        // Not begun because the engine was busy: the lock has to be given back all the same.
        Renewed::Refused(..) | Renewed::Later => error.kind == Kind::TimedOut,
    }
}

fn unstored(error: &Error) -> Error {
    let message = format!(
        "it was renewed, but the new token is only in hfd's memory: {}",
        error.message
    );
    Error::new(error.kind, message)
        .hint("unlock the keychain; hfd stores it as soon as that is possible")
}

/// Renews what is due, for as long as the daemon runs.
pub(crate) async fn follow(daemon: Arc<Daemon>) {
    let mut state = daemon.state.clone();
    let mut asked_time = i64::MIN;
    loop {
        let snapshot = Arc::clone(&state.borrow_and_update());
        let now = daemon.clock.now();
        let mut next: Option<Duration> = None;
        if !snapshot.index.locked {
            for (name, record) in &snapshot.index.tokens {
                let Some(wait) = wait(&daemon, name, record, now) else {
                    continue;
                };
                if wait.is_zero() {
                    let (daemon, name) = (Arc::clone(&daemon), name.clone());
                    tokio::spawn(async move { drop(daemon.renew(&name).await) });
                } else {
                    next = Some(next.map_or(wait, |next| next.min(wait)));
                }
            }
        }
        let renewable = snapshot.index.tokens.values().find(|r| r.refresh.is_some());
        if let Some(record) = renewable
            && daemon.clock.jumped()
            && since_boot() >= asked_time.saturating_add(ASK_TIME)
        {
            asked_time = since_boot();
            if let Some(date) = daemon.hub.date(&record.endpoint).await {
                daemon.clock.told(date);
                continue;
            }
        }
        tokio::select! {
            published = state.changed() => if published.is_err() { return },
            () = daemon.renewals.landed.notified() => {}
            () = sleep(next.unwrap_or(LOOK).min(LOOK)), if next.is_some() => {}
        }
    }
}

/// How long until a token is to be renewed; `None` for one that is not, or is being.
fn wait(daemon: &Daemon, name: &TokenName, record: &Record, now: i64) -> Option<Duration> {
    let due = due(record, now, daemon.jitter)?;
    let state = daemon.renewals.state();
    if state.flights.contains_key(name) {
        return None;
    }
    let paused = state.pauses.get(name);
    let paused = paused.filter(|pause| pause.refresh == record.refresh);
    let paused = paused.map_or(0, |pause| pause.until - since_boot());
    // What was cut off is asked again at once: an access token may be all that is left of it.
    let cut_off = record.renewal.begun.is_some();
    let left = if cut_off { 0 } else { due - now };
    Some(Duration::from_secs(
        u64::try_from(left.max(paused)).unwrap_or(0),
    ))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs_f64().ceil() as u64).unwrap_or(i64::MAX)
}
