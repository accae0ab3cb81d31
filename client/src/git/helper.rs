//! The helper itself: `get`, `store` and `erase`.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Component, PathBuf};
use std::process::{self, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use hfd_proto::{Check, Error, Kind, Repository, Request, Secret, Select, Source, Verdict};
use zeroize::Zeroizing;

use super::attributes::Attributes;
use crate::environment::Environment;
use crate::output;
use crate::rules::{self, Said};
use crate::session;

/// How long git is kept waiting. A daemon that has to be started is there in a tenth of it; a keychain
/// that waits for a person, or for ever, is no reason for git to do so.
const PATIENCE: Duration = Duration::from_secs(1);

/// What upstream calls the user of every token (huggingface_hub, `_git_credential.py`): the Hub looks at
/// the password alone.
const ANYBODY: &str = "hf_user";

/// What git reads: it holds a token.
type Answer = Zeroizing<Vec<u8>>;

/// Does what git asks. There is no failure: without an answer git asks the next helper, or a person.
pub(crate) fn run(operation: &OsStr, env: Environment) -> ExitCode {
    // It is read also where nothing is done with it: git may still be writing.
    if let Ok(Some(asked)) = Attributes::read(io::stdin().lock())
        && let Ok(Some(answer)) = answer_to(operation, &asked, &env)
    {
        // git has gone where it cannot be written.
        drop(output::print(&answer));
    }
    ExitCode::SUCCESS
}

fn answer_to(
    operation: &OsStr,
    asked: &Attributes,
    env: &Environment,
) -> Result<Option<Answer>, Error> {
    match operation.to_str() {
        Some("get") => get(asked, env),
        Some("erase") => erase(asked, env),
        // `store`: what is to be kept is kept by a login. And whatever git thinks of next.
        _ => Ok(None),
    }
}

/// Asks the daemon. A thread that looks at the clock would cost a tenth of the whole answer, so there is one only
/// where a daemon has to be started.
fn ask<R: Request + Clone>(env: &Environment, request: R) -> Result<R::Reply, Error> {
    let end = Instant::now() + PATIENCE;
    if let Some(mut connection) = session::at_hand(env, end)
        && let Some(reply) = connection.exchange(request.clone())?
    {
        return Ok(reply);
    }
    let watch = move || {
        thread::sleep(end.saturating_duration_since(Instant::now()));
        process::exit(0);
    };
    let watch = thread::Builder::new().spawn(watch);
    watch.map_err(|error| Error::new(Kind::Other, format!("no thread: {error}")))?;
    session::ask(env, request)
}

/// The token for what git wants to do: one question to the daemon, which knows which token may go to
/// that Hub, whatever `HF_ENDPOINT` says.
fn get(asked: &Attributes, env: &Environment) -> Result<Option<Answer>, Error> {
    let Some(endpoint) = asked.endpoint() else {
        return Ok(None);
    };
    let said = Said::about(&directory(env)?, None, env)?;
    let user = asked.username.as_deref().filter(|user| *user != ANYBODY);
    let question = Select {
        endpoint: Some(endpoint),
        repository: asked.path.as_deref().and_then(Repository::of_path),
        user: user.map(str::to_owned),
        value: true,
        ..Select::default()
    };
    let selected = ask(env, rules::whole(said, question, env)?)?;
    let by_environment = selected
        .considered
        .iter()
        .any(|said| said.source == Source::Environment && said.verdict == Verdict::Chosen);
    let (user, value, ends) = match selected.chosen {
        Some(chosen) => (chosen.user, chosen.token, chosen.expires_at),
        None if by_environment => (None, env.token()?, None),
        None => return Ok(None),
    };
    let user = asked.username.clone().or(user);
    let user = user.as_deref().unwrap_or(ANYBODY);
    Ok(value.and_then(|value| answer(user, &value, ends)))
}

/// Where the person is: git goes to the top of the work tree, and says from where it came.
fn directory(env: &Environment) -> Result<PathBuf, Error> {
    let prefix = env.raw("GIT_PREFIX").map(PathBuf::from);
    let within = prefix.filter(|prefix| {
        prefix
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
    });
    Ok(rules::current_directory()?.join(within.unwrap_or_default()))
}

/// As git reads it; nothing where a value would be more than its line.
fn answer(user: &str, value: &Secret, ends: Option<i64>) -> Option<Answer> {
    if user
        .chars()
        .chain(value.expose().chars())
        .any(char::is_control)
    {
        return None;
    }
    let room = user.len() + value.expose().len() + 128;
    let mut lines = Zeroizing::new(Vec::with_capacity(room));
    let written = writeln!(lines, "username={user}\npassword={}", value.expose());
    let written = written.and_then(|()| match ends {
        Some(end) => writeln!(lines, "password_expiry_utc={end}"),
        None => Ok(()),
    });
    written.ok().map(|()| lines)
}

/// git had a password refused, or somebody logged out: only of the first there is something to look
/// after, and nothing of hfd's is ever removed. (`hf auth logout`, of whichever token, has git erase
/// `hf_user` without a password.)
fn erase(asked: &Attributes, env: &Environment) -> Result<Option<Answer>, Error> {
    let value = asked.password.as_ref().map(|value| Secret::parse(value));
    if let (Some(endpoint), Some(Ok(token))) = (asked.endpoint(), value) {
        ask(env, Check { token, endpoint })?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_lines_and_nothing_more() {
        let value = Secret::parse("hf_x").unwrap();
        let shown = |user, ends| {
            let answer = answer(user, &value, ends);
            answer.map(|lines| String::from_utf8_lossy(&lines).into_owned())
        };
        assert_eq!(
            shown("alice", Some(7)).unwrap(),
            "username=alice\npassword=hf_x\npassword_expiry_utc=7\n"
        );
        assert_eq!(
            shown("hf_user", None).unwrap(),
            "username=hf_user\npassword=hf_x\n"
        );
        for user in ["a\nquit=1", "a\rb", "a\0"] {
            assert_eq!(shown(user, None), None);
        }
    }
}
