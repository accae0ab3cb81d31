//! How things are, from memory alone.

use hfd_proto::{
    DaemonStatus, LockState, PROTOCOL, Status, StatusReply, StoreState, StoreStatus, VERSION,
};

use crate::daemon::Daemon;

pub(super) fn answer(daemon: &Daemon, request: &Status) -> StatusReply {
    let snapshot = daemon.snapshot();
    let store = default_store(daemon);
    StatusReply {
        daemon: DaemonStatus {
            pid: std::process::id(),
            version: VERSION.to_owned(),
            protocol: PROTOCOL[0],
            uptime_s: daemon.started.elapsed().as_secs(),
            socket: daemon.socket.borrow().clone(),
        },
        lock: match store.state {
            StoreState::Locked => LockState::Keychain,
            _ => LockState::None,
        },
        store,
        active: snapshot.active(request.home.as_ref()).cloned(),
        tokens: snapshot.index.tokens.len(),
        mirrors: snapshot.mirror_statuses(),
        service: daemon.service.clone(),
        unsettled: snapshot.unsettled,
        locked_memory: daemon.values.locked_memory(),
    }
}

fn default_store(daemon: &Daemon) -> StoreStatus {
    match daemon.stores.get(daemon.stores.default) {
        Ok(store) => store.status(),
        Err(error) => StoreStatus {
            id: daemon.stores.default,
            state: StoreState::Unavailable,
            detail: Some(error.message),
        },
    }
}
