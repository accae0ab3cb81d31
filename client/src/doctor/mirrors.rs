//! The directories that are kept in step.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use hfd_proto::os::open_without_waiting;
use hfd_proto::{MirrorState, MirrorStatus, Mode, StatusReply};

use super::{Finding, Report, word};
use crate::os;

pub(super) fn examine(status: &StatusReply, report: &mut Report) {
    for mirror in status
        .mirrors
        .iter()
        .filter(|mirror| mirror.mode != Mode::Off)
    {
        let before = report.findings.len();
        if !mirror.dir.is_dir() {
            // Where there is nothing to show, none is needed yet.
            if status.tokens == 0 {
                continue;
            }
            let dir = mirror.dir.display();
            report.findings.push(Finding::new(
                "mirror-gone",
                format!("the directory {dir} is not there"),
                format!(
                    "make it again, or forget it: hfd mirror remove {}",
                    word(&dir)
                ),
            ));
            continue;
        }
        // A group of one's own may write; the daemon knows which are.
        if mirror.state == MirrorState::Unreadable
            && let Some((detail, mend)) = os::open_to_writers(&mirror.dir)
        {
            report
                .findings
                .push(Finding::new("mirror-writable", detail, mend));
        }
        for name in ["token", "stored_tokens"] {
            let path = mirror.dir.join(name);
            report.findings.extend(of_file(&path));
        }
        // A store that cannot be read keeps it behind.
        let by_store = report
            .findings
            .iter()
            .any(|finding| finding.what.starts_with("store-"));
        let is_behind = mirror.state == MirrorState::Pending;
        if report.findings.len() == before && !(is_behind && by_store) {
            report.findings.extend(of_state(mirror));
        }
    }
}

fn of_file(path: &Path) -> Option<Finding> {
    let shown = path.display();
    let told = |what, (detail, mend): (String, String)| Some(Finding::new(what, detail, mend));
    if let Some(link) = os::link_of_another(path) {
        return told("mirror-foreign-link", link);
    }
    let file = open_without_waiting(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return Some(Finding::new(
            "mirror-no-file",
            format!("{shown} is no regular file"),
            format!(
                "move it away: mv {} {}",
                word(&shown),
                word(format!("{shown}.away"))
            ),
        ));
    }
    if let Some(trouble) = os::of_another(&file, path) {
        return told("mirror-owner", trouble);
    }
    if let Some(trouble) = os::hard_links(&file, path) {
        return told("mirror-hard-link", trouble);
    }
    if let Some(trouble) = os::open_to_readers(&file, path) {
        return told("mirror-mode", trouble);
    }
    if path.ends_with("stored_tokens") && is_json(&file) {
        return Some(Finding::new(
            "mirror-json",
            format!(
                "{shown} was written as JSON by another tool, which Python tools take for empty"
            ),
            format!(
                "have hfd write it anew: mv {} {} && hfd sync",
                word(&shown),
                word(format!("{shown}.json"))
            ),
        ));
    }
    None
}

/// Whether it begins as JSON does, which no file of sections does.
fn is_json(file: &File) -> bool {
    let mut start = [0; 64];
    let mut limited = file.take(64);
    let read = limited.read(&mut start).unwrap_or(0);
    start[..read].trim_ascii_start().first() == Some(&b'{')
}

/// What the daemon says of one in whose files nothing is to be seen.
fn of_state(mirror: &MirrorStatus) -> Option<Finding> {
    let dir = mirror.dir.display();
    let detail = || {
        let detail = mirror
            .detail
            .clone()
            .unwrap_or_else(|| "it is not in step".to_owned());
        format!("{dir}: {detail}")
    };
    let state = mirror.state.known()?;
    Some(match state {
        MirrorState::InSync => return None,
        MirrorState::Unreadable => Finding::new("mirror-unreadable", detail(), {
            let file = format!("{dir}/stored_tokens");
            format!(
                "mend the file by hand, or have it written anew: mv {} {} && hfd sync",
                word(&file),
                word(format!("{file}.away"))
            )
        }),
        MirrorState::Absent => Finding::new(
            "mirror-gone",
            detail(),
            format!("hfd mirror remove {}", word(&dir)),
        ),
        MirrorState::Waiting => Finding::new(
            "mirror-frozen",
            detail(),
            "mend that file system; hfd goes on by itself then",
        ),
        MirrorState::Pending | MirrorState::Conflict => {
            Finding::new("mirror-behind", detail(), "hfd sync")
        }
    })
}
