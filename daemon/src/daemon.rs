//! What every connection shares.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hfd_proto::Event;
use tokio::sync::{Notify, broadcast, watch};

use crate::config::Config;
use crate::engine::Engine;
use crate::hub::Hub;
use crate::snapshot::Snapshot;
use crate::stores::Stores;
use crate::values::Values;

/// Events that a slow watcher may lag behind before it is told so.
pub(crate) const EVENTS: usize = 256;

/// The parts of the running daemon.
#[derive(Debug)]
pub struct Daemon {
    /// The configuration, read at start.
    pub config: Config,
    /// The way to the Hub.
    pub hub: Hub,
    /// The stores.
    pub stores: Arc<Stores>,
    /// Values of access tokens.
    pub values: Arc<Values>,
    /// The last published state.
    pub state: watch::Receiver<Arc<Snapshot>>,
    /// The owner of all state.
    pub engine: Engine,
    /// What happens, for watchers.
    pub events: broadcast::Sender<Event>,
    /// Where it listens now.
    pub socket: watch::Receiver<PathBuf>,
    /// When it started.
    pub started: Instant,
    /// The service manager that runs it, if one does.
    pub service: Option<String>,
    /// Requests being answered.
    pub busy: AtomicUsize,
    /// Told to end the daemon.
    pub leave: Notify,
}

impl Daemon {
    /// The last published state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state.borrow())
    }

    /// Counts a request for as long as the guard lives.
    pub(crate) fn work(&self) -> Working<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Working(&self.busy)
    }
}

/// A request is being answered.
#[derive(Debug)]
pub(crate) struct Working<'a>(&'a AtomicUsize);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
