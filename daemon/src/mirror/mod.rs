//! The files of a mirror. Everything here runs on a thread of the mirror's own, because a file
//! system may hang; whoever waits for it does so with a deadline.

mod observe;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use hfd_proto::Home;
use tokio::sync::oneshot;

pub use observe::{NotOurs, Seen, Stamp, Stamps, check_home, is_local, observe, stamps};
pub use write::{NewFiles, WriteError, sweep, write};

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

    /// Has the thread do something first of all, for whose end nobody waits.
    pub fn begin(&self, effect: impl FnOnce(&Home) + Send + 'static) {
        let home = Arc::clone(&self.home);
        // The thread lives as long as its handle.
        drop(self.jobs.send(Box::new(move || effect(&home))));
    }

    /// Runs an effect on the thread. While an earlier one is stuck, the answer is [`Waiting`] at
    /// once. An effect that exceeds the deadline may still happen.
    pub async fn run<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&Home) -> T + Send + 'static,
    ) -> Result<T, Waiting> {
        if self.stuck.load(Ordering::Acquire) {
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
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(outcome) => outcome.map_err(|_| Waiting),
            Err(_) => {
                self.stuck.store(true, Ordering::Release);
                Err(Waiting)
            }
        }
    }
}
