//! The end of the daemon, now or when idle.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hfd_proto::Leaving;

use crate::daemon::Daemon;

/// As long as anything may take that is under way.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Leaves at once: what is being changed is finished, nothing new is begun.
pub(super) fn now(daemon: &Arc<Daemon>) -> Leaving {
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        // The reply first: it is sent before this task runs again.
        drop(tokio::time::timeout(LAST_ANSWERS, daemon.engine.rest()).await);
        daemon.leave.notify_one();
    });
    Leaving {
        pid: std::process::id(),
    }
}

/// Leaves when what is under way is answered; a newer daemon waits for the lock.
pub(super) fn retire(daemon: &Arc<Daemon>) -> Leaving {
    daemon.retiring.store(true, Ordering::Relaxed);
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        let answered = async {
            drop(daemon.engine.rest().await);
            daemon.answered().await;
        };
        drop(tokio::time::timeout(LAST_ANSWERS, answered).await);
        daemon.leave.notify_one();
    });
    Leaving {
        pid: std::process::id(),
    }
}
