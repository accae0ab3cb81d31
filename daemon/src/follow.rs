//! Has the engine look at a mirror when another program has changed it.

use std::sync::Arc;

use hfd_proto::{Home, Mode};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::mirror::Watch;
use crate::snapshot::Snapshot;

/// Follows the mirrors of the published state until the daemon leaves. Where the system has no watch
/// to give, edits are found by lookups and before changes, as ever.
pub async fn follow(engine: Engine, mut state: watch::Receiver<Arc<Snapshot>>) {
    let mut watch = match Watch::new() {
        Ok(watch) => watch,
        Err(error) => {
            tracing::warn!(%error, "cannot watch the mirrors; edits are found when somebody asks");
            return;
        }
    };
    let mut watched = Vec::new();
    loop {
        let homes = to_watch(&state.borrow_and_update());
        if homes != watched {
            watch.set(homes.clone());
            watched = homes;
            // What happened before it was watched.
            engine.notice(None);
        }
        tokio::select! {
            published = state.changed() => if published.is_err() { return },
            // Whether busy or quiet: the engine knows what it must wait for.
            _ = watch.next() => engine.notice(None),
        }
    }
}

fn to_watch(state: &Snapshot) -> Vec<(Home, bool)> {
    let mirrors = state.mirrors.iter();
    mirrors
        .filter(|(home, _)| {
            let mirror = state.index.mirrors.get(*home);
            mirror.is_some_and(|mirror| mirror.mode != Mode::Off)
        })
        .map(|(home, now)| (home.clone(), now.local))
        .collect()
}
