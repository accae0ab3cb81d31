//! The end of the daemon, now or when idle.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hfd_proto::{Error, Leaving};

use crate::daemon::Daemon;

/// Leaves at once: what is being changed is finished, nothing new is begun.
pub(super) fn now(daemon: &Arc<Daemon>) -> Leaving {
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        // The reply first: it is sent before this task runs again.
        drop(tokio::time::timeout(Duration::from_secs(5), daemon.engine.rest()).await);
        daemon.leave.notify_one();
    });
    Leaving {
        pid: std::process::id(),
    }
}

/// Leaves when no request is being answered, this one apart; a newer daemon waits for the lock.
pub(super) async fn retire(daemon: &Arc<Daemon>) -> Result<Leaving, Error> {
    daemon.engine.rest().await?;
    let daemon_ = Arc::clone(daemon);
    tokio::spawn(async move {
        while daemon_.busy.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        daemon_.leave.notify_one();
    });
    Ok(Leaving {
        pid: std::process::id(),
    })
}
