//! All tokens, masked.

use hfd_proto::{Entry, Error, List, Listed, StoreState};
use tokio::time::{Instant, timeout_at};

use super::{PATIENCE, follow};
use crate::daemon::Daemon;

pub(super) async fn answer(daemon: &Daemon, request: List) -> Result<Listed, Error> {
    follow(daemon, request.home.as_ref()).await;
    let snapshot = daemon.snapshot();
    let active = snapshot.active(request.home.as_ref());
    let deadline = Instant::now() + PATIENCE;
    let mut tokens = Vec::with_capacity(snapshot.index.tokens.len());
    for (name, record) in &snapshot.index.tokens {
        let store = daemon.stores.get(record.store)?;
        let mut masked = daemon.values.masked(record.access);
        if masked.is_none() && !snapshot.index.locked && Instant::now() < deadline {
            // Learned on the way, if the store answers.
            drop(timeout_at(deadline, daemon.value(name, record)).await);
            masked = daemon.values.masked(record.access);
        }
        // What is locked shows nothing of itself.
        let masked = masked.filter(|_| store.status().state != StoreState::Locked);
        tokens.push(Entry {
            name: name.clone(),
            active: active == Some(name),
            kind: record.kind.into(),
            role: record.role.clone(),
            user: record.user.clone(),
            endpoint: record.endpoint.clone(),
            expires_at: record.expires_at,
            renews: record.refresh.is_some(),
            masked,
            store: record.store.into(),
        });
    }
    Ok(Listed { tokens })
}
