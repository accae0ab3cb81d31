//! Ending the daemon, also one that does not answer any more or speaks another protocol.

use std::time::{Duration, Instant};

use hfd_proto::os::process_name;
use hfd_proto::{Connection, Error, Kind, Place, Shutdown, wait_unlocked};

use crate::{os, session};

/// How long a daemon that said it will may take to leave: what the Hub grants at that moment is waited
/// for (36 s), since nobody else has it, and then its last change and replies (6 s).
pub(crate) const FAREWELL: Duration = Duration::from_secs(45);

/// How long one may take that did not answer: a call of the store (5 s) may be under way.
const SILENT: Duration = Duration::from_secs(6);

/// How long the kernel may take to end what was killed.
const KILLED: Duration = Duration::from_secs(2);

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There was none.
    NoneRan,
    /// It left when it was told to.
    Left(u32),
    /// It did not, and was killed.
    Killed(u32),
}

impl Ended {
    /// The daemon that has ended.
    pub(crate) fn pid(self) -> Option<u32> {
        match self {
            Self::NoneRan => None,
            Self::Left(pid) | Self::Killed(pid) => Some(pid),
        }
    }
}

/// Ends the daemon and waits until its lock is free.
pub(crate) fn stop(place: &Place) -> Result<Ended, Error> {
    let told = match session::find(place) {
        Ok(None) if !session::is_held(&place.lock()) => return Ok(Ended::NoneRan),
        Ok(Some(connection)) => tell(connection),
        // It holds the lock and cannot be spoken to.
        Ok(None) | Err(_) => None,
    };
    if let Some(pid) = told
        && has_ended(place, FAREWELL)?
    {
        return Ok(Ended::Left(pid));
    }
    let pid = lock_holder(place)?;
    os::ask_to_end(pid).map_err(|error| cannot_end(pid, &error))?;
    if has_ended(place, SILENT)? {
        return Ok(Ended::Left(pid));
    }
    os::kill(pid).map_err(|error| cannot_end(pid, &error))?;
    if has_ended(place, KILLED)? {
        return Ok(Ended::Killed(pid));
    }
    Err(Error::new(
        Kind::DaemonUnreachable,
        format!("the daemon (pid {pid}) was killed and has not ended"),
    )
    .hint("it waits for a file system that does not answer"))
}

/// Asks it to leave; `None` when it does not understand or answer.
fn tell(mut connection: Connection) -> Option<u32> {
    connection.check_protocol().ok()?;
    let leaving = connection.request(Shutdown {}).ok()?;
    Some(leaving.pid)
}

fn has_ended(place: &Place, patience: Duration) -> Result<bool, Error> {
    wait_unlocked(&place.lock(), Instant::now() + patience).map_err(|error| {
        let lock = place.lock();
        Error::new(
            Kind::DaemonUnreachable,
            format!("cannot examine {}: {error}", lock.display()),
        )
    })
}

/// The process that holds the lock, by its own word. In another PID namespace (a container with
/// the same home) that number is somebody else's, so the name has to be right as well.
fn lock_holder(place: &Place) -> Result<u32, Error> {
    let unknown = || {
        Error::new(
            Kind::DaemonUnreachable,
            format!(
                "a process of another container holds {}",
                place.lock().display()
            ),
        )
        .hint("end the hfdd that runs there")
    };
    let pid = place.lock_file().ok_or_else(unknown)?.pid;
    match process_name(pid).as_deref() {
        Some("hfdd") => Ok(pid),
        _ => Err(unknown()),
    }
}

fn cannot_end(pid: u32, error: &std::io::Error) -> Error {
    Error::new(
        Kind::DaemonUnreachable,
        format!("cannot end the daemon (pid {pid}): {error}"),
    )
}
