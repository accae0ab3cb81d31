//! What somebody has noticed and nobody waits for: an edit that the watch, or a lookup, came upon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use hfd_proto::Home;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{DEADLINE, Engine, Worker};

/// Any number of notices are one look; none is lost, however much is queued and however long that
/// takes, since an edit that is not looked at stays unseen.
#[derive(Debug, Default)]
pub(super) struct Notices {
    there: Notify,
    /// A home that becomes a mirror if it is the first of all.
    home: Mutex<Option<Home>>,
    /// Whether what was kept for long enough is to go.
    tidy: AtomicBool,
}

impl Notices {
    fn leave(&self, home: Option<Home>) {
        if home.is_some() {
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = home;
        }
        self.there.notify_one();
    }

    /// Waits for one.
    pub(super) async fn next(&self) {
        self.there.notified().await;
    }

    fn home(&self) -> Option<Home> {
        self.home
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Engine {
    /// Has the mirrors looked at soon, without waiting; `home` becomes one if it is the first of
    /// all.
    pub fn notice(&self, home: Option<Home>) {
        self.notices.leave(home);
    }

    /// Has what was kept for `hfd restore` for long enough removed, without waiting.
    pub fn tidy(&self) {
        self.notices.tidy.store(true, Ordering::Release);
        self.notices.leave(None);
    }
}

impl Worker {
    /// Looks at what has changed.
    pub(super) async fn look_around(&mut self) {
        if !self.still_ours() {
            return;
        }
        self.deadline = Instant::now() + DEADLINE;
        let home = self.notices.home();
        if self.notices.tidy.swap(false, Ordering::AcqRel) {
            self.expire_kept().await;
        }
        if let Err(error) = self.sync_changed(home).await {
            tracing::warn!(%error, "cannot look at the mirrors");
        }
        self.publish();
    }
}
