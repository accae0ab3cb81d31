//! Refresh tokens go back into the files, because the service is about to end.

use hfd_proto::{Error, HandBackReply};

use crate::daemon::Daemon;

/// Where a file could not be written the service stays, and so does what it withholds.
pub(super) async fn answer(daemon: &Daemon) -> Result<HandBackReply, Error> {
    let reply = daemon.engine.withhold(false).await?;
    if !reply.pending.is_empty() && daemon.config.withholds(daemon.service.is_some()) {
        daemon.engine.withhold(true).await?;
    }
    Ok(reply)
}
