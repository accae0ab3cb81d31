//! The one owner of index and mirrors. Changes come as jobs and are carried out one after the
//! other; each is answered after its effect. Reads never come here.

mod change;
mod session;
mod settle;
mod sync;
#[cfg(test)]
mod tests;

pub(crate) use session::not_logged_in;
pub(crate) use sync::{now, token_of};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hfd_core::model::{Change, Index};
use hfd_proto::{
    Error, Event, Home, Kind, Login, LoginReply, Logout, LogoutReply, Mode, Rename, RenameReply,
    Switch, SwitchReply, SyncReply, WhoamiReply,
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::hub::Identity;
use crate::journal::Journal;
use crate::snapshot::{MirrorNow, Snapshot};
use crate::stores::Stores;
use crate::values::Values;

/// How long a job may take, counted from when it was asked for: a store that is frozen is given up
/// in time for the client to have its answer within five seconds.
const DEADLINE: Duration = Duration::from_millis(4600);

/// Jobs that may wait. Beyond it clients wait at the socket instead.
const QUEUE: usize = 64;

/// A reply channel.
type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Something to be changed, with the channel for its answer.
#[derive(Debug)]
enum Job {
    Login(Box<Login>, Option<Identity>, Answer<LoginReply>),
    Logout(Logout, Answer<LogoutReply>),
    Switch(Switch, Answer<SwitchReply>),
    Rename(Rename, Answer<RenameReply>),
    Sync(Option<Home>, Answer<SyncReply>),
    Learn(WhoamiReply),
    Rest(Answer<()>),
}

/// The handle of the engine.
#[derive(Debug, Clone)]
pub struct Engine {
    jobs: mpsc::Sender<(Instant, Job)>,
}

macro_rules! ask {
    ($($(#[$doc:meta])* $method:ident($($argument:ident: $type:ty),*) -> $reply:ty = $job:expr;)*) => {
        $($(#[$doc])*
        pub async fn $method(&self, $($argument: $type),*) -> Result<$reply, Error> {
            let (answer, reply) = oneshot::channel();
            let job: Job = ($job)($($argument,)* answer);
            self.jobs.send((Instant::now(), job)).await.map_err(|_| leaving())?;
            reply.await.map_err(|_| leaving())?
        })*
    };
}

impl Engine {
    /// Starts the engine. `publish` receives every new state, `events` every event.
    pub fn start(
        journal: Journal,
        stores: Arc<Stores>,
        values: Arc<Values>,
        publish: watch::Sender<Arc<Snapshot>>,
        events: broadcast::Sender<Event>,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let worker = Worker {
            journal,
            mirrors: BTreeMap::new(),
            stores,
            values,
            publish,
            events,
            deadline: Instant::now(),
        };
        tokio::spawn(worker.run(queue));
        Self { jobs }
    }

    ask! {
        /// Stores a token that was found valid (or is taken on trust, without an identity).
        login(request: Box<Login>, identity: Option<Identity>) -> LoginReply = Job::Login;
        /// Removes tokens.
        logout(request: Logout) -> LogoutReply = Job::Logout;
        /// Makes a token active.
        switch(request: Switch) -> SwitchReply = Job::Switch;
        /// Renames a token.
        rename(request: Rename) -> RenameReply = Job::Rename;
        /// Looks at the mirrors and brings them in step; the first home seen becomes a mirror.
        sync(home: Option<Home>) -> SyncReply = Job::Sync;
        /// Answers when everything asked for before is done.
        rest() -> () = Job::Rest;
    }

    /// Has the mirrors looked at soon, without waiting. A full queue will do so anyway.
    pub fn notice(&self) {
        let (answer, _) = oneshot::channel();
        drop(
            self.jobs
                .try_send((Instant::now(), Job::Sync(None, answer))),
        );
    }

    /// Keeps what the Hub said of a stored token, without waiting.
    pub fn learn(&self, said: WhoamiReply) {
        drop(self.jobs.try_send((Instant::now(), Job::Learn(said))));
    }
}

fn leaving() -> Error {
    Error::new(Kind::DaemonUnreachable, "the daemon is leaving").hint("ask again: it starts anew")
}

/// The task behind the handle.
struct Worker {
    journal: Journal,
    mirrors: BTreeMap<Home, MirrorNow>,
    stores: Arc<Stores>,
    values: Arc<Values>,
    publish: watch::Sender<Arc<Snapshot>>,
    events: broadcast::Sender<Event>,
    /// When the job at hand has to be answered.
    deadline: Instant,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::Receiver<(Instant, Job)>) {
        self.deadline = Instant::now() + DEADLINE;
        self.open_mirrors();
        self.publish();
        self.catch_up().await;
        let mut patience = settle::FIRST;
        loop {
            let waiting = !self.journal.unsettled.is_empty();
            tokio::select! {
                biased;
                job = queue.recv() => match job {
                    Some((asked, job)) => {
                        self.deadline = asked + DEADLINE;
                        self.carry_out(job).await;
                    }
                    None => return,
                },
                () = self.stores.changed() => {
                    self.deadline = Instant::now() + DEADLINE;
                    self.catch_up().await;
                    patience = settle::FIRST;
                }
                () = tokio::time::sleep(patience), if waiting => {
                    self.deadline = Instant::now() + DEADLINE;
                    self.catch_up().await;
                    patience = (patience * 2).min(settle::LAST);
                }
            }
        }
    }

    async fn carry_out(&mut self, job: Job) {
        match job {
            Job::Login(request, identity, answer) => {
                let outcome = self.login(*request, identity).await;
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
            Job::Learn(said) => {
                self.learn(said);
                self.publish();
            }
            Job::Rest(answer) => self.reply(answer, Ok(())),
        }
    }

    /// Answers after the new state can be read.
    fn reply<T>(&self, answer: Answer<T>, outcome: Result<T, Error>) {
        self.publish();
        // A receiver that is gone has lost its connection; the change stands all the same.
        drop(answer.send(outcome));
    }

    fn index(&self) -> &Index {
        &self.journal.index
    }

    /// Settles what can be settled, searches the stores where the index is new, and looks at the
    /// mirrors: at start, and whenever a store has come back.
    async fn catch_up(&mut self) {
        self.settle().await;
        self.search_stores().await;
        for home in self.index().mirrors.keys().cloned().collect::<Vec<_>>() {
            self.sync_mirror(&home, hfd_core::reconcile::Occasion::Noticed)
                .await;
        }
        self.publish();
    }

    fn publish(&self) {
        let snapshot = Snapshot {
            index: Arc::clone(&self.journal.index),
            mirrors: self.mirrors.clone(),
            unsettled: self.journal.unsettled.len(),
        };
        self.publish.send_replace(Arc::new(snapshot));
    }

    fn event(&self, event: &str, name: Option<&hfd_proto::TokenName>, home: Option<&Home>) {
        let dir = home
            .and_then(|home| home.token_path.parent())
            .map(ToOwned::to_owned);
        // Without a watcher nobody receives it.
        drop(self.events.send(Event {
            event: event.to_owned(),
            name: name.cloned(),
            dir,
        }));
    }

    /// The caller's home as a mirror. The first home of all becomes one in mode `files`, a later
    /// one only at a login, which shows it that token alone; `None` for one that is not managed.
    async fn own_mirror(
        &mut self,
        home: Option<&Home>,
        manage: Option<Mode>,
    ) -> Result<Option<Home>, Error> {
        let Some(home) = home else { return Ok(None) };
        if self.index().mirrors.contains_key(home) {
            return Ok(Some(home.clone()));
        }
        let mode = if self.index().mirrors.is_empty() {
            Some(Mode::Files)
        } else {
            manage
        };
        let Some(mode) = mode else { return Ok(None) };
        let now = sync::open_mirror(home.clone())?;
        let checked = now.disk.run(crate::mirror::check_home).await;
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
        self.journal
            .change(vec![manage], true)
            .map_err(|error| change::disk(&error))?;
        self.mirrors.insert(home.clone(), now);
        Ok(Some(home.clone()))
    }
}
