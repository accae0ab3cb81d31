use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::account::Account;
use super::certificate::Certificate;
use super::failure::Failure;
use super::http::{self, Seen};

/// A Hub on a loopback port of its own, until it is dropped.
#[derive(Debug)]
pub struct Hub {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told at every request and at the end, so that nobody has to poll.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<String, Account>,
    failure: Option<Failure>,
    seen: Vec<Seen>,
    closing: bool,
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
        let shared = Arc::new(Shared::default());
        let hub = Self {
            address,
            scheme,
            shared: shared.clone(),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.state().closing {
                    return;
                }
                let (shared, wrap) = (shared.clone(), wrap.clone());
                // A client that goes away in the middle is its own business.
                thread::spawn(move || wrap(stream).and_then(|mut s| shared.converse(&mut s)));
            }
        });
        Ok(hub)
    }

    /// What `HF_ENDPOINT` is set to.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
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

    /// Makes a token invalid, as revoking it on the website does.
    pub fn revoke(&self, token: &str) {
        self.shared.state().accounts.remove(token);
    }

    /// From now on every request fails like this; `None` ends it.
    pub fn fail(&self, failure: impl Into<Option<Failure>>) {
        self.shared.state().failure = failure.into();
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
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.state(), Duration::from_secs(10), |state| {
                state.seen.len() < count
            })
            .unwrap_or_else(PoisonError::into_inner);
        let seen = state.seen.len();
        drop(state);
        assert!(!timeout.timed_out(), "{seen} of {count} requests arrived");
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

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers requests until the client leaves or a failure ends the connection.
    fn converse(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        while let Some(request) = http::read_request(stream)? {
            let failure = {
                let mut state = self.state();
                state.seen.push(request.clone());
                self.changed.notify_all();
                state.failure.clone()
            };
            let open = match failure {
                Some(failure) => self.misbehave(stream, &request, failure)?,
                None => self.answer(stream, &request).map(|()| true)?,
            };
            if !open {
                return Ok(());
            }
        }
        Ok(())
    }

    fn answer(&self, stream: &mut impl Write, request: &Seen) -> io::Result<()> {
        if request.method != "GET" || request.target != "/api/whoami-v2" {
            return refuse(stream, 404, &[]);
        }
        let account = request
            .bearer()
            .and_then(|token| self.state().accounts.get(token).cloned());
        match account {
            Some(account) => http::answer(stream, 200, &[], &account.whoami().to_string()),
            None => refuse(stream, 401, &[]),
        }
    }

    /// Whether the connection is still of use afterwards.
    fn misbehave(
        &self,
        stream: &mut impl Write,
        request: &Seen,
        failure: Failure,
    ) -> io::Result<bool> {
        match failure {
            Failure::Status(status) => refuse(stream, status, &[])?,
            Failure::RateLimited(seconds) => {
                refuse(stream, 429, &[("retry-after", &seconds.to_string())])?;
            }
            Failure::Redirect(url) => http::answer(stream, 307, &[("location", &url)], "")?,
            Failure::Delay(time) => {
                self.wait_for_the_end(Some(time));
                self.answer(stream, request)?;
            }
            Failure::Body(body) => http::answer(stream, 200, &[], &body)?,
            Failure::Hang => {
                self.wait_for_the_end(None);
                return Ok(false);
            }
            Failure::Close => return Ok(false),
            Failure::Garbage => {
                stream.write_all(b"\x00\xff\xfe this is no HTTP\r\n\r\n")?;
                return Ok(false);
            }
            Failure::Endless(length) => {
                http::answer(stream, 200, &[], &"[".repeat(length))?;
            }
        }
        Ok(true)
    }

    /// Sleeps until the Hub is dropped, or for this long.
    fn wait_for_the_end(&self, at_most: Option<Duration>) {
        let at_most = at_most.unwrap_or(Duration::from_secs(600));
        drop(
            self.changed
                .wait_timeout_while(self.state(), at_most, |state| !state.closing)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// An error as the Hub words it: in the body and in a header.
fn refuse(stream: &mut impl Write, status: u16, headers: &[(&str, &str)]) -> io::Result<()> {
    let message = match status {
        401 => "Invalid credentials in Authorization header",
        403 => "Your organisation does not allow this token",
        404 => "Not Found",
        429 => "We had to rate limit your IP",
        _ => "Internal Error - We're working hard to fix this as soon as possible!",
    };
    let body = json!({ "error": message }).to_string();
    let headers: Vec<(&str, &str)> = [headers, &[("x-error-message", message)]].concat();
    http::answer(stream, status, &headers, &body)
}
