//! The daemon, its index, its service and its socket.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hfd_proto::os::{Own, open_own};
use hfd_proto::{Error, Lock, LockState, Status, StatusReply, Sync, VERSION};

use super::{Finding, Report};
use crate::autostart::Manager;
use crate::{Context, os, session};

/// The two files of the index.
const INDEX: &str = "index.json";
const JOURNAL: &str = "journal";

/// How things are, where a daemon answers; it is started where none runs.
pub(super) fn examine(context: &Context, report: &mut Report) -> Option<StatusReply> {
    let status = match ask(context) {
        Ok(status) => status,
        Err(error) => {
            report.findings.push(unreachable(error, context));
            return None;
        }
    };
    report.hfdd = Some(status.daemon.version.clone());
    report.service = status.service.clone();
    let mut find = |what, detail: String, mend: &str| {
        report.findings.push(Finding::new(what, detail, mend));
    };
    if status.daemon.version != VERSION {
        find(
            "other-version",
            format!("hfdd is {}, hfd is {VERSION}", status.daemon.version),
            "hfd service restart",
        );
    }
    if Manager::runs_another_hfdd(&context.env) {
        find(
            "other-hfdd",
            "the service runs another hfdd than the one beside this hfd".to_owned(),
            "hfd service install",
        );
    }
    if status.lock == LockState::Session {
        find("locked", "hfd is locked".to_owned(), "hfd unlock");
    }
    if status.unsettled > 0 {
        let count = status.unsettled;
        find(
            "unsettled",
            format!("{count} changes of a store that did not answer are not settled yet"),
            "mend that store; hfd settles them by itself then",
        );
    }
    if let Some(directory) = status.daemon.socket.parent()
        && let Some((detail, mend)) = os::open_to_others(directory)
    {
        find("socket-open", detail, &mend);
    }
    for attention in &status.attention {
        let name = attention.name.escaped();
        find(
            "token-needs-attention",
            format!("`{name}`: {}", attention.detail),
            "hfd login",
        );
    }
    Some(status)
}

pub(super) fn ask(context: &Context) -> Result<StatusReply, Error> {
    // What a daemon does by itself is not told of as undone, least of all by one that has just been started. What goes
    // wrong with it shows in the status.
    drop(session::ask(&context.env, Sync::default()));
    let home = context.env.home_if_usable();
    let endpoint = context.env.endpoint().ok().flatten();
    session::request(&context.env, Status { home, endpoint })
}

fn unreachable(error: Error, context: &Context) -> Finding {
    if damaged(&error, context).is_some() {
        return Finding::new("index-damaged", error.message, "hfd doctor --repair");
    }
    Finding::of("daemon-unreachable", error, "hfd service restart")
}

/// Which of the index's two files a daemon cannot read: by its own words, or by what stands in it, where only a
/// service manager has heard them.
fn damaged(error: &Error, context: &Context) -> Option<&'static str> {
    let is_json = |line: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
    let directory = context.env.place().ok()?.state_dir();
    let index = fs::read(directory.join(INDEX));
    if index.is_ok_and(|index| !is_json(&index)) {
        return Some(INDEX);
    }
    let journal = fs::read(directory.join(JOURNAL)).unwrap_or_default();
    // A last line may be torn; the others are whole.
    let mut lines = journal.split_inclusive(|byte| *byte == b'\n');
    if lines.any(|line| line.ends_with(b"\n") && !is_json(line)) {
        return Some(JOURNAL);
    }
    let hint = error.hint.as_deref();
    let told = hint.is_some_and(|hint| hint.contains("hfd doctor --repair"));
    told.then(|| match error.message.contains("journal is ") {
        true => JOURNAL,
        false => INDEX,
    })
}

/// Puts aside what no daemon can read of the index: the next one makes another from the stores. Of a journal the lines
/// before the damage stay. Whoever had locked hfd finds it locked.
pub(super) fn mend_index(context: &Context, report: &mut Report) {
    let Ok(place) = context.env.place() else {
        return;
    };
    let directory = place.state_dir();
    let mut was_locked = false;
    for _ in 0..3 {
        let Err(error) = session::connect(&context.env) else {
            break;
        };
        let file = damaged(&error, context).filter(|_| !session::find_running(&context.env));
        let Some(file) = file else {
            break;
        };
        let read = |name| fs::read(directory.join(name)).unwrap_or_default();
        was_locked |= is_locked(&read(INDEX), &read(JOURNAL));
        let names: &[&str] = match file {
            JOURNAL => &[JOURNAL],
            // A journal is of one index.
            _ => &[INDEX, JOURNAL],
        };
        for name in names {
            match put_aside(&directory.join(name)) {
                Ok(aside) => {
                    let aside = aside.map(|path| path.display().to_string());
                    report.set_aside.extend(aside);
                }
                Err(error) => {
                    let path = directory.join(name);
                    report.findings.push(Finding::new(
                        "index-damaged",
                        format!("{} cannot be put aside: {error}", path.display()),
                        "move it away",
                    ));
                    return;
                }
            }
        }
    }
    if was_locked {
        let home = context.env.home_if_usable();
        if let Err(error) = session::request(&context.env, Lock { home }) {
            report
                .findings
                .push(Finding::of("not-locked", error, "hfd lock"));
        }
    }
}

/// Whether the last word of the two is that hfd is locked.
fn is_locked(index: &[u8], journal: &[u8]) -> bool {
    let last = |text: &[u8], word: &str| {
        let mut windows = text.windows(word.len());
        windows.rposition(|window| window == word.as_bytes())
    };
    let (locked, unlocked) = ("\"locked\":true", "\"locked\":false");
    match (last(journal, locked), last(journal, unlocked)) {
        (None, None) => last(index, locked).is_some(),
        (locked, unlocked) => locked > unlocked,
    }
}

/// Gives a file another name, where none is yet; of a journal the good beginning stays in its place.
fn put_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    let content = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        content => content?,
    };
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(".damaged");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    let mut names = (1..).map(named);
    let free = names.find(|name| name.symlink_metadata().is_err());
    let free = free.ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &free)?;
    if path.ends_with(JOURNAL) && path.with_file_name(INDEX).exists() {
        let is_json = |line: &&[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
        let lines = content.split_inclusive(|byte| *byte == b'\n');
        let good: Vec<u8> = lines.take_while(is_json).flatten().copied().collect();
        // Where all of it is JSON, it is of another kind.
        if good.len() < content.len() {
            open_own(path, Own::New)?.write_all(&good)?;
        }
    }
    Ok(Some(free))
}
