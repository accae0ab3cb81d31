//! All tokens, masked.

use std::time::Duration;

use hfd_proto::{Entry, Error, Home, List, Listed};
use tokio::time::{Instant, timeout, timeout_at};

use crate::daemon::Daemon;

/// How long a list waits for what tools have just changed, and for values that were not seen yet.
/// A store or a file system that is slow costs the list some masks, not its answer.
const PATIENCE: Duration = Duration::from_millis(1000);

pub(super) async fn answer(daemon: &Daemon, request: List) -> Result<Listed, Error> {
    if !in_step(daemon, request.home.as_ref()).await {
        // The answer is the state afterwards, in step or not.
        drop(timeout(PATIENCE, daemon.engine.sync(request.home.clone())).await);
    }
    let snapshot = daemon.snapshot();
    let active = snapshot.active(request.home.as_ref());
    let deadline = Instant::now() + PATIENCE;
    let mut tokens = Vec::with_capacity(snapshot.index.tokens.len());
    for (name, record) in &snapshot.index.tokens {
        let mut masked = daemon.values.masked(record.access);
        if masked.is_none() && Instant::now() < deadline {
            // Learned on the way, if the store answers.
            drop(timeout_at(deadline, daemon.values.of(name, record)).await);
            masked = daemon.values.masked(record.access);
        }
        tokens.push(Entry {
            name: name.clone(),
            active: active == Some(name),
            kind: record.kind,
            role: record.role.clone(),
            user: record.user.clone(),
            endpoint: record.endpoint.clone(),
            expires_at: record.expires_at,
            masked,
            store: record.store,
        });
    }
    Ok(Listed { tokens })
}

/// Whether the home's files are as they were last seen, so that the snapshot tells all.
async fn in_step(daemon: &Daemon, home: Option<&Home>) -> bool {
    let snapshot = daemon.snapshot();
    match home.map(|home| (home, snapshot.mirror(home))) {
        Some((home, Some((_, now)))) => now.unchanged(home).await,
        _ => !snapshot.mirrors.is_empty(),
    }
}
