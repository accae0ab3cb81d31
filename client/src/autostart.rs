//! The daemon as a service of the person's sessions: systemd's on Linux, launchd's on macOS, and what
//! Windows starts at logon. Each has a `Manager` with the same methods.

use hfd_proto::{Error, Kind};

#[cfg(unix)]
mod file;
#[cfg(unix)]
mod homebrew;

#[cfg(target_os = "linux")]
mod systemd;
#[cfg(target_os = "linux")]
mod unit;
#[cfg(target_os = "linux")]
pub(crate) use systemd::Manager;

#[cfg(all(unix, not(target_os = "linux")))]
mod launchd;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use launchd::Manager;

#[cfg(windows)]
mod logon;
#[cfg(windows)]
pub(crate) use logon::Manager;

/// How the manager sees the service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// `active`, `inactive`, and on Linux what else systemd knows: `failed`, `activating`,
    /// `deactivating`.
    pub(crate) active: String,
    /// Whether it starts with a session.
    pub(crate) enabled: bool,
    /// The daemon's process, where the service runs one.
    pub(crate) pid: Option<u32>,
}

impl State {
    /// Whether there is something to stop: a daemon, or the wait before the next one.
    pub(crate) fn is_up(&self) -> bool {
        !matches!(self.active.as_str(), "inactive" | "failed")
    }
}

/// What keeps an installation from here: the service would have other places than the caller.
///
/// Writing the caller's value into the service would serve this shell alone: what the desktop starts has
/// the session's environment, and would look for hfd, and start another, somewhere else.
fn elsewhere(variable: &str, session: &str, hint: &str) -> Error {
    let message = format!(
        "{variable} is another one here than in {session}, so the service would not be found from here"
    );
    Error::new(Kind::Refused, message).hint(format!(
        "unset {variable}, or set it for the whole session {hint} and log in again"
    ))
}
