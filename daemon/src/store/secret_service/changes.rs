//! What other programs do to items, as the provider's signals tell.
//!
//! A signal is a reason to look and nothing more: every item has one when its collection is locked,
//! and any program may send one. They are taken off the bus by a task of their own, because a large
//! collection sends hundreds at once, and zbus stops reading when a queue is full.

use std::collections::{BTreeSet, HashSet};
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

/// So long after the first signal is looked. A provider that ends says something before, and to ask
/// it then makes the bus start another one, which is locked.
const PAUSE: Duration = Duration::from_millis(250);

/// Items that are remembered one by one until then.
const ITEMS: usize = 32;

/// What may have changed since it was looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    /// Something is gone. Whose it was can no longer be asked.
    removed: bool,
    /// Items that were made or changed, of whichever program.
    items: HashSet<OwnedObjectPath>,
    /// There were more of them.
    many: bool,
    /// Those that are ours.
    keys: BTreeSet<Key>,
    due: Option<Instant>,
    /// How many signals there were ever.
    signals: u64,
}

/// What is to be looked at.
#[derive(Debug, Clone)]
pub(super) enum Look {
    /// What there is at all; where `many` were touched, also at each of them.
    Listing { many: bool },
    /// Whose an item is.
    Item(OwnedObjectPath),
    /// A value.
    Key(Key),
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
        let mut pending = self.pending();
        match header.member().map(|member| member.as_str()) {
            Some("ItemDeleted") => pending.removed = true,
            Some("ItemCreated" | "ItemChanged") => {
                let Ok(path) = body.deserialize::<ObjectPath<'_>>() else {
                    return;
                };
                match pending.items.len() < ITEMS {
                    true => drop(pending.items.insert(path.into())),
                    false => pending.many = true,
                }
            }
            _ => return,
        }
        pending.signals += 1;
        pending.due.get_or_insert_with(|| Instant::now() + PAUSE);
        self.0.arrived.notify_one();
    }

    /// Waits until it is time to look. Cancelling loses nothing.
    pub(super) async fn due(&self) {
        loop {
            let arrived = self.0.arrived.notified();
            let due = self.pending().due;
            match due {
                Some(due) => return sleep_until(due).await,
                None => arrived.await,
            }
        }
    }

    /// What to look at next, if it is time; `None` when there is no more.
    pub(super) fn next(&self) -> Option<Next> {
        let mut pending = self.pending();
        if pending.due.is_none_or(|due| due > Instant::now()) {
            return None;
        }
        let look = pending.take();
        if look.is_none() {
            pending.due = None;
        }
        look.map(|look| Next {
            look,
            changes: Some(self.clone()),
        })
    }

    /// An item of ours was touched.
    pub(super) fn touch(&self, key: Key) {
        self.pending().keys.insert(key);
    }

    /// How many signals there were ever.
    pub(super) fn signals(&self) -> u64 {
        self.pending().signals
    }

    /// There is nothing to look at, but for what has come after so many signals.
    pub(super) fn forget(&self, signals: u64) {
        let mut pending = self.pending();
        if pending.signals == signals {
            *pending = Pending {
                signals,
                ..Pending::default()
            };
        } else {
            pending.due = Some(Instant::now() + PAUSE);
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Nothing panics while holding it.
        let pending = self.0.pending.lock();
        pending.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn take(&mut self) -> Option<Look> {
        if self.many {
            self.items.clear();
        }
        if self.removed || self.many {
            self.removed = false;
            let many = std::mem::take(&mut self.many);
            return Some(Look::Listing { many });
        }
        if let Some(path) = self.items.iter().next().cloned() {
            self.items.remove(&path);
            return Some(Look::Item(path));
        }
        self.keys.pop_first().map(Look::Key)
    }

    fn put_back(&mut self, look: Look) {
        match look {
            Look::Listing { many } => {
                self.removed = true;
                self.many |= many;
            }
            Look::Item(path) => drop(self.items.insert(path)),
            Look::Key(key) => drop(self.keys.insert(key)),
        }
    }
}

/// What to look at next. It is once more when this is dropped before that was done.
pub(super) struct Next {
    pub(super) look: Look,
    changes: Option<Changes>,
}

impl Next {
    pub(super) fn done(mut self) {
        self.changes = None;
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        if let Some(changes) = self.changes.take() {
            changes.pending().put_back(self.look.clone());
        }
    }
}
