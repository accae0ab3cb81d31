//! The way to a store that the rest of the daemon holds.

use std::time::Duration;

use hfd_proto::{Passphrase, Protection, Secret, StoreId, StoreState, StoreStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::worker::{Call, Request, Worker};
use super::{Backend, Change, Edit, Effect, Key, StoreError, Written};

/// How long a call may take, waiting in the queue included: its asker is answered within 5 s, and
/// the way there and back needs some of them.
pub const DEADLINE: Duration = Duration::from_secs(4);

/// Calls that wait while one is being made. Beyond it askers wait outside, under the same deadline.
const QUEUE: usize = 64;

/// What is told of a store before the first call.
const NOT_ASKED: &str = "not asked yet";

/// The way to one store. Clones lead to the same worker, which ends when the last one is gone.
#[derive(Debug, Clone)]
pub struct Store {
    id: StoreId,
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<StoreStatus>,
}

impl Store {
    /// Starts the worker that owns `backend` from now on. Needs a tokio runtime.
    pub fn spawn(backend: Backend) -> Self {
        let (changes, _) = mpsc::unbounded_channel();
        Self::spawn_followed(backend, changes)
    }

    /// As [`Self::spawn`], and tells of items that were touched, by other programs or by this one.
    pub fn spawn_followed(
        backend: Backend,
        changes: mpsc::UnboundedSender<(StoreId, Change)>,
    ) -> Self {
        let id = backend.id();
        let (requests, queue) = mpsc::channel(QUEUE);
        // Nothing is touched before the first call: a daemon that answers from its cache does not
        // wake the keychain.
        let (publish, status) = watch::channel(StoreStatus {
            id: id.into(),
            state: StoreState::Waiting.into(),
            detail: Some(NOT_ASKED.to_owned()),
        });
        tokio::spawn(Worker::new(backend, queue, publish, changes).run());
        Self {
            id,
            requests,
            status,
        }
    }

    /// Which store this is.
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// How the store is, as far as is known; never waits.
    pub fn status(&self) -> StoreStatus {
        self.status.borrow().clone()
    }

    /// Whether anything was ever asked of it.
    pub fn was_asked(&self) -> bool {
        self.status.borrow().detail.as_deref() != Some(NOT_ASKED)
    }

    /// Follows the status. It changes when a call found the store in another state, and by itself:
    /// a store that was not ready is looked at again until it is.
    pub fn subscribe(&self) -> watch::Receiver<StoreStatus> {
        self.status.clone()
    }

    /// The value of `key`; `None` only when the store is open and has none.
    ///
    /// # Errors
    /// Any error means that the value is unknown.
    pub async fn get(&self, key: &Key) -> Result<Option<Secret>, StoreError> {
        let key = key.clone();
        self.call(|call| Request::Get(key, call)).await
    }

    /// Creates or updates the value of `key`. On `Ok` it was read back.
    ///
    /// # Errors
    /// [`StoreError::TimedOut`] with [`Effect::Possible`] means that it may yet happen; with any
    /// other error the store holds what it held.
    pub async fn put(&self, key: &Key, secret: &Secret) -> Result<(), StoreError> {
        let (key, secret) = (key.clone(), secret.clone());
        self.call(|call| Request::Put(key, secret, call)).await
    }

    /// Removes the value of `key`; true when there was one.
    ///
    /// # Errors
    /// As for [`Store::put`].
    pub async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let key = key.clone();
        self.call(|call| Request::Delete(key, call)).await
    }

    /// Makes several edits, in order, in one call.
    ///
    /// # Errors
    /// As for [`Store::put`]: with any error but a time-out none was made.
    pub async fn write(&self, edits: Vec<Edit>) -> Result<Written, StoreError> {
        self.call(|call| Request::Write(edits, call)).await
    }

    /// Every key that has a value, in order: names, kinds and endpoints, rebuilt from the store
    /// alone.
    pub async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.call(Request::Keys).await
    }

    /// Whether the store is there and open.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.call(Request::Probe).await
    }

    /// Opens a store that a passphrase opens, for as long as this daemon runs or until it is closed. Without one
    /// only what else opens it may do so again.
    ///
    /// # Errors
    /// [`StoreError::Rejected`] for another passphrase.
    pub async fn unlock(&self, passphrase: Option<Passphrase>) -> Result<(), StoreError> {
        self.call(|call| Request::Unlock(passphrase, call)).await
    }

    /// Forgets what a passphrase has opened.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.call(Request::Close).await
    }

    /// Encrypts everything with a new key: behind this passphrase, or in the key file as it is.
    ///
    /// # Errors
    /// As for [`Store::put`].
    pub async fn rekey(&self, passphrase: Option<Passphrase>) -> Result<(), StoreError> {
        self.call(|call| Request::Rekey(passphrase, call)).await
    }

    /// What opens a store that hfd itself encrypts; `None` for others, and before there is anything to be opened.
    pub async fn protection(&self) -> Result<Option<Protection>, StoreError> {
        self.call(Request::Protection).await
    }

    async fn call<T>(&self, request: impl FnOnce(Call<T>) -> Request) -> Result<T, StoreError> {
        let deadline = Instant::now() + DEADLINE;
        let (reply, answer) = oneshot::channel();
        let sending = self.requests.send(request(Call { deadline, reply }));
        match timeout_at(deadline, sending).await {
            // The worker keeps the deadline from here on.
            Ok(Ok(())) => answer.await.unwrap_or_else(|_| Err(self.gone())),
            Ok(Err(_)) => Err(self.gone()),
            Err(_) => Err(StoreError::TimedOut {
                store: self.id,
                effect: Effect::None,
            }),
        }
    }

    /// The runtime is going down: the worker ends for no other reason while a handle is left.
    fn gone(&self) -> StoreError {
        StoreError::Unavailable {
            store: self.id,
            what: String::from("hfdd is shutting down"),
            hint: String::from("repeat it: another daemon is started"),
        }
    }
}
