//! A logout: revoked at the Hub here, outside the engine's queue, where that is asked for; then
//! removed by the engine.

use std::sync::Arc;

use hfd_proto::{Error, Kind, Logout, LogoutReply, TokenName};

use super::follow;
use crate::daemon::Daemon;
use crate::engine::{locked, not_logged_in};
use crate::store::{Key, Part};

pub(super) async fn answer(
    daemon: &Arc<Daemon>,
    mut request: Logout,
) -> Result<LogoutReply, Error> {
    if !request.revoke {
        return daemon.engine.logout(request).await;
    }
    let name = revoke(daemon, &request).await?;
    request.purge = true;
    request.name = Some(name.clone());
    let removed = daemon.engine.logout(request).await;
    removed.map_err(|error| Error {
        message: format!("`{}` was revoked; {}", name.escaped(), error.message),
        ..error
    })
}

/// Has the token's Hub revoke it; the result is its name.
async fn revoke(daemon: &Arc<Daemon>, request: &Logout) -> Result<TokenName, Error> {
    if request.all {
        return Err(Error::new(Kind::Usage, "tokens are revoked one at a time")
            .hint("send a request for each of them"));
    }
    follow(daemon, request.home.as_ref()).await;
    let snapshot = daemon.snapshot();
    if snapshot.index.locked {
        return Err(locked());
    }
    let active = || snapshot.active(request.home.as_ref()).cloned();
    let name = request.name.clone().or_else(active);
    let name = name.ok_or_else(not_logged_in)?;
    let record = snapshot.token(&name)?;
    let mut credentials = vec![daemon.value(&name, record).await?];
    if record.refresh.is_some() {
        let key = Key {
            endpoint: record.endpoint.clone(),
            name: name.clone(),
            part: Part::Refresh,
        };
        credentials.extend(daemon.stores.get(record.store)?.get(&key).await?);
    }
    daemon
        .hub
        .revoke(&record.endpoint, &credentials, &request.network)
        .await?;
    // What took its place while the Hub was asked was not revoked, and stays.
    match daemon.snapshot().index.tokens.get(&name) {
        Some(now) if now.access != record.access => Err(Error::new(
            Kind::Other,
            format!(
                "`{}` was revoked, and another token of that name has just taken its place",
                name.escaped()
            ),
        )
        .hint("`hfd list` shows it; it was not revoked and is kept")),
        _ => Ok(name),
    }
}
