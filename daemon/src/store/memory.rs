//! A store in memory that misbehaves when it is told to. Tests use it, beside a contract that the
//! real stores pass as well; no configuration can name it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hfd_proto::{Secret, StoreId};
use tokio::sync::Notify;

use super::{Key, StoreError};

/// The store.
#[derive(Debug)]
pub struct Memory {
    id: StoreId,
    knobs: Knobs,
}

/// What makes a [`Memory`] misbehave; clones turn the same store, also while it runs.
#[derive(Debug, Clone, Default)]
pub struct Knobs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    turned: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<Key, Secret>,
    /// Writes that arrived while it was frozen: they happen at the thaw, whoever waits.
    late: Vec<(Key, Option<Secret>)>,
    locked: bool,
    unavailable: bool,
    frozen: bool,
    slow: Duration,
    session_dropped: bool,
    sessions: u32,
    fail_next: u32,
    fail_after: Option<u32>,
}

impl Knobs {
    /// Locks the store, or opens it again.
    pub fn locked(&self, locked: bool) {
        self.turn(|state| state.locked = locked);
    }

    /// Takes the store away, or brings it back with what it held.
    pub fn unavailable(&self, unavailable: bool) {
        self.turn(|state| state.unavailable = unavailable);
    }

    /// Makes each call take this long.
    pub fn slow(&self, pause: Duration) {
        self.turn(|state| state.slow = pause);
    }

    /// Freezes the store: calls are taken and not answered. At the thaw every write that was taken
    /// happens, whether its asker still waits or not.
    pub fn frozen(&self, frozen: bool) {
        self.turn(|state| {
            state.frozen = frozen;
            if !frozen {
                for (key, value) in std::mem::take(&mut state.late) {
                    apply(&mut state.items, &key, value);
                }
            }
        });
    }

    /// Forgets the session, as a provider that was restarted does. The next call opens another.
    pub fn drop_session(&self) {
        self.turn(|state| state.session_dropped = true);
    }

    /// Refuses the next `count` calls.
    pub fn fail_next(&self, count: u32) {
        self.turn(|state| state.fail_next = count);
    }

    /// Refuses one write after `count` more.
    pub fn fail_after(&self, count: u32) {
        self.turn(|state| state.fail_after = Some(count));
    }

    /// How many sessions were opened again after one was dropped.
    pub fn sessions_reopened(&self) -> u32 {
        self.state().sessions
    }

    fn turn(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.turned.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Held for a few lines that do not panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// An empty store that takes itself for `id`, and its knobs.
    pub fn new(id: StoreId) -> (Self, Knobs) {
        let knobs = Knobs::default();
        let memory = Self {
            id,
            knobs: knobs.clone(),
        };
        (memory, knobs)
    }

    /// The store that `knobs` belong to, for another worker.
    pub fn again(id: StoreId, knobs: Knobs) -> Self {
        Self { id, knobs }
    }

    pub(super) fn id(&self) -> StoreId {
        self.id
    }

    pub(super) async fn get(&mut self, key: &Key) -> Result<Option<Secret>, StoreError> {
        self.answer(None).await?;
        Ok(self.knobs.state().items.get(key).cloned())
    }

    pub(super) async fn put(&mut self, key: &Key, secret: &Secret) -> Result<(), StoreError> {
        let value = Some(secret.clone());
        self.answer(Some((key.clone(), value.clone()))).await?;
        apply(&mut self.knobs.state().items, key, value);
        Ok(())
    }

    pub(super) async fn delete(&mut self, key: &Key) -> Result<bool, StoreError> {
        let was = self.knobs.state().items.contains_key(key);
        self.answer(Some((key.clone(), None))).await?;
        apply(&mut self.knobs.state().items, key, None);
        Ok(was)
    }

    pub(super) async fn keys(&mut self) -> Result<Vec<Key>, StoreError> {
        self.answer(None).await?;
        Ok(self.knobs.state().items.keys().cloned().collect())
    }

    pub(super) async fn probe(&mut self) -> Result<(), StoreError> {
        self.answer(None).await
    }

    pub(super) async fn glance(&mut self) -> Result<(), StoreError> {
        self.answer(None).await
    }

    pub(super) async fn noticed(&mut self) {
        self.knobs.0.turned.notified().await;
    }

    pub(super) async fn abandon(&mut self) {}

    pub(super) fn reset(&mut self) {}

    pub(super) fn detail(&self) -> Option<String> {
        Some(String::from("in memory"))
    }

    /// Misbehaves as the knobs say. `write` is what a frozen store does later.
    async fn answer(&self, write: Option<(Key, Option<Secret>)>) -> Result<(), StoreError> {
        if write.is_some() {
            self.knobs.state().count_down();
        }
        let slow = self.knobs.state().slow;
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        if self.knobs.state().frozen {
            self.knobs.state().late.extend(write);
            while self.knobs.state().frozen {
                self.knobs.0.turned.notified().await;
            }
        }
        self.refuse(&mut self.knobs.state())
    }

    fn refuse(&self, state: &mut State) -> Result<(), StoreError> {
        let store = self.id;
        if state.unavailable {
            return Err(StoreError::Unavailable {
                store,
                what: String::from("the store in memory was taken away"),
                hint: String::from("bring it back"),
            });
        }
        if std::mem::take(&mut state.session_dropped) {
            state.sessions += 1;
        }
        if state.locked {
            return Err(StoreError::Locked { store });
        }
        if state.fail_next > 0 {
            state.fail_next -= 1;
            return Err(StoreError::Rejected {
                store,
                what: String::from("the store in memory was told to fail"),
                hint: String::from("repeat it"),
                dismissed: false,
            });
        }
        Ok(())
    }
}

impl State {
    fn count_down(&mut self) {
        match self.fail_after.take() {
            Some(0) => self.fail_next += 1,
            count => self.fail_after = count.map(|count| count - 1),
        }
    }
}

fn apply(items: &mut BTreeMap<Key, Secret>, key: &Key, value: Option<Secret>) {
    match value {
        Some(secret) => items.insert(key.clone(), secret),
        None => items.remove(key),
    };
}
