//! Windows: a pipe that this person alone can open. Names of pipes are the whole machine's, so that
//! the first one to make it is asked for: where another process has, binding fails.

use std::io;
use std::path::{Path, PathBuf};

use hfd_proto::os::own_sid;
use hfd_proto::{Error, Kind, Place};
use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName as _};
use interprocess::os::windows::local_socket::ListenerOptionsExt as _;
use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
use widestring::U16CString;

use super::Told;

/// The bound pipe.
pub struct Socket {
    listener: Listener,
    path: PathBuf,
}

impl Socket {
    /// Makes the pipe. Call it only while holding the lock.
    pub fn bind(place: &Place) -> Result<Self, Error> {
        let mut last = Error::new(Kind::Other, "there is no name for the pipe");
        for path in place.sockets_to_bind() {
            match listen(&path) {
                Ok(listener) => return Ok(Self { listener, path }),
                Err(error) => last = cannot(&path, &error),
            }
        }
        Err(last)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next client.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        self.listener.accept().await
    }

    /// A pipe is there as long as its server.
    pub(super) fn is_there(&self) -> bool {
        true
    }

    /// It goes with this process.
    pub(super) fn remove(&self) {}
}

fn listen(path: &Path) -> io::Result<Listener> {
    let rules = U16CString::from_str(rules(own_sid())).map_err(io::Error::other)?;
    ListenerOptions::new()
        .name(path.to_fs_name::<GenericFilePath>()?)
        .security_descriptor(SecurityDescriptor::deserialize(&rules)?)
        .create_tokio()
}

/// Who may open the pipe, in the language of security descriptors: this person and the system, and
/// nobody by way of the network. By its SID and not as the owner, who would be the administrators
/// where the daemon was started with raised rights; of medium integrity, so that ordinary programs
/// reach it then, too, and programs of low integrity (a browser's) never. Clients believe the pipe whose
/// owner they are, which nobody can make who is not.
fn rules(sid: &str) -> String {
    format!("O:{sid}D:P(D;;GA;;;NU)(A;;GA;;;{sid})(A;;GA;;;SY)S:(ML;;NW;;;ME)")
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    let error_ = Error::new(
        Kind::Other,
        format!("cannot listen at {}: {error}", path.display()),
    );
    match error.kind() {
        // The first instance was asked for.
        io::ErrorKind::PermissionDenied | io::ErrorKind::AddrInUse => {
            error_.hint("another program has taken that name: end it, or set HFD_SOCKET to another")
        }
        _ => error_,
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What a console, and the end of a session, tell.
#[derive(Debug)]
pub struct Signals {
    ctrl_c: CtrlC,
    ctrl_break: CtrlBreak,
    close: CtrlClose,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Signals {
    /// Begins to receive them.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            ctrl_c: ctrl_c()?,
            ctrl_break: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// The next one. Nothing is lost when it is cancelled.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.ctrl_c.recv() => {}
            _ = self.ctrl_break.recv() => {}
            _ = self.close.recv() => {}
            _ = self.logoff.recv() => {}
            _ = self.shutdown.recv() => {}
        }
        Told::Leave
    }
}
