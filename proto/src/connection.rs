//! A blocking connection to the daemon.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroize;

use crate::error::{Error, Kind};
use crate::frame::{Frames, encode};
use crate::message::{Event, Hello, Reply, Request};
use crate::os::Stream;
use crate::{PROTOCOL, VERSION};

/// How long the daemon may take to say hello. It does so before anything else, so a longer silence
/// means that it is frozen.
const HELLO: Duration = Duration::from_secs(3);

/// An open connection whose hello was read and whose peer was found to be our own user.
pub struct Connection {
    stream: Stream,
    frames: Frames,
    hello: Hello,
    /// When whoever asks has gone.
    end: Option<Instant>,
}

impl Connection {
    /// Connects to the daemon that listens at `socket`. `Ok(None)` when none does: no such file, or
    /// a stale one.
    pub fn open(socket: &Path) -> Result<Option<Self>, Error> {
        Self::open_until(socket, None)
    }

    /// The same for somebody who waits no longer than this: what is not answered by then fails.
    pub fn open_until(socket: &Path, end: Option<Instant>) -> Result<Option<Self>, Error> {
        let stream = match Stream::connect(socket) {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::NotFound
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::NotADirectory => Ok(None),
                    _ => Err(unreachable(format!(
                        "cannot connect to {}: {error}",
                        socket.display()
                    ))),
                };
            }
        };
        check_peer(&stream, socket)?;
        let mut connection = Self {
            stream,
            frames: Frames::new(),
            hello: Hello {
                hfd: Vec::new(),
                daemon: String::new(),
                pid: 0,
            },
            end,
        };
        connection.patience(HELLO)?;
        let Some(greeting) = connection.line::<Greeting>()? else {
            // It was on its way out: the same as if it had not been there.
            return Ok(None);
        };
        connection.hello = greeting.into_hello()?;
        Ok(Some(connection))
    }

    /// What the daemon said of itself.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Fails unless the daemon speaks a protocol of ours.
    pub fn check_protocol(&self) -> Result<(), Error> {
        if self
            .hello
            .hfd
            .iter()
            .any(|version| PROTOCOL.contains(version))
        {
            return Ok(());
        }
        let (theirs, daemon) = (&self.hello.hfd, &self.hello.daemon);
        Err(Error::new(
            Kind::NoCommonProtocol,
            format!("hfdd {daemon} speaks protocol {theirs:?}, hfd {VERSION} speaks {PROTOCOL:?}"),
        )
        .hint("upgrade the older of the two, then run `hfd service restart`"))
    }

    /// Sends a request and waits for its reply.
    pub fn request<R: Request>(&mut self, request: R) -> Result<R::Reply, Error> {
        self.exchange(request)?.ok_or_else(left)
    }

    /// The same; `None` where the daemon left before it answered, which one that hangs does not.
    pub fn exchange<R: Request>(&mut self, request: R) -> Result<Option<R::Reply>, Error> {
        self.patience(R::PATIENCE)?;
        match self.write(request) {
            Err(error) if has_left(&error) => return Ok(None),
            sent => sent.map_err(|error| lost(&error))?,
        }
        self.line::<Reply<R::Reply>>()?.map(Reply::into).transpose()
    }

    /// Sends a request without waiting; replies come in the order of the requests.
    pub fn send<R: Request>(&mut self, request: R) -> Result<(), Error> {
        self.write(request).map_err(|error| lost(&error))
    }

    /// Waits for the next reply.
    pub fn receive<R: Request>(&mut self) -> Result<R::Reply, Error> {
        self.line::<Reply<R::Reply>>()?.ok_or_else(left)?.into()
    }

    /// The next event of a connection that carries them; waits for ever, `None` when the daemon
    /// has left.
    pub fn event(&mut self) -> Result<Option<Event>, Error> {
        self.stream
            .set_patience(None)
            .map_err(|error| lost(&error))?;
        self.line::<Event>()
    }

    fn patience(&mut self, patience: Duration) -> Result<(), Error> {
        let left = self
            .end
            .map(|end| end.saturating_duration_since(Instant::now()));
        let patience = left.map_or(patience, |left| left.min(patience));
        // Nothing would mean without end to the system.
        if patience.is_zero() {
            return Err(lost(&io::ErrorKind::TimedOut.into()));
        }
        self.stream
            .set_patience(Some(patience))
            .map_err(|error| lost(&error))
    }

    fn write<R: Request>(&mut self, request: R) -> io::Result<()> {
        let mut line = Vec::with_capacity(256);
        encode(&request.into_message(), &mut line);
        let sent = self.stream.write_all(&line);
        line.as_mut_slice().zeroize();
        sent
    }

    fn line<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        // Longer ones cost more to fill and to wipe than most answers are long.
        let mut chunk = [0; 1024];
        loop {
            if let Some(line) = self.frames.next_line() {
                return serde_json::from_slice(line).map(Some).map_err(|error| {
                    // serde_json's message may quote the input; its place and class do not.
                    let (class, column) = (error.classify(), error.column());
                    Error::new(
                        Kind::Other,
                        format!(
                            "the daemon's answer is malformed ({class:?} error at column {column})"
                        ),
                    )
                });
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(length) => {
                    let pushed = self.frames.push(&chunk[..length]);
                    // The slice at once: an array is wiped byte by byte, most of them never written.
                    chunk[..length].zeroize();
                    pushed?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(lost(&error)),
            }
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("hello", &self.hello)
            .finish_non_exhaustive()
    }
}

/// The first line: a hello, or the reason why there is none (too many connections, a foreign peer).
/// Not an untagged enumeration, for which serde keeps a copy of the line as a tree.
#[derive(Deserialize)]
struct Greeting {
    err: Option<Error>,
    hfd: Option<Vec<u32>>,
    daemon: Option<String>,
    pid: Option<u32>,
}

impl Greeting {
    fn into_hello(self) -> Result<Hello, Error> {
        match self {
            Self { err: Some(err), .. } => Err(err),
            Self {
                hfd: Some(hfd),
                daemon: Some(daemon),
                pid: Some(pid),
                ..
            } => Ok(Hello { hfd, daemon, pid }),
            _ => Err(unreachable("what listens there is no hfdd".to_owned())),
        }
    }
}

/// Refuses a server that another user runs: `HFD_SOCKET` may point anywhere, and a path may have
/// been taken by somebody else. Nothing was sent before this.
fn check_peer(stream: &Stream, socket: &Path) -> Result<(), Error> {
    if stream.is_own() {
        return Ok(());
    }
    let socket = socket.display();
    Err(
        Error::new(Kind::Refused, format!("{socket} is served by another user"))
            .hint("unset HFD_SOCKET, or remove that socket"),
    )
}

fn left() -> Error {
    unreachable("the daemon left before it answered".to_owned())
}

fn has_left(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

fn unreachable(message: String) -> Error {
    Error::new(Kind::DaemonUnreachable, message)
        .hint("`hfd service status` tells more, `hfd service restart` starts afresh")
}

fn lost(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Error::new(Kind::DaemonUnreachable, "the daemon does not answer")
                .hint("`hfd service restart` ends it and starts another")
        }
        _ => unreachable(format!("the connection to the daemon broke: {error}")),
    }
}
