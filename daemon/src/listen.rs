//! The socket: binding it where only we can reach it, accepting, and staying reachable.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hfd_proto::{Error, Kind, Place, private_dir};
use interprocess::local_socket::tokio::Listener;
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName as _};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::clock::boot;
use crate::connection;
use crate::daemon::Daemon;
use crate::lock::Lock;
use crate::{memory, process};

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

/// The bound socket, whose file is removed only if it is still ours.
pub struct Socket {
    listener: Listener,
    path: PathBuf,
    /// Device and inode of the socket file.
    file: (u64, u64),
}

impl Socket {
    /// Binds the first place that can be used. Call it only while holding the lock: whatever
    /// socket lies there is then a stale one.
    pub fn bind(place: &Place) -> Result<Self, Error> {
        let mut last = Error::new(Kind::Other, "there is no place for the socket");
        for path in place.sockets_to_bind() {
            match Self::bind_at(&path) {
                Ok(socket) => return Ok(socket),
                // A runtime directory of somebody else is not passed over in silence.
                Err(error) if error.kind == Kind::Refused => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn bind_at(path: &Path) -> Result<Self, Error> {
        let cannot = |error: io::Error| {
            Error::new(
                Kind::Other,
                format!("cannot listen at {}: {error}", path.display()),
            )
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(cannot(io::ErrorKind::InvalidInput.into()));
        };
        let directory = private_dir(parent)?;
        // Through the descriptor that was checked: the path could lead elsewhere by now, and it
        // could be longer than the 108 bytes of a socket address.
        let by_descriptor = descriptor_path(&directory).join(name);
        remove_stale(&by_descriptor).map_err(cannot)?;
        let name = by_descriptor
            .as_path()
            .to_fs_name::<GenericFilePath>()
            .map_err(cannot)?;
        let listener = ListenerOptions::new()
            .name(name)
            .mode(0o600)
            // Its own removal would go by path, and could take the socket of a later daemon.
            .reclaim_name(false)
            .create_tokio()
            .map_err(cannot)?;
        let metadata = std::fs::symlink_metadata(path).map_err(cannot)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            file: (metadata.dev(), metadata.ino()),
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn is_there(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file)
    }

    /// Binds anew where the socket file is gone, so that clients find the daemon again.
    fn mend(&mut self, place: &Place, lock: &Lock) -> Result<bool, Error> {
        if self.is_there() {
            return Ok(false);
        }
        *self = Self::bind(place)?;
        announce(lock, &self.path)?;
        tracing::info!(socket = %self.path.display(), "the socket was gone; bound it anew");
        Ok(true)
    }

    /// Removes the socket file, if it is still this one.
    fn remove(&self) {
        if self.is_there()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "the socket file stays");
        }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Writes into the lock where the daemon listens.
pub fn announce(lock: &Lock, socket: &Path) -> Result<(), Error> {
    lock.announce(socket)
        .map_err(|error| Error::new(Kind::Other, format!("cannot write the lock file: {error}")))
}

fn descriptor_path(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The signals that the daemon acts on. They are installed before the lock names its process,
/// since whoever reads that may send one.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to receive them.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
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
            accepted = socket.listener.accept() => match accepted {
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
            _ = signals.hangup.recv() => match lock.holds() {
                true => mend(&mut socket, &place, lock, &moved),
                false => break lock_is_gone(),
            },
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            () = daemon.leave.notified() => break,
        }
    }
    socket.remove();
}

fn lock_is_gone() {
    tracing::warn!("the lock file is gone; another daemon may take over");
}

fn mend(socket: &mut Socket, place: &Place, lock: &Lock, moved: &watch::Sender<PathBuf>) {
    match socket.mend(place, lock) {
        Ok(true) => drop(moved.send_replace(socket.path.clone())),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "the socket is gone and cannot be bound anew"),
    }
}
