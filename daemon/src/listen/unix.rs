//! Unix: a socket in a directory that is ours alone.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hfd_proto::{Error, Kind, Place, private_dir};
use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName as _};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Told;

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
        let checked = checked_path(&directory, parent).join(name);
        remove_stale(&checked).map_err(cannot)?;
        let name = checked
            .as_path()
            .to_fs_name::<GenericFilePath>()
            .map_err(cannot)?;
        let options = ListenerOptions::new()
            .name(name)
            // Its own removal would go by path, and could take the socket of a later daemon.
            .reclaim_name(false);
        let listener = private(options).create_tokio().map_err(cannot)?;
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

    /// The next client.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        self.listener.accept().await
    }

    /// Whether clients still find it.
    pub(super) fn is_there(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file)
    }

    /// Removes the socket file, if it is still this one.
    pub(super) fn remove(&self) {
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

/// The directory through the descriptor that was checked: the path could lead elsewhere by now, and it
/// could be longer than the 108 bytes of a socket address.
#[cfg(target_os = "linux")]
fn checked_path(directory: &File, _path: &Path) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

/// No path leads through a descriptor. What was checked is the person's own directory, in which no
/// other user can change what the path leads to.
#[cfg(not(target_os = "linux"))]
fn checked_path(_directory: &File, path: &Path) -> PathBuf {
    path.to_owned()
}

#[cfg(target_os = "linux")]
fn private(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
    use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
    options.mode(0o600)
}

/// The mode of a socket can only be set after it is bound; its directory lets nobody else in.
#[cfg(not(target_os = "linux"))]
fn private(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
    options
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

    /// The next one. Nothing is lost when it is cancelled.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Look,
            _ = self.terminate.recv() => Told::Leave,
            _ = self.interrupt.recv() => Told::Leave,
        }
    }
}
