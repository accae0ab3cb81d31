//! The one owner of index and mirrors. Changes come as jobs and are carried out one after the
//! other, on a thread of their own because the index is flushed to a disk that may be slow; each is
//! answered after its effect. Reads never come here.

mod again;
mod change;
mod compare;
mod doubt;
mod holder;
mod import;
mod manage;
mod migrate;
mod notice;
mod renewal;
mod restore;
mod session;
mod settle;
mod sync;
#[cfg(test)]
mod tests;
mod withhold;
mod write;

pub(crate) use manage::locked;
pub(crate) use renewal::{Begun, Renewed, not_renewable, session_ended};
pub(crate) use session::not_logged_in;
pub(crate) use sync::token_of;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hfd_core::model::{Change, Fingerprint, Index};
use hfd_proto::{
    Compare, Compared, Endpoint, Error, Event, HandBackReply, Home, Kind, LockReply, Login,
    LoginReply, Logout, LogoutReply, Manage, ManageReply, Migrate, Migrated, Mode, Rename,
    RenameReply, Restore, RestoreReply, Secret, Switch, SwitchReply, SyncReply, TokenName,
    Unmanage, UnmanageReply, WhoamiReply,
};
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::again::Again;
use self::notice::Notices;
use crate::clock::Clock;
use crate::hub::Identity;
use crate::journal::Journal;
use crate::lock::Lock;
use crate::mirror::Guard;
use crate::snapshot::{MirrorNow, Snapshot};
use crate::stores::Stores;
use crate::values::Values;

/// How long a job may take, counted from when it was asked for: a store that is frozen is given up
/// in time for the client to have its answer within five seconds.
const DEADLINE: Duration = Duration::from_millis(4600);

/// Jobs that may wait. Beyond it clients wait at the socket instead.
const QUEUE: usize = 64;

/// What an asker waits at most. It is more than a job may take: only a disk that does not answer, and
/// holds the engine's thread with it, exceeds that.
const PATIENCE: Duration = Duration::from_millis(4800);

/// A reply channel.
type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Something to be changed, with the channel for its answer.
#[derive(Debug)]
enum Job {
    Login(Box<Arrival>, Answer<LoginReply>),
    Logout(Logout, Answer<LogoutReply>),
    Switch(Switch, Answer<SwitchReply>),
    Rename(Rename, Answer<RenameReply>),
    Sync(Option<Home>, Answer<SyncReply>),
    Restore(Restore, Answer<RestoreReply>),
    Manage(Manage, Answer<ManageReply>),
    Unmanage(Unmanage, Answer<UnmanageReply>),
    Migrate(Migrate, Answer<Migrated>),
    Compare(Compare, Answer<Compared>),
    Lock(bool, Option<Home>, Answer<LockReply>),
    BeginRenewal(Fingerprint, Answer<Option<Begun>>),
    FinishRenewal(Fingerprint, Renewed, Answer<()>),
    Withhold(bool, Answer<HandBackReply>),
    Learn(WhoamiReply),
    Rejected(TokenName, Fingerprint),
    Replaced(TokenName, Fingerprint),
    Rest(Answer<()>),
}

/// A token that comes in by a login.
#[derive(Debug)]
pub struct Arrival {
    /// What was asked for.
    pub request: Login,
    /// Whose it is, where the Hub was asked.
    pub identity: Option<Identity>,
    /// What a browser login has beside the token.
    pub session: Option<Session>,
}

/// What a browser login has beside the access token.
#[derive(Debug, Clone)]
pub struct Session {
    /// The refresh token.
    pub refresh: Option<Secret>,
    /// When the access token ends, in Unix seconds.
    pub expires_at: Option<i64>,
    /// The client that it was issued to.
    pub client_id: String,
}

/// What the engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The index on disk.
    pub journal: Journal,
    /// The stores.
    pub stores: Arc<Stores>,
    /// Values of access tokens.
    pub values: Arc<Values>,
    /// Receives every new state.
    pub publish: watch::Sender<Arc<Snapshot>>,
    /// Receives every event.
    pub events: broadcast::Sender<Event>,
    /// What makes this the only engine; tests have none.
    pub lock: Option<Arc<Lock>>,
    /// Told when the lock was lost.
    pub leave: Arc<Notify>,
    /// Whether refresh tokens are kept out of the files.
    pub withhold: bool,
    /// What time it is.
    pub clock: Arc<Clock>,
    /// The Hub of what comes without one: a login that names none, and what tools write.
    pub endpoint: Endpoint,
}

/// The handle of the engine.
#[derive(Debug, Clone)]
pub struct Engine {
    jobs: mpsc::Sender<(Instant, Job)>,
    notices: Arc<Notices>,
}

macro_rules! ask {
    ($($(#[$doc:meta])* $method:ident($($argument:ident: $type:ty),*) -> $reply:ty = $job:expr;)*) => {
        $($(#[$doc])*
        pub async fn $method(&self, $($argument: $type),*) -> Result<$reply, Error> {
            let (answer, reply) = oneshot::channel();
            let job: Job = ($job)($($argument,)* answer);
            self.ask(job, reply).await
        })*
    };
}

impl Engine {
    /// Starts the engine on a thread of its own. Stores and connections stay on the caller's
    /// runtime.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let notices = Arc::new(Notices::default());
        let worker = Worker {
            parts,
            mirrors: BTreeMap::new(),
            notices: Arc::clone(&notices),
            deadline: Instant::now(),
            flying: BTreeSet::new(),
            held: BTreeMap::new(),
            happened: Vec::new(),
        };
        // Its timers are the caller's runtime's, which goes on turning on its own thread.
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || runtime.block_on(Box::pin(worker.run(queue))))?;
        Ok(Self { jobs, notices })
    }

    async fn ask<T>(
        &self,
        job: Job,
        reply: oneshot::Receiver<Result<T, Error>>,
    ) -> Result<T, Error> {
        let asked = Instant::now();
        let answered = async {
            let sent = self.jobs.send((asked, job)).await;
            sent.map_err(|_| leaving())?;
            reply.await.map_err(|_| leaving())?
        };
        match timeout_at(asked + PATIENCE, answered).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(
                Kind::TimedOut,
                "the disk with hfd's index does not answer; the change may still take effect",
            )
            .hint("`hfd list` shows whether it did")),
        }
    }

    ask! {
        /// Stores a token that was found valid (or is taken on trust, without an identity).
        login(arrival: Box<Arrival>) -> LoginReply = Job::Login;
        /// Removes tokens.
        logout(request: Logout) -> LogoutReply = Job::Logout;
        /// Makes a token active.
        switch(request: Switch) -> SwitchReply = Job::Switch;
        /// Renames a token.
        rename(request: Rename) -> RenameReply = Job::Rename;
        /// Brings back what was logged out or replaced.
        restore(request: Restore) -> RestoreReply = Job::Restore;
        /// Makes a directory a mirror, or changes its mode.
        manage(request: Manage) -> ManageReply = Job::Manage;
        /// Ends the management of a mirror.
        unmanage(request: Unmanage) -> UnmanageReply = Job::Unmanage;
        /// Moves some of the tokens that rest elsewhere to a store.
        migrate(request: Migrate) -> Migrated = Job::Migrate;
        /// Compares the index with what the stores hold.
        compare(request: Compare) -> Compared = Job::Compare;
        /// Hides every token, or shows them again; the files of `home` must follow.
        lock(locked: bool, home: Option<Home>) -> LockReply = Job::Lock;
        /// Prepares a renewal with this refresh token; nothing where that is not needed any more.
        begin_renewal(sent: Fingerprint) -> Option<Begun> = Job::BeginRenewal;
        /// Takes up what came of it.
        finish_renewal(sent: Fingerprint, renewed: Renewed) -> () = Job::FinishRenewal;
        /// Takes refresh tokens out of the files, or puts them back.
        withhold(withhold: bool) -> HandBackReply = Job::Withhold;
        /// Looks at the mirrors and brings them in step; the first home seen becomes a mirror.
        sync(home: Option<Home>) -> SyncReply = Job::Sync;
        /// Answers when everything asked for before is done.
        rest() -> () = Job::Rest;
    }

    /// Another program has put another value in the place of the `old` one in the keychain, as it
    /// seems. False where there is too much to do to look into that now.
    pub fn replaced(&self, name: TokenName, old: Fingerprint) -> bool {
        let job = Job::Replaced(name, old);
        self.jobs.try_send((Instant::now(), job)).is_ok()
    }

    /// The Hub does not know this value of a token, without waiting.
    pub fn rejected(&self, name: TokenName, value: Fingerprint) {
        drop(
            self.jobs
                .try_send((Instant::now(), Job::Rejected(name, value))),
        );
    }

    /// Keeps what the Hub said of a stored token, without waiting.
    pub fn learn(&self, said: WhoamiReply) {
        drop(self.jobs.try_send((Instant::now(), Job::Learn(said))));
    }
}

pub(crate) fn leaving() -> Error {
    Error::new(Kind::DaemonUnreachable, "the daemon is leaving").hint("ask again: it starts anew")
}

impl Job {
    /// Answers with an error instead of doing it.
    fn refuse(self, error: Error) {
        // Whoever has left needs no answer.
        match self {
            Self::Login(_, answer) => drop(answer.send(Err(error))),
            Self::Logout(_, answer) => drop(answer.send(Err(error))),
            Self::Switch(_, answer) => drop(answer.send(Err(error))),
            Self::Rename(_, answer) => drop(answer.send(Err(error))),
            Self::Sync(_, answer) => drop(answer.send(Err(error))),
            Self::Restore(_, answer) => drop(answer.send(Err(error))),
            Self::Manage(_, answer) => drop(answer.send(Err(error))),
            Self::Unmanage(_, answer) => drop(answer.send(Err(error))),
            Self::Migrate(_, answer) => drop(answer.send(Err(error))),
            Self::Compare(_, answer) => drop(answer.send(Err(error))),
            Self::Lock(_, _, answer) => drop(answer.send(Err(error))),
            Self::Rest(answer) => drop(answer.send(Err(error))),
            Self::BeginRenewal(_, answer) => drop(answer.send(Err(error))),
            Self::FinishRenewal(_, _, answer) => drop(answer.send(Err(error))),
            Self::Withhold(_, answer) => drop(answer.send(Err(error))),
            Self::Learn(_) | Self::Rejected(..) | Self::Replaced(..) => {}
        }
    }

    /// Whether somebody waits for the answer, who gets none after a while.
    fn is_awaited(&self) -> bool {
        !matches!(
            self,
            Self::Learn(_) | Self::Rejected(..) | Self::Replaced(..)
        )
    }
}

/// The task behind the handle.
struct Worker {
    parts: Parts,
    mirrors: BTreeMap<Home, MirrorNow>,
    notices: Arc<Notices>,
    /// When the job at hand has to be answered.
    deadline: Instant,
    /// Refresh tokens that the Hub was sent, and whose answers are not stored yet.
    flying: BTreeSet<Fingerprint>,
    /// Mirrors whose lock is held while tokens that they show are renewed, and with which refresh
    /// tokens.
    held: BTreeMap<Home, (Guard, BTreeSet<Fingerprint>)>,
    /// What has happened since the state was last published.
    happened: Vec<Event>,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::Receiver<(Instant, Job)>) {
        self.deadline = Instant::now() + DEADLINE;
        self.parts.values.lock(self.index().locked);
        self.open_mirrors();
        self.publish();
        Box::pin(self.catch_up()).await;
        if self.index().withhold != self.parts.withhold {
            self.deadline = Instant::now() + DEADLINE;
            let withhold = self.parts.withhold;
            if let Err(error) = Box::pin(self.withhold(withhold)).await {
                tracing::warn!(%error, "refresh tokens stay where they are");
            }
            self.publish();
        }
        let mut again = Again::new();
        let notices = Arc::clone(&self.notices);
        loop {
            let due = again.due(self.behind());
            let doubt = self.next_doubt();
            // In no order: neither jobs nor notices, however many, keep the others waiting.
            tokio::select! {
                job = queue.recv() => match job {
                    // On the heap for as long as it takes: an idle engine holds none of it.
                    Some((asked, job)) => Box::pin(self.take(asked, job)).await,
                    None => return,
                },
                () = notices.next() => Box::pin(self.look_around()).await,
                () = self.parts.stores.changed() => {
                    self.deadline = Instant::now() + DEADLINE;
                    Box::pin(self.catch_up()).await;
                    again.soon();
                }
                () = sleep_until(doubt.unwrap_or_else(Instant::now)), if doubt.is_some() => {
                    self.deadline = Instant::now() + DEADLINE;
                    Box::pin(self.settle_doubts()).await;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    Box::pin(self.try_again()).await;
                    again.later();
                }
            }
        }
    }

    /// Carries a job out, if that is still wanted and still ours to do.
    async fn take(&mut self, asked: Instant, job: Job) {
        if !self.still_ours() {
            return job.refuse(leaving());
        }
        let now = Instant::now();
        self.deadline = match job.is_awaited() {
            true => asked + DEADLINE,
            false => now + DEADLINE,
        };
        if now >= self.deadline {
            let late = "hfd was busy with other changes; this one was not begun";
            return job.refuse(Error::new(Kind::TimedOut, late).hint("repeat it"));
        }
        self.carry_out(job).await;
    }

    /// Whether this is the daemon still; it leaves where another one may take over.
    fn still_ours(&self) -> bool {
        let ours = self.parts.lock.as_ref().is_none_or(|lock| lock.holds());
        if !ours {
            tracing::warn!("the lock file is gone; another daemon may take over");
            self.parts.leave.notify_one();
        }
        ours
    }

    async fn carry_out(&mut self, job: Job) {
        match job {
            Job::Login(arrival, answer) => {
                let outcome = self.login(*arrival).await;
                self.reply(answer, outcome);
            }
            Job::Logout(request, answer) => {
                let outcome = self.logout(request).await;
                self.reply(answer, outcome);
            }
            Job::Switch(request, answer) => {
                let outcome = self.switch(request).await;
                self.reply(answer, outcome);
            }
            Job::Rename(request, answer) => {
                let outcome = self.rename(request).await;
                self.reply(answer, outcome);
            }
            Job::Sync(home, answer) => {
                let outcome = self.sync(home).await;
                self.reply(answer, outcome);
            }
            Job::Restore(request, answer) => {
                let outcome = self.restore(request).await;
                self.reply(answer, outcome);
            }
            Job::Manage(request, answer) => {
                let outcome = self.manage(request).await;
                self.reply(answer, outcome);
            }
            Job::Unmanage(request, answer) => {
                let outcome = self.unmanage(request).await;
                self.reply(answer, outcome);
            }
            Job::Migrate(request, answer) => {
                let outcome = self.migrate(request).await;
                self.reply(answer, outcome);
            }
            Job::Compare(request, answer) => {
                let outcome = self.compare(&request).await;
                self.reply(answer, outcome);
            }
            Job::Lock(locked, home, answer) => {
                let outcome = self.lock(locked, home.as_ref()).await;
                self.reply(answer, outcome);
            }
            Job::BeginRenewal(sent, answer) => {
                let outcome = self.begin_renewal(sent).await;
                self.reply(answer, outcome);
            }
            Job::FinishRenewal(sent, renewed, answer) => {
                let outcome = self.finish_renewal(sent, renewed).await;
                self.close_stores().await;
                self.reply(answer, outcome);
            }
            Job::Withhold(withhold, answer) => {
                let outcome = self.withhold(withhold).await;
                self.reply(answer, outcome);
            }
            Job::Learn(said) => {
                self.learn(said);
                self.publish();
            }
            Job::Rejected(name, value) => {
                self.rejected(&name, value);
                self.publish();
            }
            Job::Replaced(name, old) => self.replaced(&name, old).await,
            Job::Rest(answer) => self.reply(answer, Ok(())),
        }
    }

    /// Answers after the new state can be read.
    fn reply<T>(&mut self, answer: Answer<T>, outcome: Result<T, Error>) {
        self.publish();
        // A receiver that is gone has lost its connection; the change stands all the same.
        drop(answer.send(outcome));
    }

    fn index(&self) -> &Index {
        &self.parts.journal.index
    }

    /// Settles what can be settled, searches the stores where the index is new, and looks at the
    /// mirrors: at start, and whenever a store has come back.
    async fn catch_up(&mut self) {
        self.settle().await;
        self.search_stores().await;
        self.expire_kept().await;
        self.sync_mirrors().await;
    }

    async fn sync_mirrors(&mut self) {
        for home in self.index().mirrors.keys().cloned().collect::<Vec<_>>() {
            self.sync_mirror(&home, hfd_core::reconcile::Occasion::Noticed)
                .await;
        }
        self.publish();
    }

    /// Lets the new state be read, and then tells what has led to it: who hears of a change and asks
    /// learns what came of it.
    fn publish(&mut self) {
        let published = Arc::clone(&self.parts.publish.borrow().index);
        if !Arc::ptr_eq(&published, &self.parts.journal.index) {
            self.parts.values.keep(self.index());
        }
        let snapshot = Snapshot {
            index: Arc::clone(&self.parts.journal.index),
            mirrors: self.mirrors.clone(),
            unsettled: self.parts.journal.unsettled.len(),
        };
        self.parts.publish.send_replace(Arc::new(snapshot));
        for event in self.happened.drain(..) {
            // Without a watcher nobody receives it.
            drop(self.parts.events.send(event));
        }
    }

    fn renamed(&mut self, old: &TokenName, new: &TokenName) {
        self.event("rename", Some(new), None);
        if let Some(event) = self.happened.last_mut() {
            event.was = Some(old.clone());
        }
    }

    fn event(&mut self, event: &str, name: Option<&TokenName>, home: Option<&Home>) {
        self.tell(event, name, home, None);
    }

    fn tell(
        &mut self,
        event: &str,
        name: Option<&TokenName>,
        home: Option<&Home>,
        why: Option<&'static str>,
    ) {
        let dir = home
            .and_then(|home| home.token_path.parent())
            .map(ToOwned::to_owned);
        self.happened.push(Event {
            event: event.to_owned(),
            name: name.cloned(),
            was: None,
            dir,
            why: why.map(str::to_owned),
            at: Some(sync::now()),
        });
    }

    /// The caller's home as a mirror. The first home of all becomes one in mode `files`, a later
    /// one only at a login, which shows it that token alone; `None` for one that is not managed. Where
    /// an index was lost its mirrors were, too: a home without tokens may have been one that shows none.
    async fn own_mirror(
        &mut self,
        home: Option<&Home>,
        manage: Option<Mode>,
    ) -> Result<Option<Home>, Error> {
        let Some(home) = home else { return Ok(None) };
        if self.index().mirrors.contains_key(home) {
            return Ok(Some(home.clone()));
        }
        let mode = match self.index().had_mirror {
            true => manage,
            false if !self.index().tokens.is_empty() && self.shows_nothing(home).await => {
                Some(manage.unwrap_or(Mode::Off))
            }
            false => Some(Mode::Files),
        };
        let Some(mode) = mode else { return Ok(None) };
        self.add_mirror(home, mode).await?;
        Ok(Some(home.clone()))
    }

    /// Whether a directory that is no mirror yet holds no token.
    async fn shows_nothing(&self, home: &Home) -> bool {
        let Ok(now) = sync::open_mirror(home.clone()) else {
            return false;
        };
        let seen = now
            .disk
            .run(Some(self.deadline), crate::mirror::observe)
            .await;
        seen.is_ok_and(|seen| seen.is_ok_and(|seen| seen.observation.is_empty()))
    }

    /// A directory becomes a mirror, if it is private.
    async fn add_mirror(&mut self, home: &Home, mode: Mode) -> Result<(), Error> {
        let now = sync::open_mirror(home.clone())?;
        let checked = now
            .disk
            .run(Some(self.deadline), crate::mirror::check_home)
            .await;
        let directory = sync::shown(home);
        match checked {
            Ok(Ok(())) => {}
            Ok(Err(why)) => {
                return Err(Error::new(
                    Kind::Refused,
                    format!("the Hugging Face home {directory} is not used: {why}"),
                )
                .hint("point HF_HOME at a directory that only you can write"));
            }
            Err(waiting) => {
                return Err(Error::new(
                    Kind::TimedOut,
                    format!("{directory}: {waiting}"),
                ));
            }
        }
        let manage = Change::Manage {
            home: home.clone(),
            mode,
        };
        self.parts
            .journal
            .change(vec![manage], true)
            .map_err(|error| change::disk(&error))?;
        self.mirrors.insert(home.clone(), now);
        Ok(())
    }
}
