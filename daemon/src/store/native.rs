//! The keychains of macOS and Windows, by way of the keyring family: keyring-core and one store crate
//! for each, which is what keyring's own documentation tells an application to use.
//!
//! Their calls block, and may block for long. They are made by one thread, which owns the keychain:
//! Windows may not find on one thread what another has just written. Whoever waits does so under the
//! worker's deadline; what was given up before its turn came is not done any more.
//!
//! No call opens a dialog: the daemon does not know whether anybody is there to answer it. A keychain
//! that would ask counts as locked.

mod chunks;
mod fault;
mod items;

use std::sync::mpsc;

use hfd_proto::{Secret, StoreId};
use tokio::sync::oneshot;

use self::chunks::{Chunked, Fault};
use self::fault::Failure;
use self::items::{Keychain, id_of, key_of};
use super::{Key, StoreError};

/// Where the keychain of this system is, and what an item may hold.
const STORE: (StoreId, usize) = if cfg!(target_os = "macos") {
    // Items of any length: the longest secret, and one cut all the same would be no harm.
    (StoreId::MacosKeychain, 1 << 20)
} else {
    (StoreId::WindowsCredentialManager, chunks::WINDOWS_LIMIT)
};

/// The thread's own.
type Place = Chunked<Keychain>;

type Job = Box<dyn FnOnce(&Place) + Send>;

/// How the thread gets at the keychain.
type Open = fn() -> Result<Keychain, keyring_core::Error>;

/// The keychain of macOS or Windows.
#[derive(Debug)]
pub struct Native {
    open: Open,
    /// The way to the thread; it is started with the first call.
    jobs: Option<mpsc::Sender<Job>>,
}

impl Native {
    /// The keychain of this system, not touched yet.
    #[cfg(any(target_os = "macos", windows))]
    pub fn new() -> Self {
        Self::on(Keychain::open)
    }

    fn on(open: Open) -> Self {
        Self { open, jobs: None }
    }

    pub(super) fn id(&self) -> StoreId {
        STORE.0
    }

    pub(super) async fn get(&mut self, key: &Key) -> Result<Option<Secret>, StoreError> {
        let id = id_of(key);
        self.at(move |place| read(place, &id)).await
    }

    pub(super) async fn put(&mut self, key: &Key, secret: &Secret) -> Result<(), StoreError> {
        let (id, secret) = (id_of(key), secret.clone());
        self.at(move |place| {
            place.set(&id, secret.expose().as_bytes()).map_err(told)?;
            match read(place, &id)? {
                Some(kept) if kept == secret => Ok(()),
                _ => Err(rejected(
                    "did not keep what was written",
                    "repeat it; does another program write there?",
                )),
            }
        })
        .await
    }

    pub(super) async fn delete(&mut self, key: &Key) -> Result<bool, StoreError> {
        let id = id_of(key);
        self.at(move |place| place.delete(&id).map_err(told)).await
    }

    pub(super) async fn keys(&mut self) -> Result<Vec<Key>, StoreError> {
        self.at(|place| {
            let ids = place.ids().map_err(told)?;
            let mut keys: Vec<Key> = ids.iter().filter_map(|id| key_of(id)).collect();
            keys.sort();
            Ok(keys)
        })
        .await
    }

    pub(super) async fn probe(&mut self) -> Result<(), StoreError> {
        self.at(|place| place.ids().map(drop).map_err(told)).await
    }

    pub(super) async fn glance(&mut self) -> Result<(), StoreError> {
        self.probe().await
    }

    /// Neither keychain tells.
    pub(super) async fn noticed(&mut self) {
        std::future::pending().await
    }

    /// The call cannot be taken back. While the thread is held by it, others wait behind it, each
    /// under its own deadline.
    pub(super) async fn abandon(&mut self) {}

    pub(super) fn reset(&mut self) {
        self.jobs = None;
    }

    pub(super) fn detail(&self) -> Option<String> {
        Some(STORE.0.title().to_owned())
    }

    /// Has the thread do it, when its turn comes and if somebody still waits then.
    async fn at<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Place) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |place| {
            if !reply.is_closed() {
                // Whoever asked may have left at the deadline meanwhile.
                drop(reply.send(work(place)));
            }
        });
        self.thread()?
            .send(job)
            .map_err(|_| self.gone("it has ended"))?;
        match answer.await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.gone("it panicked")),
        }
    }

    /// The thread, started where there is none.
    fn thread(&mut self) -> Result<&mpsc::Sender<Job>, StoreError> {
        if self.jobs.is_none() {
            let (jobs, queue) = mpsc::channel::<Job>();
            let place = Chunked::new(
                (self.open)().map_err(|error| told(Fault::Items(error)))?,
                STORE.1,
            );
            std::thread::Builder::new()
                .name("keychain".to_owned())
                .spawn(move || serve(&place, queue))
                .map_err(|error| self.gone(&error.to_string()))?;
            self.jobs = Some(jobs);
        }
        self.jobs
            .as_ref()
            .ok_or_else(|| unavailable("it has ended"))
    }

    /// The next call starts another thread.
    fn gone(&mut self, why: &str) -> StoreError {
        self.jobs = None;
        unavailable(why)
    }
}

fn serve(place: &Place, queue: mpsc::Receiver<Job>) {
    // What a daemon left that was killed. A keychain that cannot be read now is swept another time.
    if place.sweep().is_err() {
        tracing::debug!("the keychain is not swept");
    }
    for job in queue {
        job(place);
    }
}

fn read(place: &Place, id: &str) -> Result<Option<Secret>, StoreError> {
    let Some(value) = place.get(id).map_err(told)? else {
        return Ok(None);
    };
    let secret = std::str::from_utf8(&value).ok();
    match secret.and_then(|text| Secret::parse(text).ok()) {
        Some(secret) => Ok(Some(secret)),
        None => Err(damaged()),
    }
}

fn told(fault: Fault<keyring_core::Error>) -> StoreError {
    match fault {
        Fault::Items(error) => Failure::of(&error).meaning(STORE.0),
        Fault::Damaged => damaged(),
    }
}

fn damaged() -> StoreError {
    rejected(
        "holds an item that hfd did not write, or a part of one",
        "log in again, which replaces it",
    )
}

fn rejected(what: &str, hint: &str) -> StoreError {
    StoreError::Rejected {
        store: STORE.0,
        what: format!("{} {what}", STORE.0.title()),
        hint: hint.to_owned(),
        dismissed: false,
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable {
        store: STORE.0,
        what: format!("the thread for {} failed: {why}", STORE.0.title()),
        hint: "repeat it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use hfd_proto::{Endpoint, TokenName};

    use super::*;
    use crate::store::{Backend, Part, Store};

    fn key(name: &str) -> Key {
        Key {
            endpoint: Endpoint::default(),
            name: TokenName::parse(name).unwrap(),
            part: Part::Access,
        }
    }

    fn native() -> Native {
        Native::on(|| Ok(Keychain::in_memory()))
    }

    #[tokio::test]
    async fn what_was_given_up_before_its_turn_is_not_done() {
        let mut native = native();
        let secret = Secret::parse("hf_x").unwrap();
        let (release, held) = channel::<()>();
        let hold = native.at(move |_| {
            // Until it is released.
            let _ = held.recv();
            Ok(())
        });
        // The thread is busy, and nobody waits for it any more.
        assert!(futures_util::FutureExt::now_or_never(hold).is_none());
        let late = key("late");
        let put = native.put(&late, &secret);
        assert!(futures_util::FutureExt::now_or_never(put).is_none());
        drop(release);
        assert_eq!(native.get(&late).await, Ok(None));
    }

    #[tokio::test]
    async fn a_worker_serves_it_like_any_other_store() {
        let store = Store::spawn(Backend::Native(native()));
        let long = Secret::parse(&"x".repeat(hfd_proto::MAX_SECRET)).unwrap();
        store.probe().await.unwrap();
        store.put(&key("a"), &long).await.unwrap();
        assert_eq!(store.get(&key("a")).await, Ok(Some(long)));
        assert_eq!(store.keys().await, Ok(vec![key("a")]));
        assert_eq!(store.delete(&key("a")).await, Ok(true));
        assert_eq!(store.delete(&key("a")).await, Ok(false));
    }

    #[tokio::test]
    async fn a_panic_ends_one_call_and_another_thread_goes_on() {
        let mut native = native();
        let outcome = native.at::<()>(|_| panic!("on purpose")).await;
        assert!(matches!(outcome, Err(StoreError::Unavailable { .. })));
        assert_eq!(native.get(&key("a")).await, Ok(None));
    }

    #[tokio::test]
    async fn what_is_no_secret_is_an_error_and_no_value() {
        let mut native = native();
        native
            .at(|place| place.set(&id_of(&key("a")), b"two words\n").map_err(told))
            .await
            .unwrap();
        assert!(matches!(
            native.get(&key("a")).await,
            Err(StoreError::Rejected { .. })
        ));
    }
}
