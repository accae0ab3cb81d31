//! The task that owns a store: one call at a time, each under its deadline, however the place
//! behaves.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use hfd_proto::{Passphrase, Protection, Secret, StoreId, StoreState, StoreStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::{Backend, Change, DEADLINE, Edit, Effect, Key, StoreError, Written};

/// A store that is not ready is looked at again after this long, then after twice as long each
/// time: one that was frozen for a moment is found soon.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// The longest pause between looks: a store that stays away costs one wake-up a minute.
const LAST_LOOK: Duration = Duration::from_secs(60);

/// For cleaning up after a call that was cancelled. The asker has its answer already; those in the
/// queue lose no more than this.
const CLEANUP: Duration = Duration::from_millis(500);

/// Who asked, and until when an answer is of use.
#[derive(Debug)]
pub(super) struct Call<T> {
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
}

/// One call.
#[derive(Debug)]
pub(super) enum Request {
    Get(Key, Call<Option<Secret>>),
    Put(Key, Secret, Call<()>),
    Delete(Key, Call<bool>),
    Write(Vec<Edit>, Call<Written>),
    Keys(Call<Vec<Key>>),
    Probe(Call<()>),
    Unlock(Option<Passphrase>, Call<()>),
    Close(Call<()>),
    Rekey(Option<Passphrase>, Call<()>),
    Protection(Call<Option<Protection>>),
}

/// The one owner of a backend.
pub(super) struct Worker {
    id: StoreId,
    backend: Backend,
    queue: mpsc::Receiver<Request>,
    status: watch::Sender<StoreStatus>,
    changes: mpsc::UnboundedSender<(StoreId, Change)>,
    looks: Looks,
}

impl Worker {
    pub(super) fn new(
        backend: Backend,
        queue: mpsc::Receiver<Request>,
        status: watch::Sender<StoreStatus>,
        changes: mpsc::UnboundedSender<(StoreId, Change)>,
    ) -> Self {
        Self {
            id: backend.id(),
            backend,
            queue,
            status,
            changes,
            looks: Looks::default(),
        }
    }

    /// Serves until the last [`Store`](super::Store) is gone.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                request = self.queue.recv() => match request {
                    Some(request) => self.serve(request).await,
                    None => return,
                },
                survived = caught(self.backend.noticed()) => match survived {
                    Some(()) => self.look().await,
                    None => self.backend.reset(),
                },
                () = self.looks.due() => self.look().await,
            }
        }
    }

    async fn serve(&mut self, request: Request) {
        use Effect::{None, Possible};
        match request {
            Request::Get(key, call) => {
                self.make(call, None, async |place| place.get(&key).await)
                    .await;
            }
            Request::Put(key, secret, call) => {
                self.make(call, Possible, async |place| place.put(&key, &secret).await)
                    .await;
            }
            Request::Delete(key, call) => {
                self.make(call, Possible, async |place| place.delete(&key).await)
                    .await;
            }
            Request::Write(edits, call) => {
                self.make(call, Possible, async |place| place.write(edits).await)
                    .await;
            }
            Request::Keys(call) => {
                self.make(call, None, async |place| place.keys().await)
                    .await
            }
            Request::Probe(call) => {
                self.make(call, None, async |place| place.probe().await)
                    .await;
            }
            Request::Unlock(passphrase, call) => self.unlock(passphrase, call).await,
            Request::Close(call) => self.close(call).await,
            Request::Rekey(passphrase, call) => {
                self.make(call, Possible, async |place| place.rekey(passphrase).await)
                    .await;
            }
            Request::Protection(call) => self.protection(call).await,
        }
    }

    /// How a place is protected says nothing of its state.
    async fn protection(&mut self, call: Call<Option<Protection>>) {
        let backend = &mut self.backend;
        let effect = Effect::None;
        let outcome = within(backend, call.deadline, effect, async |place| {
            place.protection().await
        });
        drop(call.reply.send(outcome.await));
    }

    /// A wrong passphrase says nothing of the place's state: that is looked at afterwards.
    async fn unlock(&mut self, passphrase: Option<Passphrase>, call: Call<()>) {
        let (backend, deadline) = (&mut self.backend, call.deadline);
        let mut refused = None;
        let outcome = within(backend, deadline, Effect::None, async |place| {
            refused = place.unlock(passphrase).await.err();
            place.glance().await
        });
        let outcome = outcome.await;
        self.publish(outcome.as_ref().err());
        drop(call.reply.send(match (outcome, refused) {
            (Err(error @ StoreError::TimedOut { .. }), _) | (_, Some(error)) => Err(error),
            // Without a passphrase it may be locked still.
            _ => Ok(()),
        }));
    }

    /// How the place is afterwards is looked at, but not what closing it means.
    async fn close(&mut self, call: Call<()>) {
        let backend = &mut self.backend;
        let outcome = within(backend, call.deadline, Effect::None, async |place| {
            place.close().await?;
            place.glance().await
        });
        let outcome = outcome.await;
        self.publish(outcome.as_ref().err());
        drop(call.reply.send(match outcome {
            Err(error @ StoreError::TimedOut { .. }) => Err(error),
            _ => Ok(()),
        }));
    }

    /// Makes one call. `effect` is what it may have been up to when it does not end in time.
    async fn make<T>(
        &mut self,
        call: Call<T>,
        effect: Effect,
        operation: impl AsyncFnOnce(&mut Backend) -> Result<T, StoreError>,
    ) {
        if call.reply.is_closed() {
            // Whoever asked has left, and was told nothing.
            return;
        }
        let store = self.id;
        if call.deadline <= Instant::now() {
            // Its time went by in the queue. It was not begun and never will be.
            let effect = Effect::None;
            let _ = call.reply.send(Err(StoreError::TimedOut { store, effect }));
            return;
        }
        let outcome = within(&mut self.backend, call.deadline, effect, operation).await;
        self.publish(outcome.as_ref().err());
        let late = matches!(outcome, Err(StoreError::TimedOut { .. }));
        // The asker may have left meanwhile; what it asked for is done all the same.
        let _ = call.reply.send(outcome);
        if late {
            self.clean_up().await;
        }
    }

    /// Looks how the store is, by ourselves. A call that comes meanwhile goes first: a look reads
    /// and may be dropped, and what the call finds is news as well.
    async fn look(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        let backend = &mut self.backend;
        let looking = within(backend, deadline, Effect::None, async |place| {
            place.glance().await
        });
        let outcome = tokio::select! {
            biased;
            Some(request) = self.queue.recv() => Err(request),
            outcome = looking => Ok(outcome),
        };
        match outcome {
            Ok(outcome) => {
                self.publish(outcome.as_ref().err());
                match outcome {
                    Ok(()) => self.tell_changes().await,
                    Err(error) => self.look_failed(&error).await,
                }
            }
            Err(request) => self.serve(request).await,
        }
    }

    /// Tells what was done to items. A call that comes meanwhile goes first, and then the store has news
    /// again.
    async fn tell_changes(&mut self) {
        loop {
            let deadline = Instant::now() + DEADLINE;
            let backend = &mut self.backend;
            let reading = within(backend, deadline, Effect::None, async |place| {
                place.next_change().await
            });
            let outcome = tokio::select! {
                biased;
                Some(request) = self.queue.recv() => return self.serve(request).await,
                outcome = reading => outcome,
            };
            match outcome {
                // Where nobody follows them they are of no use.
                Ok(Some(change)) => drop(self.changes.send((self.id, change))),
                Ok(None) => return,
                Err(error) => {
                    self.publish(Some(&error));
                    return self.look_failed(&error).await;
                }
            }
        }
    }

    async fn look_failed(&mut self, error: &StoreError) {
        if matches!(error, StoreError::TimedOut { .. }) {
            self.clean_up().await;
        }
        self.backend.forget_changes();
    }

    async fn clean_up(&mut self) {
        if timeout(CLEANUP, self.backend.abandon()).await.is_err() {
            tracing::debug!(store = self.id.as_str(), "cleaning up took too long");
        }
    }

    /// Says how the store is, as the last outcome shows it, and when to look again.
    fn publish(&mut self, error: Option<&StoreError>) {
        let state = match error {
            // It answered, if not as one would have liked.
            None | Some(StoreError::Rejected { .. }) => StoreState::Ready,
            Some(StoreError::Locked { .. }) => StoreState::Locked,
            Some(StoreError::Unavailable { .. }) => StoreState::Unavailable,
            Some(StoreError::TimedOut { .. }) => StoreState::Waiting,
        };
        let detail = match (state, error) {
            (StoreState::Ready, _) | (_, None) => self.backend.detail(),
            // Whether that one call may still take effect is no property of the store.
            (StoreState::Waiting, _) => {
                let (store, effect) = (self.id, Effect::None);
                Some(StoreError::TimedOut { store, effect }.to_string())
            }
            (_, Some(error)) => Some(error.to_string()),
        };
        let new = StoreStatus {
            id: self.id.into(),
            state: state.into(),
            detail,
        };
        let changed = self.status.send_if_modified(|old| {
            let changed = *old != new;
            *old = new;
            changed
        });
        if changed {
            tracing::debug!(store = self.id.as_str(), ?state, "the store changed");
        }
        if state == StoreState::Ready {
            self.looks.stop();
        } else {
            self.looks.plan(Instant::now(), changed);
        }
    }
}

/// Runs one operation until the deadline. `effect` is what a write may have been up to by then.
async fn within<T>(
    backend: &mut Backend,
    deadline: Instant,
    effect: Effect,
    operation: impl AsyncFnOnce(&mut Backend) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let store = backend.id();
    // On the heap, for as long as it takes: a call of the Secret Service needs tens of KiB, which the
    // idle worker must not hold.
    let operation = Box::pin(operation(backend));
    match timeout_at(deadline, caught(operation)).await {
        // A single message to the provider went unanswered; whether it was the one that counts is
        // not worth knowing.
        Ok(Some(Err(StoreError::TimedOut { .. }))) | Err(_) => {
            Err(StoreError::TimedOut { store, effect })
        }
        Ok(Some(outcome)) => outcome,
        Ok(None) => {
            backend.reset();
            Err(panicked(store))
        }
    }
}

fn panicked(store: StoreId) -> StoreError {
    StoreError::Unavailable {
        store,
        what: String::from("an error inside hfdd ended the call to the store"),
        hint: String::from("please report it with the log: `hfd service logs`"),
    }
}

/// When to look at a store that is not ready: soon at first, then ever more seldom.
#[derive(Debug, Default)]
struct Looks {
    next: Option<Instant>,
    pause: Duration,
}

impl Looks {
    /// Waits for the next look; for ever when none is planned.
    async fn due(&self) {
        match self.next {
            Some(next) => sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    fn plan(&mut self, now: Instant, news: bool) {
        if news {
            self.pause = FIRST_LOOK;
        } else if self.next.is_none_or(|next| next <= now) {
            self.pause = (self.pause * 2).clamp(FIRST_LOOK, LAST_LOOK);
        } else {
            // A call failed in between; the look that is planned stays.
            return;
        }
        self.next = Some(now + self.pause);
    }

    fn stop(&mut self) {
        self.next = None;
    }
}

/// The outcome of `future`, or `None` when it panicked: a bug in a library ends one call, not the
/// daemon's access to its secrets. The panic's own message was printed by the hook.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        // What the future borrowed is reset by the caller.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_seldom_and_start_over_with_news() {
        let mut looks = Looks::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for look in 0..9 {
            looks.plan(now, look == 0);
            let next = looks.next.unwrap();
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(
            pauses,
            [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]
        );
        looks.plan(now, false);
        let planned = looks.next;
        looks.plan(now + FIRST_LOOK, false);
        assert_eq!(looks.next, planned, "a call that failed delays no look");
        looks.plan(now, true);
        assert_eq!(looks.next, Some(now + FIRST_LOOK));
    }

    #[tokio::test]
    async fn a_panic_ends_the_call_alone() {
        assert_eq!(caught(async { 1 }).await, Some(1));
        assert_eq!(caught(async { panic!("on purpose") }).await, None::<()>);
    }
}
