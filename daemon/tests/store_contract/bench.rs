//! Places to run the stories on.

use std::future::Future;
use std::time::Duration;

use hfd_daemon::store::{Backend, FileStore, Key, Knobs, Memory, Part, Store};
use hfd_proto::{Endpoint, Secret, StoreId, TokenName};
use tempfile::TempDir;

/// A place that stores can be opened on; each call starts another worker on the same place, as a
/// daemon does that was started again.
pub(crate) trait Bench {
    fn store(&self) -> Store;

    /// The bytes of the longest name that can be asked of it.
    fn longest_name(&self) -> usize {
        255
    }
}

/// A place that can fail.
pub(crate) trait Breakable: Bench {
    /// Locks it, as its own window would.
    fn lock(&mut self) -> impl Future<Output = ()>;
    fn unlock(&mut self) -> impl Future<Output = ()>;
    /// Stops it in the middle of whatever it does.
    fn freeze(&mut self);
    fn thaw(&mut self);
    /// Ends it without notice.
    fn end(&mut self) -> impl Future<Output = ()>;
    /// Starts it, unlocked.
    fn start(&mut self) -> impl Future<Output = ()>;
    /// Replaces it by another run of itself, unlocked, that knows no session.
    fn restart(&mut self) -> impl Future<Output = ()>;
}

pub(crate) fn key(name: &str) -> Key {
    key_at("https://huggingface.co", name)
}

pub(crate) fn key_at(endpoint: &str, name: &str) -> Key {
    Key {
        endpoint: Endpoint::parse(endpoint).unwrap(),
        name: TokenName::parse(name).unwrap(),
        part: Part::Access,
    }
}

pub(crate) fn refresh(name: &str) -> Key {
    Key {
        part: Part::Refresh,
        ..key(name)
    }
}

pub(crate) fn secret(value: &str) -> Secret {
    Secret::parse(value).unwrap()
}

/// Bounds a wait for something that happens by itself.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(15), future).await {
        Ok(output) => output,
        Err(_) => panic!("still waiting after 15 s: {what}"),
    }
}

pub(crate) struct InMemory {
    knobs: Knobs,
}

impl InMemory {
    pub(crate) fn new() -> Self {
        let (_, knobs) = Memory::new(StoreId::SecretService);
        Self { knobs }
    }
}

impl Bench for InMemory {
    fn store(&self) -> Store {
        let memory = Memory::again(StoreId::SecretService, self.knobs.clone());
        Store::spawn(Backend::Memory(memory))
    }
}

impl Breakable for InMemory {
    async fn lock(&mut self) {
        self.knobs.locked(true);
    }

    async fn unlock(&mut self) {
        self.knobs.locked(false);
    }

    fn freeze(&mut self) {
        self.knobs.frozen(true);
    }

    fn thaw(&mut self) {
        self.knobs.frozen(false);
    }

    async fn end(&mut self) {
        self.knobs.unavailable(true);
    }

    async fn start(&mut self) {
        self.knobs.unavailable(false);
    }

    async fn restart(&mut self) {
        self.knobs.drop_session();
    }
}

pub(crate) struct InFile {
    pub(crate) dir: TempDir,
}

impl InFile {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// One whose passphrase a service manager hands over.
    pub(crate) fn with_passphrase(passphrase: &str) -> Self {
        let bench = Self::new();
        std::fs::write(bench.dir.path().join("hfd.passphrase"), passphrase).unwrap();
        bench
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("hfd/tokens")
    }
}

impl Bench for InFile {
    fn store(&self) -> Store {
        let credentials = Some(self.dir.path().to_owned());
        Store::spawn(Backend::File(FileStore::new(self.path(), credentials)))
    }
}
