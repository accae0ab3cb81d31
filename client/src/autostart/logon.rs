//! What Windows starts when a person logs on: a value below the key `Run` of their part of the registry.
//!
//! It takes no elevation, which a task at logon does, and no window, which an entry of the menu's Startup
//! folder has; the Task Manager shows it among the startup apps, and can switch it off. Nothing
//! watches over the daemon: whoever needs one that has ended starts the next.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hfd_proto::{Error, Kind, Place, Status};

use super::{State, elsewhere};
use crate::environment::Environment;
use crate::os::registry;
use crate::session;
use crate::spawn::{self, Spawner};

/// The value's name.
const VALUE: &str = "hfd";

const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";

/// Where the Task Manager keeps what was switched off: bytes, of which the first is odd then.
const APPROVED: &str = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run";

/// The variables by which a daemon would have other places, and the keys that have them for a session.
const PLACES: [(&str, &str); 4] = [
    ("HFD_SOCKET", "Environment"),
    ("USERPROFILE", "Volatile Environment"),
    ("LOCALAPPDATA", "Volatile Environment"),
    ("APPDATA", "Volatile Environment"),
];

/// The person's logon.
pub(crate) struct Manager {
    place: Place,
    spawner: Spawner,
}

impl Manager {
    /// What messages call the service, and who runs it.
    pub(crate) const NAME: &str = VALUE;
    pub(crate) const TITLE: &str = "Windows";

    /// What tells why a start failed.
    pub(crate) const TELLS_MORE: &str =
        "`hfd service logs` tells more, `hfdd` in the foreground shows it as it happens";

    /// A daemon that was started serves.
    pub(crate) const PATIENCE: Duration = Duration::ZERO;

    pub(crate) fn of(env: &Environment) -> Result<Self, Error> {
        Ok(Self {
            place: env.place()?,
            spawner: Spawner::beside_this_program(env, &["--detach", "--service"]),
        })
    }

    /// The logon, where hfd was installed for it.
    pub(crate) fn where_installed(env: &Environment) -> Option<Self> {
        let manager = Self::of(env).ok()?;
        manager.read().ok()??;
        Some(manager)
    }

    /// Whether another hfdd is installed than the one beside this program. Then it is that one which
    /// serves, whatever its version: replaced by ours, it would be back at the next logon.
    pub(crate) fn runs_another_hfdd(_env: &Environment) -> bool {
        let ours = Self::program().and_then(|program| command(&program).ok());
        match (registry::text(RUN, VALUE), ours) {
            (Ok(Some(theirs)), Some(ours)) => theirs != ours,
            _ => false,
        }
    }

    /// Where the value is.
    pub(crate) fn path(&self) -> &Path {
        Path::new(r"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Run\hfd")
    }

    /// What it says; `None` where there is none.
    pub(crate) fn read(&self) -> Result<Option<String>, Error> {
        registry::text(RUN, VALUE).map_err(|error| cannot("read", &error))
    }

    /// The hfdd that it is to run: the one beside this program.
    pub(crate) fn program() -> Option<PathBuf> {
        spawn::neighbour()
    }

    /// What it should say.
    pub(crate) fn render(&self, program: &Path) -> Result<String, Error> {
        command(program)
    }

    /// Writes the value.
    pub(crate) fn write(&self, content: &str) -> Result<(), Error> {
        registry::set_text(RUN, VALUE, content).map_err(|error| cannot("write", &error))
    }

    /// Removes the value.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        registry::remove(RUN, VALUE).map_err(|error| cannot("write", &error))
    }

    /// A registry always answers.
    pub(crate) fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Fails where the daemon of a logon would have other places than the caller.
    pub(crate) fn check_places(&self, env: &Environment) -> Result<(), Error> {
        for (variable, key) in PLACES {
            let theirs = registry::text(key, variable).map_err(|error| cannot("read", &error))?;
            let ours = env.text(variable).filter(|value| !value.is_empty());
            // What Windows does not tell of is as it sets it.
            let differs = match (&theirs, &ours) {
                (Some(theirs), Some(ours)) => !theirs.eq_ignore_ascii_case(ours),
                (None, ours) => ours.is_some() && key == "Environment",
                (Some(_), None) => true,
            };
            if differs {
                return Err(elsewhere(variable, "a logon", "(setx)"));
            }
        }
        Ok(())
    }

    /// Nothing to do: Windows reads it at the next logon.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Takes back that somebody has switched it off in the Task Manager.
    pub(crate) fn enable(&self) -> Result<(), Error> {
        registry::remove(APPROVED, VALUE).map_err(|error| cannot("write", &error))
    }

    /// Nothing more to do than to remove it.
    pub(crate) fn disable(&self) -> Result<(), Error> {
        self.enable()
    }

    /// Starts the daemon of the session, which takes the place of one that was started on demand.
    pub(crate) fn start(&self) -> Result<(), Error> {
        self.spawner.spawn(&self.place).map(drop)
    }

    /// Nothing to do: the daemon is told on its pipe.
    pub(crate) fn stop(&self) -> Result<(), Error> {
        Ok(())
    }

    /// There is nothing that would remember one.
    pub(crate) fn forget_failures(&self) {}

    pub(crate) fn state(&self) -> Result<State, Error> {
        let approved = registry::bytes(APPROVED, VALUE).map_err(|error| cannot("read", &error))?;
        let switched_off =
            approved.is_some_and(|bytes| bytes.first().is_some_and(|it| it & 1 == 1));
        let pid = self.daemon_of_the_session();
        Ok(State {
            active: if pid.is_some() { "active" } else { "inactive" }.to_owned(),
            enabled: !switched_off && self.read()?.is_some(),
            pid,
        })
    }

    /// The process of a daemon that was started for the session. One that cannot be asked is none.
    fn daemon_of_the_session(&self) -> Option<u32> {
        let mut daemon = session::find(&self.place).ok()??;
        let reply = daemon.request(Status::default()).ok()?;
        reply.service.map(|_| reply.daemon.pid)
    }

    /// None: the daemon writes its own log.
    pub(crate) fn journal(&self, _lines: usize) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }
}

/// What Windows is to run. `conhost --headless`, since a program for consoles would show a window of its own
/// until it has left that.
fn command(program: &Path) -> Result<String, Error> {
    let path = program.to_str().ok_or_else(|| {
        Error::new(
            Kind::Other,
            format!("Windows starts no such path: {}", program.display()),
        )
        .hint("install hfd and hfdd elsewhere")
    })?;
    Ok(format!(
        "conhost.exe --headless \"{path}\" --detach --service"
    ))
}

fn cannot(what: &str, error: &std::io::Error) -> Error {
    Error::new(Kind::Other, format!("cannot {what} the registry: {error}")).hint(
        "a policy of this machine may forbid it; without a service hfd starts its daemon on demand",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_runs_the_hfdd_beside_this_hfd() {
        assert_eq!(
            command(r"C:\Program Files\hfd\hfdd.exe".as_ref()).unwrap(),
            r#"conhost.exe --headless "C:\Program Files\hfd\hfdd.exe" --detach --service"#
        );
    }
}
