//! `hfd service logs`: the journal of the service, or the file of a daemon started on demand.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use hfd_proto::{Error, Kind, escape};

use crate::Context;
use crate::autostart::Manager;
use crate::command::status;
use crate::failure::Failure;
use crate::output::print;

/// How much of the log is looked at: some thousand lines.
const TAIL: u64 = 512 * 1024;

pub(super) fn run(lines: usize, context: &Context) -> Result<(), Failure> {
    let journal = match journal(context) {
        Some(manager) => manager.journal(lines)?,
        None => None,
    };
    let text = match journal {
        Some(journal) => shown(&journal, lines),
        None => tail(&context.env.place()?.log(), lines)?,
    };
    if text.is_empty() {
        context
            .output
            .note("there is nothing in the log, or nothing that you may read");
    }
    print(text.as_bytes())
}

/// Whose journal to show: that of the service, where it runs the daemon, or would.
fn journal(context: &Context) -> Option<Manager> {
    let installed = Manager::where_installed(&context.env);
    // A daemon that cannot be asked is one to read the log of.
    match status::ask(context) {
        Ok(Some(reply)) if reply.service.is_some() => Manager::of(&context.env).ok(),
        Ok(Some(_)) => None,
        Ok(None) | Err(_) => installed,
    }
}

fn tail(path: &Path, lines: usize) -> Result<String, Error> {
    let cannot = |error: std::io::Error| {
        let path = path.display();
        Error::new(Kind::Other, format!("cannot read the log {path}: {error}"))
            .hint("it is written by a daemon that was started on demand")
    };
    let mut file = File::open(path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start)).map_err(cannot)?;
    let mut content = Vec::new();
    file.take(TAIL).read_to_end(&mut content).map_err(cannot)?;
    Ok(shown(&content, lines))
}

/// The last lines, escaped: names in them come from elsewhere.
fn shown(content: &[u8], lines: usize) -> String {
    let content = String::from_utf8_lossy(content);
    let mut kept: Vec<&str> = content.lines().rev().take(lines).collect();
    kept.reverse();
    kept.into_iter().map(|line| escape(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_log_is_shown_escaped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(tail(&path, 2).unwrap_err().kind, Kind::Other);
        std::fs::write(&path, "one\ntwo\nthree \u{1b}[2J\n").unwrap();
        assert_eq!(tail(&path, 2).unwrap(), "two\nthree \\u{1b}[2J\n");
        assert_eq!(tail(&path, 9).unwrap().lines().count(), 3);
    }
}
