//! How things are: from memory, but for a store that was never asked.

use std::time::Duration;

use hfd_core::model::Record;
use hfd_proto::{
    Attention, DaemonStatus, Error, LockState, PROTOCOL, Status, StatusReply, StoreState,
    StoreStatus, TokenName, VERSION,
};
use tokio::time::timeout;

use crate::daemon::Daemon;
use crate::engine::session_ended;
use crate::snapshot::Snapshot;

/// How long a store that was never asked may take to say how it is.
const FIRST_WORD: Duration = Duration::from_millis(300);

/// A token that cannot be renewed and ends within three days is worth a word.
const SOON: i64 = 3 * 24 * 3600;

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
        endpoint: match &request.endpoint {
            Some(asked) if daemon.config.same_endpoint(&daemon.config.endpoint, asked) => {
                asked.clone()
            }
            _ => daemon.config.endpoint.clone(),
        },
        withheld: snapshot.index.withhold,
        attention: attention(daemon, &snapshot),
    }
}

/// What a person should know of a token before it is missed.
fn attention(daemon: &Daemon, snapshot: &Snapshot) -> Vec<Attention> {
    let now = daemon.clock.now();
    let tokens = snapshot.index.tokens.iter();
    let worth = tokens.filter_map(|(name, record)| {
        let trouble = daemon.renewals.trouble(record);
        let (what, detail) = of_one(name, record, trouble, now)?;
        Some(Attention {
            name: name.clone(),
            what: what.to_owned(),
            detail,
            expires_at: record.expires_at,
        })
    });
    worth.collect()
}

fn of_one(
    name: &TokenName,
    record: &Record,
    trouble: Option<Error>,
    now: i64,
) -> Option<(&'static str, String)> {
    const LOGIN: &str = "log in again: hfd login";
    let renewable = record.refresh.is_some();
    if renewable && record.renewal.refused == record.refresh {
        let lost = record.renewal.begun.is_some();
        return Some((
            "session-ended",
            session_ended(name, lost).message + "; " + LOGIN,
        ));
    }
    if record.rejected == Some(record.access) {
        let detail = format!("{} does not know it any more; {LOGIN}", record.endpoint);
        return Some(("rejected", detail));
    }
    if let Some(error) = trouble {
        return Some(("not-renewed", format!("{}; hfd tries again", error.message)));
    }
    let left = record.expires_at? - now;
    match (renewable, left) {
        (true, _) | (false, SOON..) => None,
        (false, 1..SOON) => Some(("ends-soon", format!("it cannot be renewed; {LOGIN}"))),
        (false, _) => Some(("ended", LOGIN.to_owned())),
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
