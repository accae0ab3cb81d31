//! The files of a mirror. Everything here runs on a thread of the mirror's own, because a file
//! system may hang; whoever waits for it does so with a deadline.

mod file;
mod lease;
mod leftover;
mod lock;
mod observe;
mod place;
mod quiet;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hfd_proto::Home;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

pub use file::Stamp;
pub use leftover::{Displaced, leftovers};
pub use lock::Lock as Guard;
pub use observe::{NotOurs, Seen, Stamps, check_home, is_local, observe, stamps};
pub use quiet::{Directory, age, directory, surroundings};
pub use watch::{Noticed, Watch};
pub use write::{NewFiles, WriteError, Written, hold, write};

/// How long a file effect may take before the mirror counts as waiting. A local disk needs
/// milliseconds, also under load; a network file system that takes longer would hold up a login.
const PATIENCE: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce() + Send>;

/// The thread of one mirror.
#[derive(Debug)]
pub struct Disk {
    home: Arc<Home>,
    jobs: Sender<Job>,
    /// A job has exceeded its deadline and is still running.
    stuck: Arc<AtomicBool>,
}

/// The file system does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file system does not answer")]
pub struct Waiting;

impl Disk {
    /// Starts the thread. It ends when the handle is dropped, unless the file system holds it; the
    /// process never waits for it.
    pub fn new(home: Home) -> std::io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        std::thread::Builder::new()
            .name("mirror".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                for job in queue {
                    job();
                }
            })?;
        Ok(Self {
            home: Arc::new(home),
            jobs,
            stuck: Arc::default(),
        })
    }

    fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire)
    }

    /// Runs an effect on the thread, which may take until `deadline` but never longer than
    /// two seconds. While an earlier one is stuck, the answer is [`Waiting`] at once. An effect that
    /// exceeds its time may still happen.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        effect: impl FnOnce(&Home) -> T + Send + 'static,
    ) -> Result<T, Waiting> {
        let latest = Instant::now() + PATIENCE;
        let deadline = deadline.map_or(latest, |deadline| deadline.min(latest));
        if self.is_stuck() {
            return Err(Waiting);
        }
        let (reply, answer) = oneshot::channel();
        let (home, stuck) = (Arc::clone(&self.home), Arc::clone(&self.stuck));
        let job = move || {
            let outcome = effect(&home);
            stuck.store(false, Ordering::Release);
            // Nobody waits any more after a time-out.
            drop(reply.send(outcome));
        };
        self.jobs.send(Box::new(job)).map_err(|_| Waiting)?;
        match timeout_at(deadline, answer).await {
            Ok(outcome) => outcome.map_err(|_| Waiting),
            Err(_) => {
                self.stuck.store(true, Ordering::Release);
                Err(Waiting)
            }
        }
    }
}

/// Threads for homes that are no mirrors, of which any request may name any.
#[derive(Debug, Default)]
pub struct Guests(Mutex<BTreeMap<Home, Arc<Disk>>>);

/// So many homes have a thread at a time.
const GUESTS: usize = 16;

impl Guests {
    /// Reads the files of a home. While as many file systems as there may be threads do not answer,
    /// the answer is [`Waiting`].
    pub async fn look(&self, home: Home) -> Result<Result<Seen, NotOurs>, Waiting> {
        let disk = self.disk(home)?;
        disk.run(None, observe).await
    }

    fn disk(&self, home: Home) -> Result<Arc<Disk>, Waiting> {
        // Nothing panics while it is held.
        let mut disks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(disk) = disks.get(&home) {
            return Ok(Arc::clone(disk));
        }
        if disks.len() == GUESTS {
            // Whichever nobody waits for: its thread ends, and another is soon started.
            disks.retain(|_, disk| disk.is_stuck() || Arc::strong_count(disk) > 1);
        }
        if disks.len() == GUESTS {
            return Err(Waiting);
        }
        let disk = Arc::new(Disk::new(home.clone()).map_err(|_| Waiting)?);
        disks.insert(home, Arc::clone(&disk));
        Ok(disk)
    }
}
