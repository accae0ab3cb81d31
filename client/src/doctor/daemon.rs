//! The daemon, its index, its service and its socket.

use std::fs;
use std::path::Path;

use hfd_proto::{Error, LockState, Status, StatusReply, Sync, VERSION};

use super::{Finding, Report};
use crate::autostart::Manager;
use crate::{Context, os, session};

/// The index that a daemon could not read.
const DAMAGED: &str = "damaged";

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
    if damaged_index(context).is_some() {
        return Finding::new("index-damaged", error.message, "hfd doctor --repair");
    }
    Finding::of("daemon-unreachable", error, "hfd service restart")
}

/// The directory of an index that is no JSON.
fn damaged_index(context: &Context) -> Option<std::path::PathBuf> {
    let directory = context.env.place().ok()?.state_dir();
    let index = fs::read(directory.join("index.json")).ok()?;
    let damaged = serde_json::from_slice::<serde::de::IgnoredAny>(&index).is_err();
    let journal = fs::read(directory.join("journal")).unwrap_or_default();
    // A last line may be torn; the others are whole.
    let mut lines = journal.split_inclusive(|byte| *byte == b'\n');
    let torn = lines.any(|line| {
        line.ends_with(b"\n") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err()
    });
    (damaged || torn).then_some(directory)
}

/// Puts an index that no daemon can read aside: the next one makes another from the stores.
pub(super) fn move_damaged_index(context: &Context, report: &mut Report) {
    let Some(directory) = damaged_index(context) else {
        return;
    };
    if session::find_running(&context.env) {
        // It has what it needs in memory, and writes it anew.
        return;
    }
    for name in ["index.json", "journal"] {
        if let Err(error) = put_aside(&directory.join(name)) {
            let path = directory.join(name);
            report.findings.push(Finding::new(
                "index-damaged",
                format!("{} cannot be put aside: {error}", path.display()),
                "move it away",
            ));
        }
    }
}

fn put_aside(path: &Path) -> std::io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".");
    aside.push(DAMAGED);
    match fs::rename(path, aside) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
