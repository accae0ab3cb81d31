use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::account::Account;
use super::certificate::Certificate;
use super::failure::Failure;
use super::git;
use super::http::Seen;
use super::routes::State;

/// How long a request may take to arrive before the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Hub on a loopback port of its own, until it is dropped.
#[derive(Debug)]
pub struct Hub {
    address: SocketAddr,
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) endpoint: String,
    state: Mutex<State>,
    /// Told at every request, at every answer and at the end, so that nobody has to poll.
    pub(super) changed: Condvar,
}

impl Hub {
    /// A Hub over HTTP.
    pub fn start() -> io::Result<Self> {
        Self::serve("http", Ok)
    }

    /// A Hub over HTTPS, with this certificate.
    pub fn start_tls(certificate: &Certificate) -> io::Result<Self> {
        let config: Arc<ServerConfig> = certificate.server_config();
        Self::serve("https", move |stream| {
            let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            Ok(StreamOwned::new(connection, stream))
        })
    }

    fn serve<S: Read + Write>(
        scheme: &'static str,
        wrap: impl Fn(TcpStream) -> io::Result<S> + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            endpoint: format!("{scheme}://{address}"),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let hub = Self {
            address,
            shared: shared.clone(),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.state().closing {
                    return;
                }
                let (shared, wrap) = (shared.clone(), wrap.clone());
                // A client that goes away in the middle is its own business.
                thread::spawn(move || {
                    let client = stream.try_clone()?;
                    shared.converse(&mut wrap(stream)?, &client)
                });
            }
        });
        Ok(hub)
    }

    /// What `HF_ENDPOINT` is set to.
    pub fn endpoint(&self) -> String {
        self.shared.endpoint.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a token valid.
    pub fn add(&self, token: &str, account: Account) {
        self.shared
            .state()
            .accounts
            .insert(token.to_owned(), account);
    }

    /// Makes a token invalid, as revoking it on the website does; of a browser login all that it
    /// has.
    pub fn revoke(&self, token: &str) {
        let mut state = self.shared.state();
        state.accounts.remove(token);
        state.oauth.end_grant(token);
    }

    /// From now on every request fails like this; `None` ends it.
    pub fn fail(&self, failure: impl Into<Option<Failure>>) {
        self.shared.state().failure = failure.into();
    }

    /// From now on requests of this path fail like this; `None` ends it.
    pub fn fail_at(&self, path: &str, failure: impl Into<Option<Failure>>) {
        self.shared
            .fail_times(path, failure.into().map(|f| (f, usize::MAX)));
    }

    /// The next request of this path fails like this, and no other.
    pub fn fail_once(&self, path: &str, failure: Failure) {
        self.shared.fail_times(path, Some((failure, 1)));
    }

    /// Whether every connection is closed without an answer, and nothing that is asked happens.
    pub fn down(&self, down: bool) {
        let mut state = self.shared.state();
        state.down = down;
        if !down {
            state.up_since = Instant::now();
        }
    }

    /// How far ahead of this machine's clock the Hub's is, in seconds: `Date` and `expiresAt` tell
    /// its time. Lifetimes are not measured by it.
    pub fn set_clock(&self, seconds_ahead: i64) {
        self.shared.state().clock = SignedDuration::from_secs(seconds_ahead);
    }

    /// Makes an empty repository for git, OWNER/NAME, below `directory`, where all of them are. Its owner and
    /// the members of that organisation can fetch from it and push to it.
    ///
    /// # Panics
    /// When that has no owner, or git cannot make it.
    pub fn add_repository(&self, directory: &Path, repository: &str) {
        let (owner, name) = repository.split_once('/').expect("OWNER/NAME");
        git::make(directory, owner, name);
        self.shared.state().repositories = Some(directory.to_owned());
    }

    /// The requests that arrived, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// The tokens that arrived, oldest first.
    pub fn bearers(&self) -> Vec<String> {
        let seen = self.seen();
        seen.iter()
            .filter_map(|seen| seen.bearer().map(str::to_owned))
            .collect()
    }

    /// Waits until this many requests have arrived.
    ///
    /// # Panics
    /// When they have not after ten seconds.
    pub fn wait_for_requests(&self, count: usize) {
        self.shared.wait_for(&format!("{count} requests"), |state| {
            (state.seen.len() >= count).then_some(())
        });
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        // Wakes the listener, which then sees that it is over; it may be gone already.
        drop(TcpStream::connect(self.address));
    }
}

/// What is done to it from outside.
impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail_times(&self, path: &str, failure: Option<(Failure, usize)>) {
        let mut state = self.state();
        state.failures.remove(path);
        state
            .failures
            .extend(failure.map(|failure| (path.to_owned(), failure)));
    }

    /// Waits for what a request brings about.
    #[track_caller]
    pub(super) fn wait_for<T>(&self, what: &str, holds: impl Fn(&State) -> Option<T>) -> T {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| holds(state).is_none());
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let held = holds(&state);
        let seen = state.seen.len();
        // A panic must not poison what the Hub goes on with.
        drop(state);
        held.unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}; {seen} requests arrived"))
    }
}
