//! The thread of one mirror, and whether its file system answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use hfd_proto::Home;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// How long a file effect may take before the mirror counts as waiting. A local disk needs
/// milliseconds, also under load; a network file system that takes longer would hold up a login.
const PATIENCE: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce() + Send>;

/// The thread of one mirror.
#[derive(Debug)]
pub struct Disk {
    home: Arc<Home>,
    jobs: Sender<Job>,
    /// How many effects have exceeded their time and are still under way.
    stuck: Arc<AtomicUsize>,
}

/// Nothing is known of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Waiting {
    /// The file system does not answer.
    #[error("the file system does not answer")]
    Disk,
    /// Something else has taken the time that there was.
    #[error("no time was left to look at the files")]
    Time,
}

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

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Acquire) > 0
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
        if self.is_stuck() {
            return Err(Waiting::Disk);
        }
        let (reply, answer) = oneshot::channel();
        let home = Arc::clone(&self.home);
        let flight = Arc::new(Flight::new(Arc::clone(&self.stuck)));
        let landing = Arc::clone(&flight);
        let job = move || {
            let outcome = effect(&home);
            landing.land();
            // Nobody waits any more after a time-out.
            drop(reply.send(outcome));
        };
        self.jobs.send(Box::new(job)).map_err(|_| Waiting::Disk)?;
        let deadline = deadline.map_or(latest, |deadline| deadline.min(latest));
        match timeout_at(deadline, answer).await {
            Ok(outcome) => outcome.map_err(|_| Waiting::Disk),
            // A caller that was in a hurry says nothing about the disk.
            Err(_) if deadline < latest => Err(Waiting::Time),
            Err(_) => {
                flight.give_up();
                Err(Waiting::Disk)
            }
        }
    }
}

const UNDER_WAY: u8 = 0;
const GIVEN_UP: u8 = 1;
const LANDED: u8 = 2;

/// One effect: landed, or given up before that. It counts as stuck from the one to the other, in
/// whatever order the thread and the one who waits for it come to see that.
#[derive(Debug)]
struct Flight {
    state: AtomicU8,
    stuck: Arc<AtomicUsize>,
}

impl Flight {
    fn new(stuck: Arc<AtomicUsize>) -> Self {
        Self {
            state: AtomicU8::new(UNDER_WAY),
            stuck,
        }
    }

    fn land(&self) {
        if self.state.swap(LANDED, Ordering::AcqRel) == GIVEN_UP {
            self.stuck.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn give_up(&self) {
        // Counted first: it may land at once.
        self.stuck.fetch_add(1, Ordering::AcqRel);
        let given_up =
            self.state
                .compare_exchange(UNDER_WAY, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire);
        if given_up.is_err() {
            self.stuck.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Disk {
        let token_path = "/nowhere/token".into();
        Disk::new(Home { token_path }).unwrap()
    }

    #[test]
    fn what_lands_while_it_is_given_up_is_not_stuck() {
        for given_up_first in [true, false] {
            let stuck = Arc::default();
            let flight = Flight::new(Arc::clone(&stuck));
            if given_up_first {
                flight.give_up();
                assert_eq!(stuck.load(Ordering::Acquire), 1);
            }
            flight.land();
            if !given_up_first {
                flight.give_up();
            }
            assert_eq!(stuck.load(Ordering::Acquire), 0);
        }
    }

    #[tokio::test]
    async fn a_caller_without_time_says_nothing_about_the_disk() {
        let disk = disk();
        let (go, gone) = channel::<()>();
        let hurried = disk.run(Some(Instant::now()), move |_| gone.recv()).await;
        assert_eq!(hurried.unwrap_err(), Waiting::Time);
        assert!(!disk.is_stuck());
        go.send(()).unwrap();
        assert_eq!(disk.run(None, |_| 7).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_does_not_answer_in_time_is_asked_again_when_it_does() {
        let disk = disk();
        let (go, gone) = channel::<()>();
        let stuck = disk.run(None, move |_| gone.recv()).await;
        assert_eq!(stuck.unwrap_err(), Waiting::Disk);
        assert_eq!(disk.run(None, |_| 7).await, Err(Waiting::Disk));
        tokio::time::resume();
        go.send(()).unwrap();
        while disk.is_stuck() {
            std::thread::yield_now();
        }
        assert_eq!(disk.run(None, |_| 7).await, Ok(7));
    }
}
