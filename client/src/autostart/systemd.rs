//! systemd's user manager, asked through systemctl(1).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hfd_proto::{Error, Kind};

use super::{State, elsewhere, file, homebrew, unit};
use crate::environment::Environment;
use crate::spawn;

/// The unit's name.
pub(super) const UNIT: &str = "hfd.service";

/// How long the manager may take to answer a call. A start is waited for longer: the unit says how
/// long.
const ANSWER: &str = "10s";

/// The manager of the calling user.
pub(crate) struct Manager {
    /// The unit file.
    path: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Manager {
    /// What messages call the service, and who runs it.
    pub(crate) const NAME: &str = UNIT;
    pub(crate) const TITLE: &str = "systemd";

    /// What tells why a start failed. Not `hfd service logs`, which knows of a journal only while there
    /// is a service.
    pub(crate) const TELLS_MORE: &str = "`journalctl --user-unit=hfd.service` tells more, \
                                         `hfdd` in the foreground shows it as it happens";

    /// How long the manager may take for one that has crashed to be running: it says so until it
    /// has been told of the end. Where the service has other places than we, this is waited for nothing.
    pub(crate) const PATIENCE: Duration = Duration::from_millis(250);

    pub(crate) fn of(env: &Environment) -> Result<Self, Error> {
        let path = unit::path(env).ok_or_else(|| {
            Error::new(
                Kind::Other,
                "neither HOME nor XDG_CONFIG_HOME is an absolute path",
            )
            .hint("set HOME to your home directory")
        })?;
        let mut environment: Vec<_> = spawn::passed_on(env).collect();
        // su and cron set none, and the manager may run all the same.
        if env.raw("XDG_RUNTIME_DIR").is_none() {
            let uid = rustix::process::getuid().as_raw();
            environment.push(("XDG_RUNTIME_DIR".into(), format!("/run/user/{uid}").into()));
        }
        environment.push(("SYSTEMD_BUS_TIMEOUT".into(), ANSWER.into()));
        Ok(Self { path, environment })
    }

    /// The manager, where hfd was installed as its service: by `hfd service install`, or by whoever enabled the
    /// unit of a package. Whether it answers is another question.
    pub(crate) fn where_installed(env: &Environment) -> Option<Self> {
        let manager = Self::of(env).ok()?;
        let path = unit::installed(&manager.path)?;
        Some(Self { path, ..manager })
    }

    /// Whether a service is installed and runs another hfdd than the one beside this program. Then it is
    /// that one which serves, whatever its version: replaced by ours, it would be back at the next start.
    pub(crate) fn runs_another_hfdd(env: &Environment) -> bool {
        unit::runs_another_hfdd(env)
    }

    /// The unit file, or the link to a package's.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the unit file says; `None` where there is none.
    pub(crate) fn read(&self) -> Result<Option<String>, Error> {
        unit::read(&self.path)
    }

    /// The hfdd that it is to run: the one beside this program.
    pub(crate) fn program() -> Option<PathBuf> {
        homebrew::neighbour()
    }

    /// What it should say.
    pub(crate) fn render(&self, program: &Path) -> Result<String, Error> {
        unit::render(program)
    }

    /// Writes the unit file.
    pub(crate) fn write(&self, content: &str) -> Result<(), Error> {
        file::write(&self.path, content)
    }

    /// Removes the unit file.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        file::remove(&self.path)
    }

    /// Fails where the service is not the user's own, or the manager does not answer.
    pub(crate) fn check(&self) -> Result<(), Error> {
        unit::check_own(&self.path)?;
        self.environment().map(drop)
    }

    /// Fails where a service would have other places than the caller.
    pub(crate) fn check_places(&self, env: &Environment) -> Result<(), Error> {
        let theirs = self.environment()?;
        match unit::differing(env, &theirs) {
            None => Ok(()),
            Some(variable) => Err(elsewhere(
                variable,
                "systemd's user manager",
                "in ~/.config/environment.d (environment.d(5))",
            )),
        }
    }

    /// The environment that it gives its services.
    fn environment(&self) -> Result<BTreeMap<OsString, OsString>, Error> {
        let shown = self.call(&["show-environment"]).map_err(no_manager)?;
        Ok(parse_environment(&shown))
    }

    /// Has it read the unit files again.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        self.call(&["daemon-reload"]).map(drop)
    }

    /// Starts the unit with every session from now on.
    pub(crate) fn enable(&self) -> Result<(), Error> {
        self.call(&["enable", "--quiet", UNIT]).map(drop)
    }

    /// Leaves it to others to start the unit.
    pub(crate) fn disable(&self) -> Result<(), Error> {
        self.call(&["disable", "--quiet", UNIT]).map(drop)
    }

    /// Starts the unit, and waits until its daemon is ready.
    pub(crate) fn start(&self) -> Result<(), Error> {
        self.call(&["start", UNIT]).map(drop)
    }

    /// Stops the unit, and waits until its daemon has ended.
    pub(crate) fn stop(&self) -> Result<(), Error> {
        self.call(&["stop", UNIT]).map(drop)
    }

    /// Forgets failed starts, which forbid further ones for a while. A unit that was not started yet
    /// has none to forget, which is an error to systemctl.
    pub(crate) fn forget_failures(&self) {
        let _ = self.call(&["reset-failed", UNIT]);
    }

    pub(crate) fn state(&self) -> Result<State, Error> {
        let properties = "--property=ActiveState,UnitFileState,MainPID";
        Ok(parse_state(&self.call(&["show", properties, UNIT])?))
    }

    /// The last messages of the unit, oldest first, as journalctl(1) shows them.
    ///
    /// By `--user-unit`, because `--user` looks at the user's own journal alone, and where the
    /// journal is not kept on disk there is none.
    pub(crate) fn journal(&self, lines: usize) -> Result<Option<Vec<u8>>, Error> {
        let lines = format!("--lines={lines}");
        let unit = format!("--user-unit={UNIT}");
        let arguments = ["--no-pager", "--quiet", "--output=short-iso", &lines, &unit];
        let output = self.run("journalctl", &arguments)?;
        succeeded("journalctl", output).map(Some)
    }

    fn call(&self, arguments: &[&str]) -> Result<Vec<u8>, Error> {
        let common = ["--user", "--no-pager", "--no-ask-password"];
        let arguments: Vec<&str> = common.iter().chain(arguments).copied().collect();
        let output = self.run("systemctl", &arguments)?;
        succeeded(
            &format!("systemctl {}", arguments[common.len()..].join(" ")),
            output,
        )
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Output, Error> {
        let output = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output();
        output.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(
                Kind::Other,
                format!("there is no {program}: this machine is not run by systemd"),
            ),
            _ => Error::new(Kind::Other, format!("cannot run {program}: {error}")),
        })
    }
}

fn no_manager(error: Error) -> Error {
    let message = format!("systemd's user manager does not answer: {}", error.message);
    Error::new(Kind::Other, message).hint(
        "nothing was changed; without a service hfd starts its daemon on demand, \
         and `loginctl enable-linger` lets a server have a user manager",
    )
}

fn succeeded(command: &str, output: Output) -> Result<Vec<u8>, Error> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let told = told.lines().next().unwrap_or("it does not say why");
    Err(Error::new(
        Kind::Other,
        format!("`{command}` failed: {told}"),
    ))
}

/// The answer of `systemctl show-environment`: values that a shell would misread are in `$'…'`.
/// Of the escapes in there only those of paths matter; any other leaves a value that equals none.
fn parse_environment(answer: &[u8]) -> BTreeMap<OsString, OsString> {
    let lines = answer.split(|byte| *byte == b'\n');
    let variables = lines.filter_map(|line| {
        let equals = line.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&line[..equals], &line[equals + 1..]);
        let quoted = value.strip_prefix(b"$'").and_then(|v| v.strip_suffix(b"'"));
        let value = quoted.map_or_else(|| value.to_vec(), unescape);
        Some((
            OsStr::from_bytes(name).to_owned(),
            OsString::from_vec(value),
        ))
    });
    variables.collect()
}

fn unescape(quoted: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(b'\\' | b'\'')) => value.extend(bytes.next()),
            _ => value.push(byte),
        }
    }
    value
}

fn parse_state(answer: &[u8]) -> State {
    let answer = String::from_utf8_lossy(answer);
    let of = |property: &str| {
        let mut lines = answer.lines().filter_map(|line| line.split_once('='));
        let value = lines.find(|(name, _)| *name == property);
        value.map_or_else(String::new, |(_, value)| value.to_owned())
    };
    State {
        active: of("ActiveState"),
        enabled: of("UnitFileState") == "enabled",
        // 0 where there is none.
        pid: of("MainPID").parse().ok().filter(|pid| *pid != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_managers_environment_is_read_as_it_is_shown() {
        let shown = b"HOME=/home/a\nXDG_STATE_HOME=$'/home/a b\\'c\\\\d'\nEMPTY=\nODD=$'a\\nb'\n";
        let environment = parse_environment(shown);
        let of = |name: &str| environment[OsStr::new(name)].to_str();
        assert_eq!(of("HOME"), Some("/home/a"));
        assert_eq!(of("XDG_STATE_HOME"), Some("/home/a b'c\\d"));
        assert_eq!(of("EMPTY"), Some(""));
        assert_eq!(of("ODD"), Some("a\\nb"));
    }

    #[test]
    fn a_unit_that_runs_is_up_and_has_a_process() {
        let state = parse_state(b"MainPID=4711\nActiveState=active\nUnitFileState=enabled\n");
        assert_eq!((state.pid, state.is_up()), (Some(4711), true));
        assert!(state.enabled);
        let state = parse_state(b"MainPID=0\nActiveState=failed\n");
        assert_eq!((state.pid, state.is_up()), (None, false));
        let waiting = parse_state(b"MainPID=0\nActiveState=activating\n");
        assert!(waiting.is_up(), "the next one is about to be started");
    }
}
