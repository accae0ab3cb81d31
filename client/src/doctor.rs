//! What may be wrong, each with its mend. Nothing here tells a secret: a report can be shown to anybody.

mod daemon;
mod environment;
mod git;
mod mirrors;
mod stores;

use std::path::Path;

use hfd_proto::{Error, StatusReply, StoreEntry, TokenName, VERSION};
use serde::Serialize;

use crate::Context;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What it is, as a word for programs.
    pub(crate) what: &'static str,
    /// What it is, as a sentence without its end.
    pub(crate) detail: String,
    /// What to do about it.
    pub(crate) mend: String,
}

impl Finding {
    fn new(what: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            what,
            detail: detail.into(),
            mend: mend.into(),
        }
    }

    /// What an error tells, with its hint as the mend.
    fn of(what: &'static str, error: Error, mend: &str) -> Self {
        let hint = error.hint.unwrap_or_else(|| mend.to_owned());
        Self::new(what, error.message, hint)
    }
}

/// Everything that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The client's version.
    pub(crate) hfd: &'static str,
    /// The daemon's; null where none answers.
    pub(crate) hfdd: Option<String>,
    /// The service manager that runs it; null for one that was started on demand.
    pub(crate) service: Option<String>,
    /// Each store, and how long a value took to be written, read and removed.
    pub(crate) stores: Vec<StoreEntry>,
    /// Files of a damaged index that the repair has put aside: what was in them alone is known no more, such as which
    /// directories were mirrors.
    pub(crate) set_aside: Vec<String>,
    /// What the repair brought back.
    pub(crate) repaired: Vec<TokenName>,
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
}

/// What is asked for beside the usual.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes {
    /// Whether the index is to be made anew from the stores.
    pub(crate) repair: bool,
    /// Whether the Hub is to be asked.
    pub(crate) hub: bool,
}

/// Looks at everything. What cannot be looked at is a finding, too.
pub(crate) fn examine(wishes: Wishes, context: &Context) -> Report {
    let mut report = Report {
        hfd: VERSION,
        hfdd: None,
        service: None,
        stores: Vec::new(),
        set_aside: Vec::new(),
        repaired: Vec::new(),
        findings: Vec::new(),
    };
    if wishes.repair {
        daemon::mend_index(context, &mut report);
    }
    if let Some(status) = daemon::examine(context, &mut report) {
        stores::examine(wishes.repair, context, &mut report);
        let status = after_repair(wishes.repair, status, context);
        mirrors::examine(&status, &mut report);
        environment::examine(&status, context, &mut report);
        if wishes.hub {
            environment::ask_hub(&status, context, &mut report);
        }
    }
    git::examine(context, &mut report);
    hide_home(&mut report, context);
    report
}

/// A repair has the mirrors looked at again.
fn after_repair(repair: bool, status: StatusReply, context: &Context) -> StatusReply {
    match repair {
        true => daemon::ask(context).unwrap_or(status),
        false => status,
    }
}

/// Paths do not tell whose home they are in.
fn hide_home(report: &mut Report, context: &Context) {
    let set = |name: &&str| context.env.raw(name).is_some();
    let home = ["HOME", "USERPROFILE"].into_iter().find(set);
    let home = home.and_then(|name| context.env.text(name));
    let Some(home) = home.filter(|home| Path::new(home).is_absolute() && home != "/") else {
        return;
    };
    // A shell knows it outside of quotes alone.
    let quoted = format!("'{home}/");
    let hidden = |text: &str| text.replace(&quoted, "~/'").replace(&home, "~");
    for finding in &mut report.findings {
        finding.detail = hidden(&finding.detail);
        finding.mend = hidden(&finding.mend);
    }
    for path in &mut report.set_aside {
        *path = hidden(path);
    }
    for store in &mut report.stores {
        store.detail = store.detail.as_deref().map(hidden);
        store.hint = store.hint.as_deref().map(hidden);
        if let Some(error) = store.probe.as_mut().and_then(|probe| probe.error.as_mut()) {
            error.message = hidden(&error.message);
            error.hint = error.hint.as_deref().map(hidden);
        }
    }
}

/// A word of a command to be pasted into a shell, whatever is in it.
pub(crate) fn word(text: impl std::fmt::Display) -> String {
    let text = text.to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./~-".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_word_is_one_word() {
        assert_eq!(word("/home/a/.cache"), "/home/a/.cache");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's; rm -r ~"), r"'it'\''s; rm -r ~'");
        assert_eq!(word(""), "''");
    }
}
