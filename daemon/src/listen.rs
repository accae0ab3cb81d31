//! The socket: binding it where only we can reach it, accepting, and staying reachable.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hfd_proto::{Error, Kind, Place};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::clock::boot;
use crate::connection;
use crate::daemon::Daemon;
use crate::lock::Lock;
use crate::{memory, process};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::{Signals, Socket};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::{Signals, Socket};

/// What the system, or a person, tells the daemon by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// A client does not find the socket.
    #[cfg_attr(
        windows,
        expect(dead_code, reason = "a pipe is there as long as its server")
    )]
    Look,
    /// It is to end.
    Leave,
}

/// Connections at a time. Each costs a descriptor and a few KiB; a thousand clients at once are
/// served, a client that leaks connections is stopped.
const CONNECTIONS: usize = 2048;

/// Descriptors for everything else: mirrors, stores, the Hub.
const OWN_FILES: usize = 64;

/// How often lock and socket are looked at. A timer of tokio's costs about three wake-ups each time,
/// and a client that finds the socket gone has the daemon look at once (SIGHUP), so seldom is enough.
const LOOK: Duration = Duration::from_secs(120);

/// How often what was kept for long enough is removed, in seconds: it is promised in days.
const DAY: i64 = 24 * 3600;

/// How long after the last work memory is given back: what comes in a burst is over by then.
const QUIET: Duration = Duration::from_secs(2);

/// So many connections at a time leave behind memory that is worth giving back.
const CROWD: usize = 64;

/// Writes into the lock where the daemon listens.
pub fn announce(lock: &Lock, socket: &Path) -> Result<(), Error> {
    lock.announce(socket)
        .map_err(|error| Error::new(Kind::Other, format!("cannot write the lock file: {error}")))
}

/// Accepts connections until the daemon leaves, then removes the socket.
pub async fn serve(
    daemon: Arc<Daemon>,
    mut socket: Socket,
    mut signals: Signals,
    place: Place,
    lock: &Lock,
    moved: watch::Sender<PathBuf>,
) {
    let connections = process::files().saturating_sub(OWN_FILES).min(CONNECTIONS);
    let places = Arc::new(Semaphore::new(connections));
    let mut look = tokio::time::interval(LOOK);
    let mut quiet = pin!(tokio::time::sleep(QUIET));
    let mut untidy = true;
    let mut tidied = boot();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok(stream) => {
                    let place = Arc::clone(&places).try_acquire_owned().ok();
                    if connections - places.available_permits() > CROWD {
                        daemon.untidy.notify_one();
                    }
                    tokio::spawn(connection::serve(Arc::clone(&daemon), stream, place));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of descriptors: the next one is free when a client leaves.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            _ = look.tick() => match lock.holds() {
                true => {
                    mend(&mut socket, &place, lock, &moved);
                    if boot() - tidied >= DAY {
                        tidied = boot();
                        daemon.engine.tidy();
                    }
                }
                false => break lock_is_gone(),
            },
            () = daemon.untidy.notified() => {
                quiet.as_mut().reset(Instant::now() + QUIET);
                untidy = true;
            }
            () = &mut quiet, if untidy => {
                untidy = false;
                memory::give_back();
            }
            told = signals.next() => match told {
                Told::Look if lock.holds() => mend(&mut socket, &place, lock, &moved),
                Told::Look => break lock_is_gone(),
                Told::Leave => break,
            },
            () = daemon.leave.notified() => break,
        }
    }
    socket.remove();
}

fn lock_is_gone() {
    tracing::warn!("the lock file is gone; another daemon may take over");
}

/// Binds anew where clients do not find the socket any more.
fn mend(socket: &mut Socket, place: &Place, lock: &Lock, moved: &watch::Sender<PathBuf>) {
    if socket.is_there() {
        return;
    }
    let bound = Socket::bind(place).and_then(|bound| {
        *socket = bound;
        announce(lock, socket.path())
    });
    match bound {
        Ok(()) => {
            tracing::info!(socket = %socket.path().display(), "the socket was gone; bound it anew");
            drop(moved.send_replace(socket.path().to_owned()));
        }
        Err(error) => tracing::error!(%error, "the socket is gone and cannot be bound anew"),
    }
}
