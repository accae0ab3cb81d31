//! launchd's domain of the person's session, asked through launchctl(1).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use hfd_proto::{Error, Kind, os};

use super::{State, elsewhere, file, homebrew};
use crate::environment::Environment;

/// The agent's label; its file is called so too.
const LABEL: &str = "co.huggingface.hfd";

/// The agent as packages ship it, with their hfdd.
const TEMPLATE: &str = include_str!("../../../packaging/launchd/co.huggingface.hfd.plist");

/// What is replaced in [`TEMPLATE`].
const PACKAGED: &str = "<string>/usr/local/bin/hfdd</string>";

/// What a session sets for what it starts, and by which a daemon would have other places.
const PLACES: [&str; 2] = ["HFD_SOCKET", "XDG_CONFIG_HOME"];

/// How long an agent may take to end: its own `ExitTimeOut`, and a little.
const ENDS: Duration = Duration::from_secs(55);

/// How long launchd may refuse to load what it has just let go of.
const REFUSED: Duration = Duration::from_secs(5);

/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// launchd, as it serves the calling user's session.
pub(crate) struct Manager {
    /// The file in `~/Library/LaunchAgents`.
    path: PathBuf,
}

impl Manager {
    /// What messages call the service, and who runs it.
    pub(crate) const NAME: &str = LABEL;
    pub(crate) const TITLE: &str = "launchd";

    /// What tells why a start failed.
    pub(crate) const TELLS_MORE: &str =
        "`hfd service logs` tells more, `hfdd` in the foreground shows it as it happens";

    /// How long the daemon may take to answer: launchd says nothing of that.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

    pub(crate) fn of(env: &Environment) -> Result<Self, Error> {
        let home = os::absolute(|name| env.raw(name), os::HOME).ok_or_else(|| {
            Error::new(Kind::Other, "HOME is not an absolute path")
                .hint("set HOME to your home directory")
        })?;
        let path = home.join(format!("Library/LaunchAgents/{LABEL}.plist"));
        Ok(Self { path })
    }

    /// The manager, where hfd was installed as its agent. Whether it answers is another question.
    pub(crate) fn where_installed(env: &Environment) -> Option<Self> {
        let manager = Self::of(env).ok()?;
        manager.path.is_file().then_some(manager)
    }

    /// Whether an agent is installed and runs another hfdd than the one beside this program. Then it is
    /// that one which serves, whatever its version: replaced by ours, it would be back at the next start.
    pub(crate) fn runs_another_hfdd(env: &Environment) -> bool {
        let content = Self::of(env).and_then(|manager| manager.read());
        let ours = Self::program().and_then(|program| argument(&program).ok());
        match (content, ours) {
            (Ok(Some(content)), Some(ours)) => !content.lines().any(|line| line.trim() == ours),
            _ => false,
        }
    }

    /// The agent's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says; `None` where there is none.
    pub(crate) fn read(&self) -> Result<Option<String>, Error> {
        file::read(&self.path)
    }

    /// The hfdd that it is to run: the one beside this program.
    pub(crate) fn program() -> Option<PathBuf> {
        homebrew::neighbour()
    }

    /// What it should say.
    pub(crate) fn render(&self, program: &Path) -> Result<String, Error> {
        Ok(TEMPLATE.replace(PACKAGED, &argument(program)?))
    }

    /// Writes the file.
    pub(crate) fn write(&self, content: &str) -> Result<(), Error> {
        file::write(&self.path, content)
    }

    /// Removes the file.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        file::remove(&self.path)
    }

    /// Fails where there is no session with a screen.
    pub(crate) fn check(&self) -> Result<(), Error> {
        call(&["print", &domain()]).map(drop).map_err(|error| {
            let message = format!("launchd has no session of yours: {}", error.message);
            Error::new(Kind::Other, message).hint(
                "nothing was changed; log in at the screen, since the keychain is locked without that",
            )
        })
    }

    /// Fails where the agent would have other places than the caller.
    pub(crate) fn check_places(&self, env: &Environment) -> Result<(), Error> {
        self.check()?;
        for variable in PLACES {
            // One that is not set may be told as a failure.
            let theirs = call(&["getenv", variable]).unwrap_or_default();
            let ours = env.text(variable).unwrap_or_default();
            if ours != theirs.trim_end_matches('\n') {
                return Err(elsewhere(
                    variable,
                    "launchd's session",
                    &format!("(launchctl setenv {variable} VALUE)"),
                ));
            }
        }
        Ok(())
    }

    /// Nothing to do: the file is read when the agent is loaded.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Takes back that somebody has disabled the agent.
    pub(crate) fn enable(&self) -> Result<(), Error> {
        call(&["enable", &service()]).map(drop)
    }

    /// Nothing to do: without its file there is no agent, and what launchd remembers of a label would
    /// meet the next one.
    pub(crate) fn disable(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Starts the agent, which is ready some time later.
    pub(crate) fn start(&self) -> Result<(), Error> {
        if call(&["print", &service()]).is_ok() {
            return call(&["kickstart", &service()]).map(drop);
        }
        let path = self.path.to_string_lossy();
        // launchd refuses a label that it has not quite let go of.
        let deadline = Instant::now() + REFUSED;
        loop {
            match call(&["bootstrap", &domain(), &path]) {
                Err(_) if Instant::now() < deadline => sleep(PAUSE),
                outcome => return outcome.map(drop),
            }
        }
    }

    /// Stops the agent.
    pub(crate) fn stop(&self) -> Result<(), Error> {
        let asked = call(&["bootout", &service()]);
        // It may have said no more than that this is under way.
        let deadline = Instant::now() + ENDS;
        while call(&["print", &service()]).is_ok() {
            if Instant::now() >= deadline {
                return asked.map(drop);
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    /// launchd remembers none.
    pub(crate) fn forget_failures(&self) {}

    pub(crate) fn state(&self) -> Result<State, Error> {
        let disabled = call(&["print-disabled", &domain()])?;
        // It fails where the agent is not loaded.
        let shown = call(&["print", &service()]).unwrap_or_default();
        Ok(parse_state(&shown, &disabled))
    }

    /// None: the daemon writes its own log.
    pub(crate) fn journal(&self, _lines: usize) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

fn service() -> String {
    format!("{}/{LABEL}", domain())
}

fn call(arguments: &[&str]) -> Result<String, Error> {
    let command = format!("launchctl {}", arguments.join(" "));
    let output = Command::new("launchctl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::new(Kind::Other, format!("cannot run {command}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let told = told.lines().next().unwrap_or("it does not say why");
    Err(Error::new(
        Kind::Other,
        format!("`{command}` failed: {told}"),
    ))
}

/// A path as a property list has it.
fn argument(program: &Path) -> Result<String, Error> {
    let path = program
        .to_str()
        .filter(|path| !path.contains(char::is_control));
    let path = path.ok_or_else(|| {
        Error::new(
            Kind::Other,
            format!("launchd takes no such path: {}", program.display()),
        )
        .hint("install hfd and hfdd elsewhere")
    })?;
    let escaped = path
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    Ok(format!("<string>{escaped}</string>"))
}

/// Reads what `launchctl print` says of the agent, nothing where it is not loaded, and
/// `launchctl print-disabled` of all. Neither is promised to stay as it is: what is not found there counts
/// as not so.
fn parse_state(shown: &str, disabled: &str) -> State {
    let of = |property: &str| {
        let mut lines = shown
            .lines()
            .filter_map(|line| line.trim().split_once(" = "));
        lines
            .find(|(name, _)| *name == property)
            .map(|(_, value)| value)
    };
    let active = match of("state") {
        Some("running") => "active",
        _ => "inactive",
    };
    let is_disabled = |line: &str| {
        let line = line.trim();
        line.starts_with(&format!("\"{LABEL}\"")) && line.ends_with("disabled")
    };
    State {
        active: active.to_owned(),
        enabled: !disabled.lines().any(is_disabled),
        pid: of("pid").and_then(|pid| pid.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_runs_the_hfdd_beside_this_hfd() {
        assert_eq!(TEMPLATE.matches(PACKAGED).count(), 1);
        assert!(TEMPLATE.contains(&format!("<string>{LABEL}</string>")));
        let argument = argument("/a b/<&>/hfdd".as_ref()).unwrap();
        assert_eq!(argument, "<string>/a b/&lt;&amp;&gt;/hfdd</string>");
    }

    #[test]
    fn an_agent_that_runs_is_up_and_has_a_process() {
        let shown = "gui/501/co.huggingface.hfd = {\n\tactive count = 1\n\tstate = running\n\
                     \n\tpid = 4711\n}\n";
        let state = parse_state(
            shown,
            "disabled services = {\n\t\"com.example\" => disabled\n}",
        );
        assert_eq!(
            (state.pid, state.is_up(), state.enabled),
            (Some(4711), true, true)
        );
        let disabled = format!("\t\"{LABEL}\" => disabled\n");
        let state = parse_state("", &disabled);
        assert_eq!(
            (state.pid, state.is_up(), state.enabled),
            (None, false, false)
        );
    }
}
