//! hfd locks itself when no token was asked for as long as `lock_after` says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hfd_proto::Error;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::daemon::Daemon;
use crate::engine::Engine;
use crate::snapshot::Snapshot;

/// The longest sleep: timers stand still while the machine sleeps, and what was slept counts.
const LOOK: Duration = Duration::from_secs(120);

/// When a lock that failed is tried again: a full disk, or an engine that is busy.
const RETRY: Duration = Duration::from_secs(10);

/// When hfd was last used.
#[derive(Debug)]
pub struct Idle {
    after: Option<Duration>,
    /// In milliseconds of `clock`.
    last: AtomicU64,
    /// Goes on while the machine sleeps.
    clock: fn() -> Duration,
}

impl Idle {
    /// It is used now.
    pub fn new(after: Option<Duration>, clock: fn() -> Duration) -> Self {
        let idle = Self {
            after,
            last: AtomicU64::new(0),
            clock,
        };
        idle.used();
        idle
    }

    /// A token was asked for, or changed.
    pub(crate) fn used(&self) {
        if self.after.is_some() {
            let now = u64::try_from((self.clock)().as_millis()).unwrap_or(u64::MAX);
            self.last.store(now, Ordering::Relaxed);
        }
    }

    /// How long until hfd locks itself, if it is not used before; `None` where it does not.
    fn left(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        Some((last + self.after?).saturating_sub((self.clock)()))
    }

    fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

/// Locks when it is time, for as long as the daemon runs.
pub(crate) async fn follow(
    idle: Arc<Idle>,
    engine: Engine,
    mut state: watch::Receiver<Arc<Snapshot>>,
) {
    // While it is locked there is nothing to wait for.
    while state.wait_for(|now| !now.index.locked).await.is_ok() {
        let Some(left) = idle.left() else { return };
        if !left.is_zero() {
            sleep(left.min(LOOK)).await;
            continue;
        }
        match engine.lock(true, None).await {
            Ok(_) => {
                tracing::info!("locked: no token was asked for, for as long as lock_after says");
            }
            Err(error) => {
                tracing::warn!(%error, "cannot lock");
                sleep(RETRY).await;
            }
        }
    }
}

impl Daemon {
    /// Before anything is told: the time may have come while the machine slept.
    ///
    /// # Errors
    /// Where it cannot be locked: then nothing is told either.
    pub(crate) async fn lock_if_idle(&self) -> Result<(), Error> {
        if self.idle.is_over() && !self.snapshot().index.locked {
            self.engine.lock(true, None).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    #[test]
    fn use_puts_it_off_and_sleep_of_the_machine_counts() {
        let clock = || Duration::from_secs(NOW.get());
        let never = Idle::new(None, clock);
        let idle = Idle::new(Some(Duration::from_secs(60)), clock);
        NOW.set(59);
        assert!(!idle.is_over());
        idle.used();
        NOW.set(118);
        assert_eq!(idle.left(), Some(Duration::from_secs(1)));
        NOW.set(100_000);
        assert!(idle.is_over());
        assert!(!never.is_over());
    }
}
