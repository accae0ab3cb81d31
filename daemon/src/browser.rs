//! Logins that a person grants in a browser: begun for a client, and finished here whether or not that
//! client still waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hfd_proto::{
    AwaitLogin, BeginLogin, CancelLogin, Error, Kind, Login, LoginBegun, LoginCancelled,
    LoginReply, LoginState, TokenName,
};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::daemon::Daemon;
use crate::engine::{Arrival, Session, leaving, locked};
use crate::hub::{DeviceCode, Granted, Identity, Poll};

/// How long `await-login` waits where the client does not say.
const WAIT: u64 = 20;

/// How much longer one waits between polls when the Hub asks for it (RFC 8628 section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// How often a granted login that cannot be stored is tried again, and for how long.
const AGAIN: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(600);

/// What a question to the Hub that is under way gets when the login is called off: the answer may be
/// that it was granted at this moment.
const GRACE: Duration = Duration::from_secs(2);

/// How long an ended login can be asked about.
const MEMORY: Duration = Duration::from_secs(60);

/// So many may wait at a time.
const MOST: usize = 32;

/// The logins that wait.
#[derive(Debug, Default)]
pub struct Logins(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    begun: u64,
    /// Nothing more is begun: the daemon leaves.
    closed: bool,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug, Clone)]
struct Waiting {
    wishes: BeginLogin,
    url: String,
    complete_url: String,
    code: String,
    deadline: Instant,
    progress: watch::Receiver<Progress>,
    cancel: Arc<Notify>,
}

#[derive(Debug, Clone)]
enum Progress {
    /// For the person.
    Asked,
    /// Granted: from now on it is stored, whoever calls it off.
    Granted,
    /// Granted, but not stored yet.
    Stuck(Error),
    Ended(Box<Result<LoginReply, Error>>),
}

impl Progress {
    fn has_ended(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

impl Waiting {
    fn has_ended(&self) -> bool {
        self.progress.borrow().has_ended()
    }

    fn left(&self) -> u64 {
        self.deadline
            .saturating_duration_since(Instant::now())
            .as_secs()
    }

    fn describe(&self, id: u64, joined: bool) -> LoginBegun {
        LoginBegun {
            id,
            url: self.url.clone(),
            complete_url: self.complete_url.clone(),
            code: self.code.clone(),
            expires_in: self.left(),
            joined,
        }
    }
}

impl Logins {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that waits and was asked for in the same words.
    fn same(&self, wishes: &BeginLogin) -> Option<LoginBegun> {
        let state = self.state();
        let same = |waiting: &&Waiting| !waiting.has_ended() && wants_same(&waiting.wishes, wishes);
        let mut all = state.waiting.iter();
        let (id, waiting) = all.find(|(_, waiting)| same(waiting))?;
        Some(waiting.describe(*id, true))
    }

    /// Ends all that nobody has granted yet, and waits for the others: nobody else has their tokens.
    pub(crate) async fn rest(&self) {
        let waiting: Vec<Waiting> = {
            let mut state = self.state();
            state.closed = true;
            state.waiting.values().cloned().collect()
        };
        for waiting in &waiting {
            waiting.cancel.notify_one();
        }
        for mut waiting in waiting {
            // One that ended without a word is over, too.
            let ended = waiting.progress.wait_for(Progress::has_ended);
            drop(ended.await);
        }
    }

    /// Ends those that a new one takes the place of.
    fn replace(&self, wishes: &BeginLogin) {
        let state = self.state();
        let same = |waiting: &&Waiting| {
            (&waiting.wishes.endpoint, &waiting.wishes.name) == (&wishes.endpoint, &wishes.name)
        };
        for waiting in state.waiting.values().filter(same) {
            waiting.cancel.notify_one();
        }
    }

    fn get(&self, id: u64) -> Result<Waiting, Error> {
        let waiting = self.state().waiting.get(&id).cloned();
        waiting.ok_or_else(|| {
            Error::new(Kind::Refused, "there is no such login any more")
                .hint("repeat it: hfd login")
        })
    }
}

fn wants_same(one: &BeginLogin, other: &BeginLogin) -> bool {
    let of = |wishes: &BeginLogin| BeginLogin {
        network: hfd_proto::Network::default(),
        force: false,
        ..wishes.clone()
    };
    of(one) == of(other)
}

/// `begin-login`: joins a login of the same wishes, or begins one.
pub(crate) async fn begin(daemon: &Arc<Daemon>, wishes: BeginLogin) -> Result<LoginBegun, Error> {
    if daemon.snapshot().index.locked {
        return Err(locked());
    }
    // A person is not sent to a browser for a token that nothing can keep.
    let store = wishes.store.unwrap_or(daemon.stores.default);
    daemon.stores.get(store)?.probe().await?;
    match wishes.force {
        true => daemon.logins.replace(&wishes),
        false => {
            if let Some(same) = daemon.logins.same(&wishes) {
                return Ok(same);
            }
        }
    }
    let endpoint = daemon.endpoint(wishes.endpoint.as_ref());
    let client_id = wishes.client_id.clone();
    let client_id = client_id.unwrap_or_else(|| daemon.hub.client_id(&endpoint));
    let begun = daemon
        .hub
        .begin_login(&endpoint, &client_id, &wishes.network);
    let device = begun.await?;
    let (tell, progress) = watch::channel(Progress::Asked);
    let waiting = Waiting {
        url: device.url.clone(),
        complete_url: device.complete_url.clone(),
        code: device.user_code.clone(),
        deadline: Instant::now() + device.lives,
        progress,
        cancel: Arc::default(),
        wishes,
    };
    let id = {
        let mut state = daemon.logins.state();
        if state.closed {
            return Err(leaving());
        }
        if state.waiting.len() >= MOST {
            return Err(
                Error::new(Kind::Refused, "too many logins wait for a person")
                    .hint("finish one of them, or wait until they expire"),
            );
        }
        state.begun += 1;
        // Of no use with another daemon.
        let id = (u64::from(std::process::id()) << 20) + state.begun;
        state.waiting.insert(id, waiting.clone());
        id
    };
    let answer = waiting.describe(id, false);
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        let ended = see_through(&daemon, &waiting, &device, client_id, &tell).await;
        tell.send_replace(Progress::Ended(Box::new(ended)));
        daemon.untidy.notify_one();
        sleep(MEMORY).await;
        daemon.logins.state().waiting.remove(&id);
    });
    Ok(answer)
}

/// `await-login`.
pub(crate) async fn wait(daemon: &Daemon, asked: AwaitLogin) -> Result<LoginState, Error> {
    let waiting = daemon.logins.get(asked.id)?;
    let patience = Duration::from_secs(asked.wait.unwrap_or(WAIT).min(WAIT));
    let mut progress = waiting.progress.clone();
    let ended = progress.wait_for(Progress::has_ended);
    drop(timeout(patience, ended).await);
    let progress = waiting.progress.borrow().clone();
    let (login, trouble) = match progress {
        Progress::Asked | Progress::Granted => (None, None),
        Progress::Stuck(error) => (None, Some(error.message)),
        Progress::Ended(outcome) => (Some((*outcome)?), None),
    };
    Ok(LoginState {
        login,
        expires_in: waiting.left(),
        trouble,
    })
}

/// `cancel-login`. What is answered has been decided: a login that was granted at this moment is kept.
pub(crate) async fn cancel(daemon: &Daemon, asked: &CancelLogin) -> LoginCancelled {
    let Ok(mut waiting) = daemon.logins.get(asked.id) else {
        return LoginCancelled { cancelled: false };
    };
    let was_waiting = !waiting.has_ended();
    waiting.cancel.notify_one();
    let decided = waiting
        .progress
        .wait_for(|progress| !matches!(progress, Progress::Asked));
    let progress = decided.await.map(|progress| progress.clone());
    let cancelled = match progress {
        Ok(Progress::Ended(outcome)) => outcome.is_err(),
        Ok(_) => false,
        // It ended without a word.
        Err(_) => true,
    };
    LoginCancelled {
        cancelled: was_waiting && cancelled,
    }
}

/// From the question to the stored token.
async fn see_through(
    daemon: &Arc<Daemon>,
    waiting: &Waiting,
    device: &DeviceCode,
    client_id: String,
    tell: &watch::Sender<Progress>,
) -> Result<LoginReply, Error> {
    let granted = poll(daemon, waiting, device, &client_id).await?;
    tell.send_replace(Progress::Granted);
    if let Some(date) = granted.date {
        daemon.clock.told(date);
    }
    let session = Session {
        refresh: granted.refresh.clone(),
        expires_at: granted
            .expires_in
            .map(|lives| daemon.clock.now().saturating_add(lives)),
        client_id,
    };
    let identity = whose(daemon, waiting, &granted).await?;
    let wishes = &waiting.wishes;
    let mut login = Login {
        token: granted.access.clone(),
        name: wishes.name.clone(),
        home: wishes.home.clone(),
        switch: wishes.switch,
        offline: identity.is_none(),
        endpoint: wishes.endpoint.clone(),
        store: wishes.store,
        force: wishes.force,
        network: hfd_proto::Network::default(),
    };
    if identity.is_none() && login.name.is_none() {
        let print = daemon.snapshot().index.salt.fingerprint(&login.token);
        login.name = TokenName::parse(format!("oauth-{}", print.short())).ok();
    }
    let latest = Instant::now() + PATIENCE;
    loop {
        let arrival = Arrival {
            request: login.clone(),
            identity: identity.clone(),
            session: Some(session.clone()),
        };
        match daemon.engine.login(Box::new(arrival)).await {
            // The name is another person's: what was granted is kept under one of its own.
            Err(error) if error.kind == Kind::Refused && login.name.take().is_some() => {
                tracing::info!("a login gets the Hub's name: the one asked for is taken");
            }
            Err(error) if may_pass(error.kind) && Instant::now() < latest => {
                tell.send_replace(Progress::Stuck(error));
                sleep(AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

fn called_off(daemon: &Daemon) -> Error {
    match daemon.logins.state().closed {
        true => leaving(),
        false => Error::new(Kind::Refused, "the login was called off").hint("repeat it: hfd login"),
    }
}

/// Whether an error of the store may be over soon.
fn may_pass(kind: Kind) -> bool {
    matches!(kind, Kind::Locked | Kind::StoreUnavailable | Kind::TimedOut)
}

/// Asks the Hub until somebody has decided, or calls it off. An answer that is under way then is heard:
/// tokens that the Hub grants in it would be lost otherwise.
async fn poll(
    daemon: &Daemon,
    waiting: &Waiting,
    device: &DeviceCode,
    client_id: &str,
) -> Result<Granted, Error> {
    let endpoint = daemon.endpoint(waiting.wishes.endpoint.as_ref());
    let mut interval = device.interval;
    let mut wait = interval;
    loop {
        tokio::select! {
            () = sleep(wait) => {}
            () = waiting.cancel.notified() => return Err(called_off(daemon)),
        }
        let polled = daemon
            .hub
            .poll_login(&endpoint, client_id, device, &waiting.wishes.network);
        tokio::pin!(polled);
        let (polled, cancelled) = tokio::select! {
            answer = &mut polled => (answer, false),
            () = waiting.cancel.notified() => match timeout(GRACE, polled).await {
                Ok(answer) => (answer, true),
                Err(_) => return Err(called_off(daemon)),
            },
        };
        match polled? {
            Poll::Granted(granted) => return Ok(*granted),
            Poll::SlowDown => {
                interval += SLOWER;
                wait = interval;
            }
            Poll::Pending(after) => wait = interval.max(after.unwrap_or_default()),
        }
        if cancelled {
            return Err(called_off(daemon));
        }
        // Nobody is asked again after the end, however long the Hub wants to be left alone.
        wait = wait.min(waiting.deadline.saturating_duration_since(Instant::now()));
        if Instant::now() >= waiting.deadline {
            return Err(
                Error::new(Kind::Refused, "nobody granted the login in time")
                    .hint("repeat it: hfd login"),
            );
        }
    }
}

/// Whose token it is. A Hub that has just granted it and cannot say must not cost the person a second
/// visit to the browser: then it is stored without.
async fn whose(
    daemon: &Daemon,
    waiting: &Waiting,
    granted: &Granted,
) -> Result<Option<Identity>, Error> {
    let wishes = &waiting.wishes;
    let endpoint = daemon.endpoint(wishes.endpoint.as_ref());
    for pause in [1, 2, 4, 8, 0] {
        let asked = daemon
            .hub
            .whoami(&endpoint, &granted.access, &wishes.network);
        match asked.await {
            Ok(identity) => return Ok(Some(identity)),
            Err(refusal) if refusal.unknown => return Err(refusal.error),
            Err(_) => sleep(Duration::from_secs(pause)).await,
        }
    }
    Ok(None)
}
