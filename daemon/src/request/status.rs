//! How things are: from memory, but for a store that was never asked.

use std::time::Duration;

use hfd_proto::{
    DaemonStatus, LockState, PROTOCOL, Status, StatusReply, StoreState, StoreStatus, VERSION,
};
use tokio::time::timeout;

use crate::daemon::Daemon;

/// How long a store that was never asked may take to say how it is.
const FIRST_WORD: Duration = Duration::from_millis(300);

pub(super) async fn answer(daemon: &Daemon, request: &Status) -> StatusReply {
    let snapshot = daemon.snapshot();
    let store = default_store(daemon).await;
    let active = snapshot.active(request.home.as_ref());
    let record = active.and_then(|name| snapshot.index.tokens.get(name));
    StatusReply {
        daemon: DaemonStatus {
            pid: std::process::id(),
            version: VERSION.to_owned(),
            protocol: PROTOCOL[0],
            uptime_s: daemon.started.elapsed().as_secs(),
            socket: daemon.socket.borrow().clone(),
        },
        lock: match (snapshot.index.locked, store.state == StoreState::Locked) {
            (true, _) => LockState::Session.into(),
            (false, true) => LockState::Keychain.into(),
            (false, false) => LockState::None.into(),
        },
        store,
        active: active.cloned(),
        expires_at: record.and_then(|record| record.expires_at),
        renews: record.is_some_and(|record| record.refresh.is_some()),
        tokens: snapshot.index.tokens.len(),
        mirrors: snapshot.mirror_statuses(),
        service: daemon.service.clone(),
        unsettled: snapshot.unsettled,
        locked_memory: daemon.values.locked_memory(),
    }
}

async fn default_store(daemon: &Daemon) -> StoreStatus {
    match daemon.stores.get(daemon.stores.default) {
        Ok(store) => {
            if !store.was_asked() {
                // Its status says what came of it.
                drop(timeout(FIRST_WORD, store.probe()).await);
            }
            store.status()
        }
        Err(error) => StoreStatus {
            id: daemon.stores.default.into(),
            state: StoreState::Unavailable.into(),
            detail: Some(error.message),
        },
    }
}
