//! git's configuration: that it asks hfd for the Hubs, each by its address and no other helper beside it.
//!
//! Written by `git config`, which knows where its files are and leaves every other line as it is. What
//! was written is known again by what it says, so that nothing has to be remembered.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hfd_proto::os::PROGRAM_SUFFIX;
use hfd_proto::{Endpoint, Error, Kind, escape};

use super::PROGRAM;
use crate::environment::Environment;
use crate::os;

/// `credential.helper`, which is asked for every address.
const HELPER: &str = "credential.helper";

/// Which of git's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The person's own.
    Global,
    /// The repository's.
    Local,
    /// What git reads here, from wherever.
    Everything,
}

impl Scope {
    fn option(self) -> Option<&'static str> {
        match self {
            Self::Global => Some("--global"),
            Self::Local => Some("--local"),
            Self::Everything => None,
        }
    }
}

/// The lines about credentials.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    scope: Scope,
    /// Keys and values in git's order; the section and the last part of a key in lower case.
    lines: Vec<(String, String)>,
}

impl Config {
    /// Reads them.
    pub(crate) fn read(scope: Scope) -> Result<Self, Error> {
        let printed = git(scope, &["-z", "--get-regexp", r"^credential\."], &[1])?;
        let text = String::from_utf8_lossy(&printed);
        let lines = text.split_terminator('\0').map(|line| {
            // Without a value it is one of "true", which no helper is.
            let (key, value) = line.split_once('\n').unwrap_or((line, ""));
            (key.to_owned(), value.to_owned())
        });
        Ok(Self {
            scope,
            lines: lines.collect(),
        })
    }

    /// The Hubs for which git asks hfd.
    pub(crate) fn hubs(&self) -> Vec<Endpoint> {
        let mut hubs: Vec<Endpoint> = Vec::new();
        for (key, value) in &self.lines {
            let hub = hub_of(key).filter(|hub| is_ours(value) && !hubs.contains(hub));
            hubs.extend(hub);
        }
        hubs
    }

    /// The programs that it asks as hfd and that are not there.
    pub(crate) fn gone(&self) -> Vec<String> {
        let mut gone: Vec<String> = Vec::new();
        for (key, value) in &self.lines {
            let is_helper = key == HELPER || hub_of(key).is_some();
            let program = value.strip_prefix('!').unwrap_or(value);
            let program = program.strip_suffix(" git credential").unwrap_or(program);
            let program = program.trim_matches('\'');
            let is_gone = Path::new(program).is_absolute() && !Path::new(program).exists();
            if is_helper && is_ours(value) && is_gone && !gone.iter().any(|known| known == program)
            {
                gone.push(program.to_owned());
            }
        }
        gone
    }

    /// Has git ask hfd for a Hub, and nobody else, since git hands what one helper has answered to all the
    /// others to be kept.
    pub(crate) fn set_up(&self, hub: &Endpoint, helper: &str) -> Result<(), Error> {
        if self.is_set_up(hub, helper) {
            return Ok(());
        }
        self.take_out_hub(hub)?;
        let key = format!("credential.{hub}.helper");
        // The empty one takes back all before it (gitcredentials(7)).
        self.write(&["--add", &key, ""])?;
        self.write(&["--add", &key, helper])?;
        // Which repository it is for is told only then.
        let path = Self::read(self.scope)?;
        if path.values(&path_key(hub)).last() != Some(&"true") {
            self.write(&["--add", &format!("credential.{hub}.useHttpPath"), "true"])?;
        }
        Ok(())
    }

    /// Whether git asks hfd for a Hub, and tells nobody else.
    pub(crate) fn is_set_up(&self, hub: &Endpoint, helper: &str) -> bool {
        let key = format!("credential.{hub}.helper");
        // A helper for every address that stands after ours is not taken back by it.
        let is_others = |(key, value): &&(String, String)| key == HELPER && !is_ours(value);
        let after_others = self.lines.iter().rev().take_while(|line| !is_others(line));
        let is_last = after_others
            .into_iter()
            .any(|(theirs, value)| *theirs == key && value == helper);
        let alone = matches!(self.values(&key)[..], [.., "", last] if last == helper);
        is_last && alone && self.values(&path_key(hub)).last() == Some(&"true")
    }

    /// Has `hf auth login --add-to-git-credential` find a helper. Nothing is kept by it, and nothing need
    /// be. Whether it does.
    pub(crate) fn set_up_for_hf(&self, env: &Environment) -> Result<bool, Error> {
        let everything = Self::read(Scope::Everything)?;
        if everything.values(HELPER).iter().any(|value| is_seen(value)) {
            return Ok(true);
        }
        let Some(helper) = seen_helper(env) else {
            return Ok(false);
        };
        self.write(&["--add", HELPER, &helper])?;
        Ok(true)
    }

    /// Takes out what `set_up` and `set_up_for_hf` wrote. Whether there was anything.
    pub(crate) fn take_out(&self) -> Result<bool, Error> {
        for hub in self.hubs() {
            self.take_out_hub(&hub)?;
        }
        let general = self.values(HELPER);
        let mut ours: Vec<_> = general.into_iter().filter(|value| is_ours(value)).collect();
        ours.dedup();
        for value in &ours {
            self.write(&["--fixed-value", "--unset-all", HELPER, value])?;
        }
        Ok(!ours.is_empty() || !self.hubs().is_empty())
    }

    fn take_out_hub(&self, hub: &Endpoint) -> Result<(), Error> {
        let (helper, path) = (format!("credential.{hub}.helper"), path_key(hub));
        let is_helper = |(key, value): &(String, String)| *key == helper && is_ours(value);
        let Some(from) = self.lines.iter().position(is_helper) else {
            return Ok(());
        };
        self.remove_helper(&helper)?;
        // One from before the helper's is not of ours: then none was added.
        let is_path = |(key, value): &(String, String)| *key == path && value == "true";
        if self.lines[from..].iter().any(is_path) {
            self.write(&["--unset-all", &path, "^true$"])?;
        }
        Ok(())
    }

    /// Removes hfd from the helpers of an address, and each time the empty one before it.
    fn remove_helper(&self, key: &str) -> Result<(), Error> {
        let mut others: Vec<&str> = Vec::new();
        let values = self.values(key);
        for value in &values {
            match is_ours(value) {
                true => drop(others.pop_if(|last| last.is_empty())),
                false => others.push(value),
            }
        }
        if others.len() == values.len() {
            return Ok(());
        }
        self.write(&["--unset-all", key])?;
        // One empty value among several cannot be named to git.
        for other in others {
            self.write(&["--add", key, other])?;
        }
        Ok(())
    }

    fn values(&self, key: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|(theirs, _)| theirs == key);
        lines.map(|(_, value)| value.as_str()).collect()
    }

    fn write(&self, words: &[&str]) -> Result<(), Error> {
        git(self.scope, words, &[]).map(drop)
    }
}

/// As git prints it.
fn path_key(hub: &Endpoint) -> String {
    format!("credential.{hub}.usehttppath")
}

/// The Hub that a key is about.
fn hub_of(key: &str) -> Option<Endpoint> {
    let url = key.strip_prefix("credential.")?.strip_suffix(".helper")?;
    Endpoint::parse(url).ok()
}

/// Runs `git config`. A status of `also` is no failure.
fn git(scope: Scope, words: &[&str], also: &[i32]) -> Result<Vec<u8>, Error> {
    let program = os::program("git".as_ref());
    let mut command = Command::new(program);
    command.arg("config").args(scope.option()).args(words);
    let output = os::without_window(&mut command)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(Kind::Other, "git is not installed")
                .hint("install it, or put its directory into PATH"),
            _ => Error::new(Kind::Other, format!("cannot run git: {error}")),
        })?;
    let status = output.status.code();
    if status.is_some_and(|status| status == 0 || also.contains(&status)) {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = escape(said.lines().next().unwrap_or("it says nothing"));
    Err(Error::new(Kind::Other, format!("git config: {said}")))
}

/// How git is told of the helper: by its path where that needs no quoting, and else as a piece of shell.
pub(crate) fn helper(env: &Environment) -> Result<String, Error> {
    let directory = directory(env)?;
    let beside = directory.join(format!("{PROGRAM}{PROGRAM_SUFFIX}"));
    let found = beside.is_file().then(|| text(&beside)).transpose()?;
    Ok(match found {
        Some(path) if path.chars().all(needs_no_quotes) => path,
        Some(path) => format!("!{}", quoted(&path)),
        None => {
            let hfd = text(&directory.join(format!("hfd{PROGRAM_SUFFIX}")))?;
            format!("!{} git credential", quoted(&hfd))
        }
    })
}

/// The same in a form that huggingface_hub sees, where there is one.
fn seen_helper(env: &Environment) -> Option<String> {
    let helper = helper(env).ok().filter(|helper| is_seen(helper));
    let in_path = || on_path(env, PROGRAM).next().map(|_| "hfd".to_owned());
    helper.or_else(in_path)
}

/// Whether huggingface_hub takes a `credential.helper` for one: `[\w\-/]+`, then a space or the end
/// (2.4.0, `_git_credential.py`).
fn is_seen(value: &str) -> bool {
    let word = value.split_ascii_whitespace().next().unwrap_or_default();
    let right = |character: char| character.is_alphanumeric() || "_-/".contains(character);
    !word.is_empty() && word.chars().all(right)
}

/// Whether it is what [`helper`] or [`seen_helper`] says, in whatever directory.
fn is_ours(value: &str) -> bool {
    let (shell, command) = match value.strip_prefix('!') {
        Some(command) => (true, command),
        None => (false, value),
    };
    let name = |path: &str| {
        let path = path.trim_matches('\'');
        let name = path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".exe").unwrap_or(name).to_owned()
    };
    let by_hfd = command.strip_suffix(" git credential");
    match by_hfd.filter(|_| shell) {
        Some(hfd) => name(hfd) == "hfd",
        None => name(command) == PROGRAM || command == "hfd" && !shell,
    }
}

/// Where hfd is, by the name that an upgrade leaves as it is: that of a link in `PATH`, not where it leads
/// to.
fn directory(env: &Environment) -> Result<PathBuf, Error> {
    let cannot = |error: io::Error| Error::new(Kind::Other, format!("where is hfd? {error}"));
    let own = std::env::current_exe().map_err(cannot)?;
    let same = own.canonicalize().map_err(cannot)?;
    let is_own = |path: &PathBuf| path.canonicalize().is_ok_and(|path| path == same);
    let program = on_path(env, "hfd").find(is_own).unwrap_or(own);
    let parent = program.parent().map(Path::to_owned);
    parent.ok_or_else(|| cannot(io::ErrorKind::NotFound.into()))
}

fn on_path(env: &Environment, program: &str) -> impl Iterator<Item = PathBuf> {
    let file = format!("{program}{PROGRAM_SUFFIX}");
    let path: OsString = env.raw("PATH").unwrap_or_default();
    let directories: Vec<_> = std::env::split_paths(&path).collect();
    let directories = directories.into_iter().filter(|path| path.is_absolute());
    directories
        .map(move |directory| directory.join(&file))
        .filter(|path| path.is_file())
}

/// A path as git's shell has it, which on Windows is one of Unix.
fn text(path: &Path) -> Result<String, Error> {
    let text = path.to_str().ok_or_else(|| {
        let path = escape(&path.to_string_lossy());
        Error::new(Kind::Other, format!("{path} is not UTF-8"))
    })?;
    Ok(match cfg!(windows) {
        true => text.replace('\\', "/"),
        false => text.to_owned(),
    })
}

fn needs_no_quotes(character: char) -> bool {
    character.is_ascii_alphanumeric() || "/_-.:+".contains(character)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_setup_writes_is_known_again() {
        for value in [
            "hfd",
            "/usr/bin/git-credential-hfd",
            "C:/hfd/git-credential-hfd.exe",
            "!'/my bin/git-credential-hfd'",
            "!'/my bin/hfd' git credential",
            "!'C:/my bin/hfd.exe' git credential",
        ] {
            assert!(is_ours(value), "{value}");
        }
        for value in [
            "",
            "store",
            "cache --timeout 3",
            "!hfd",
            "/usr/bin/hfd",
            "/usr/bin/git-credential-hfd-x",
            "/usr/bin/git-credential-hfd --x",
            "!'/x/gh' git credential",
        ] {
            assert!(!is_ours(value), "{value}");
        }
    }

    #[test]
    fn what_huggingface_hub_sees() {
        for value in ["hfd", "/usr/bin/git-credential-hfd", "cache --timeout 3"] {
            assert!(is_seen(value), "{value}");
        }
        for value in [
            "",
            "/h/.local/bin/git-credential-hfd",
            "!'/x/hfd' git credential",
        ] {
            assert!(!is_seen(value), "{value}");
        }
    }

    #[test]
    fn a_path_is_quoted_for_the_shell() {
        assert_eq!(quoted("/it's"), r"'/it'\''s'");
    }

    #[test]
    fn the_hub_of_a_line() {
        let hub = |key| hub_of(key).map(|hub| hub.to_string());
        assert_eq!(
            hub("credential.https://hf.co.helper").as_deref(),
            Some("https://hf.co")
        );
        assert_eq!(hub("credential.helper"), None);
        assert_eq!(hub("credential.https://hf.co.username"), None);
    }
}
