//! What other programs do to items of ours, as the provider's signals tell.
//!
//! A signal is a reason to read the item again and nothing more: every item has one when its
//! collection is locked, and any program may send one. They are taken off the bus by a task of
//! their own, because a large collection sends hundreds at once, and zbus stops reading when a
//! queue is full.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use zbus::message::Type;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};
use zbus::{Connection, MatchRule, Message, MessageStream};

use crate::store::Key;

/// Items of other programs, or of ours that were not seen yet, that may wait to be asked what they
/// are. More than that come at once only when a collection is locked or unlocked, which changes no
/// value.
const STRANGE: usize = 32;

/// So long after the first signal they are looked at. A provider that ends says something before,
/// and to ask it then makes the bus start another one, which is locked.
const PAUSE: Duration = Duration::from_millis(250);

/// Our items, and which of them were touched.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    items: Mutex<Items>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Items {
    /// What lies where, as far as it was seen.
    known: HashMap<OwnedObjectPath, Key>,
    touched: BTreeSet<Key>,
    /// When what was touched is looked at.
    due: Option<Instant>,
    strange: HashSet<OwnedObjectPath>,
}

/// Listening, until it is dropped.
#[derive(Debug)]
pub(super) struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Changes {
    /// Listens from now on.
    pub(super) async fn listen(&self, connection: &Connection) -> zbus::Result<Listening> {
        let items = MatchRule::builder()
            .msg_type(Type::Signal)
            .interface("org.freedesktop.Secret.Collection")?
            .build();
        let mut signals = MessageStream::for_match_rule(items, connection, None).await?;
        let changes = self.clone();
        let listening = tokio::spawn(async move {
            while let Some(Ok(signal)) = signals.next().await {
                changes.heed(&signal);
            }
        });
        Ok(Listening(listening.abort_handle()))
    }

    fn heed(&self, signal: &Message) {
        let (header, body) = (signal.header(), signal.body());
        let Ok(path) = body.deserialize::<ObjectPath<'_>>() else {
            return;
        };
        let deleted = match header.member().map(|member| member.as_str()) {
            Some("ItemCreated" | "ItemChanged") => false,
            Some("ItemDeleted") => true,
            _ => return,
        };
        let path = OwnedObjectPath::from(path);
        let mut items = self.items();
        let key = match deleted {
            true => items.known.remove(&path),
            false => items.known.get(&path).cloned(),
        };
        match key {
            Some(key) => drop(items.touched.insert(key)),
            None if !deleted && items.strange.len() < STRANGE => {
                items.strange.insert(path);
            }
            None => return,
        }
        items.due.get_or_insert_with(|| Instant::now() + PAUSE);
        self.0.arrived.notify_one();
    }

    /// Waits until it is time to look at what was touched. Cancelling loses nothing.
    pub(super) async fn due(&self) {
        loop {
            let arrived = self.0.arrived.notified();
            let due = self.items().due;
            match due {
                Some(due) => return sleep_until(due).await,
                None => arrived.await,
            }
        }
    }

    /// The item of `key` lies at `path`.
    pub(super) fn seen(&self, path: &OwnedObjectPath, key: &Key) {
        let known = &mut self.items().known;
        if known.get(path) != Some(key) {
            known.insert(path.clone(), key.clone());
        }
    }

    /// An item of which it is not known what it is.
    pub(super) fn strange(&self) -> Option<OwnedObjectPath> {
        self.items().strange.iter().next().cloned()
    }

    /// What it is: one of ours, or not.
    pub(super) fn identified(&self, path: &OwnedObjectPath, key: Option<Key>) {
        if let Some(key) = key {
            self.seen(path, &key);
            self.touch(key);
        }
        self.items().strange.remove(path);
    }

    fn touch(&self, key: Key) {
        let mut items = self.items();
        items.touched.insert(key);
        items.due.get_or_insert_with(|| Instant::now() + PAUSE);
    }

    /// One of those that were touched, when all are identified.
    pub(super) fn next(&self) -> Option<Touched> {
        let mut items = self.items();
        let Some(key) = items.touched.pop_first() else {
            items.due = None;
            return None;
        };
        Some(Touched {
            key,
            changes: Some(self.clone()),
        })
    }

    /// Nothing was touched.
    pub(super) fn forget(&self) {
        let mut items = self.items();
        items.due = None;
        items.touched.clear();
        items.strange.clear();
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        // Nothing panics while holding it.
        self.0.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key that was touched. It is again when this is dropped before it was looked at.
pub(super) struct Touched {
    key: Key,
    changes: Option<Changes>,
}

impl Touched {
    pub(super) fn looked_at(mut self) -> Key {
        self.changes = None;
        self.key.clone()
    }
}

impl Deref for Touched {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.key
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        if let Some(changes) = self.changes.take() {
            changes.touch(self.key.clone());
        }
    }
}
