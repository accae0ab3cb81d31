//! A renewal that a person asks for.

use std::sync::Arc;
use std::time::Duration;

use hfd_proto::{Error, Kind, Refresh, RefreshReply, TokenName};
use tokio::time::timeout;

use crate::daemon::Daemon;
use crate::engine::{not_logged_in, not_renewable};
use crate::request::follow;
use crate::snapshot::no_such_token;

/// Less than clients wait, and more than the Hub, the lock and the keychain take where all is well.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) async fn answer(daemon: &Arc<Daemon>, request: Refresh) -> Result<RefreshReply, Error> {
    follow(daemon, request.home.as_ref()).await;
    let snapshot = daemon.snapshot();
    let name = match request.name {
        Some(name) => name,
        None => {
            let active = snapshot.active(request.home.as_ref());
            active.ok_or_else(not_logged_in)?.clone()
        }
    };
    if snapshot.token(&name)?.refresh.is_none() {
        return Err(not_renewable(&name));
    }
    // It goes on without the asker.
    let renewed = timeout(PATIENCE, daemon.renew(&name)).await;
    renewed.unwrap_or_else(|_| Err(still_renewing(&name)))?;
    let snapshot = daemon.snapshot();
    let record = snapshot.index.tokens.get(&name);
    let expires_at = record.ok_or_else(|| no_such_token(&name))?.expires_at;
    Ok(RefreshReply { name, expires_at })
}

fn still_renewing(name: &TokenName) -> Error {
    let message = format!("{} is still being renewed", name.escaped());
    Error::new(Kind::TimedOut, message)
        .hint("the renewal goes on: repeat it in a moment; `hfd status` tells more")
}
