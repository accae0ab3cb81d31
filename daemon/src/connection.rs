//! One connection: whose it is, its lines, its replies in order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hfd_proto::os::is_own_peer;
use hfd_proto::{Error, Event, Frames, Hello, Kind, Message, PROTOCOL, Reply, VERSION, encode};
use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroize;

use crate::daemon::Daemon;
use crate::request;

/// From the first byte of a line to its end, and from the hello to the first line: a client that
/// stalls in between does not hold a place. One that is idle between requests may stay.
const LINE: Duration = Duration::from_secs(10);

/// How long a client may leave its replies unread.
const UNREAD: Duration = Duration::from_secs(10);

/// Replies are gathered up to this many bytes while more requests wait, then sent together.
const GATHER: usize = 64 * 1024;

/// Serves one connection to its end. `place` is `None` when all are taken.
pub async fn serve(daemon: Arc<Daemon>, stream: Stream, place: Option<OwnedSemaphorePermit>) {
    let mut connection = Connection {
        stream,
        frames: Frames::new(),
        out: Vec::new(),
        begun: Some(Instant::now()),
    };
    let outcome = match connection.admit(place.is_some()) {
        Ok(()) => connection.converse(&daemon).await,
        Err(error) => connection.refuse(error).await,
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended");
    }
}

struct Connection {
    stream: Stream,
    frames: Frames,
    out: Vec<u8>,
    /// When the line that is not whole yet began to arrive; that is the start for the first one.
    begun: Option<Instant>,
}

/// What a line asks of the connection beyond a reply.
enum Next {
    Continue,
    Watch,
}

impl Connection {
    /// Whether this peer is served: nothing of it was read yet.
    fn admit(&self, place: bool) -> Result<(), Error> {
        let peer = self.stream.peer_creds();
        if !peer.as_ref().is_ok_and(is_own_peer) {
            tracing::warn!(?peer, "refused a connection of another user");
            return Err(Error::new(Kind::Refused, "this daemon serves another user"));
        }
        if !place {
            return Err(
                Error::new(Kind::DaemonUnreachable, "too many connections are open")
                    .hint("end some of the programs that hold one"),
            );
        }
        Ok(())
    }

    /// An error line in the place of the hello, then the end.
    async fn refuse(&mut self, error: Error) -> io::Result<()> {
        encode(&Reply::<()>::Err(error), &mut self.out);
        self.flush().await
    }

    async fn converse(&mut self, daemon: &Arc<Daemon>) -> io::Result<()> {
        let hello = Hello {
            hfd: PROTOCOL.to_vec(),
            daemon: VERSION.to_owned(),
            pid: std::process::id(),
        };
        encode(&hello, &mut self.out);
        self.flush().await?;
        loop {
            let working = daemon.work();
            match self.answer_lines(daemon).await? {
                Next::Continue => {}
                Next::Watch => {
                    drop(working);
                    return self.watch(daemon).await;
                }
            }
            self.flush().await?;
            drop(working);
            if !self.read().await? {
                return Ok(());
            }
        }
    }

    /// Reads more; false at the end of the stream.
    async fn read(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 8192];
        if self.begun.is_none() && self.frames.pending() > 0 {
            self.begun = Some(Instant::now());
        }
        let read = self.stream.read(&mut chunk);
        let length = match self.begun {
            Some(begun) => match timeout_at(begun + LINE, read).await {
                Ok(length) => length?,
                Err(_) => {
                    let slow = Error::new(Kind::TimedOut, "the request was not finished in time");
                    self.refuse(slow).await?;
                    return Ok(false);
                }
            },
            None => read.await?,
        };
        let pushed = self.frames.push(&chunk[..length]);
        // The slice at once: an array is wiped byte by byte, most of them never written.
        chunk[..length].zeroize();
        if let Err(error) = pushed {
            self.refuse(error).await?;
            return Ok(false);
        }
        Ok(length > 0)
    }

    /// Answers every whole line that has arrived, in order.
    async fn answer_lines(&mut self, daemon: &Arc<Daemon>) -> io::Result<Next> {
        loop {
            let Some(line) = self.frames.next_line() else {
                return Ok(Next::Continue);
            };
            self.begun = None;
            match parse(line) {
                Err(error) => encode(&Reply::<()>::Err(error), &mut self.out),
                Ok(Message::Watch(_)) => return Ok(Next::Watch),
                Ok(message) => request::answer(daemon, message, &mut self.out).await,
            }
            if self.out.len() > GATHER {
                self.flush().await?;
            }
        }
    }

    /// Sends what was gathered.
    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = timeout(UNREAD, self.stream.write_all(&self.out)).await;
        self.out.as_mut_slice().zeroize();
        self.out.clear();
        // A long list is not kept for ever.
        self.out.shrink_to(GATHER);
        sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// From here on the connection carries events, until the client leaves.
    async fn watch(&mut self, daemon: &Arc<Daemon>) -> io::Result<()> {
        let mut events = daemon.events.subscribe();
        encode(&Reply::Ok(hfd_proto::Watching {}), &mut self.out);
        self.flush().await?;
        let mut chunk = [0; 64];
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                read = self.stream.read(&mut chunk) => match read? {
                    0 => return Ok(()),
                    _ => continue,
                },
            };
            let event = match event {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => Event {
                    event: "lagged".to_owned(),
                    at: None,
                    name: None,
                    was: None,
                    dir: None,
                    why: None,
                },
                Err(RecvError::Closed) => return Ok(()),
            };
            encode(&event, &mut self.out);
            self.flush().await?;
        }
    }
}

/// A line as a request. The error says where it is wrong and never quotes it, since it may hold a
/// token.
fn parse(line: &[u8]) -> Result<Message, Error> {
    serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        let what = match () {
            () if text.starts_with("unknown variant") => "a request of an unknown kind".to_owned(),
            () if text.starts_with("missing field") => format!("a request with a {text}"),
            () => format!("a malformed request (column {})", error.column()),
        };
        Error::new(Kind::Usage, what).hint("PROTOCOL.md lists the requests and their fields")
    })
}
