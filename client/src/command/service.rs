//! `hfd service`

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use clap::Subcommand;
use hfd_proto::{DaemonStatus, Error, Hello, Kind, escape};
use serde::Serialize;

use super::status;
use crate::failure::Failure;
use crate::output::{Answer, Page, print};
use crate::stop::{Ended, stop};
use crate::{Context, session, time};

/// How much of the log is looked at: some thousand lines.
const LOG_TAIL: u64 = 512 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the daemon if it does not run
    Start,
    /// End the daemon
    Stop,
    /// End the daemon and start it again
    Restart,
    /// Show whether the daemon runs
    Status,
    /// Show the end of the daemon's log
    Logs {
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 100, value_name = "NUMBER")]
        lines: usize,
    },
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let place = context.env.place()?;
    match command {
        Command::Start => start(context),
        Command::Stop => context.output.answer(&Stopped(stop(&place)?)),
        Command::Restart => {
            stop(&place)?;
            start(context)
        }
        Command::Status => {
            let reply = status::ask(context)?;
            let (daemon, service) = match &reply {
                Some(reply) => (Some(&reply.daemon), reply.service.as_deref()),
                None => (None, None),
            };
            context.output.answer(&Running { daemon, service })
        }
        Command::Logs { lines } => print(tail(&place.log(), lines)?.as_bytes()),
    }
}

fn start(context: &Context) -> Result<(), Failure> {
    let connection = session::connect(&context.env)?;
    context.output.answer(&Started(connection.hello()))
}

/// The last lines of the log, escaped: names in it come from elsewhere.
fn tail(path: &Path, lines: usize) -> Result<String, Error> {
    let cannot = |error: std::io::Error| {
        let path = path.display();
        Error::new(Kind::Other, format!("cannot read the log {path}: {error}"))
            .hint("a daemon run by systemd logs to its journal: journalctl --user -u hfd")
    };
    let mut file = File::open(path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    let start = length.saturating_sub(LOG_TAIL);
    file.seek(SeekFrom::Start(start)).map_err(cannot)?;
    let mut content = Vec::new();
    file.take(LOG_TAIL)
        .read_to_end(&mut content)
        .map_err(cannot)?;
    let content = String::from_utf8_lossy(&content);
    let mut kept: Vec<&str> = content.lines().rev().take(lines).collect();
    kept.reverse();
    Ok(kept.into_iter().map(|line| escape(line) + "\n").collect())
}

/// A daemon that runs now.
struct Started<'a>(&'a Hello);

impl Serialize for Started<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document<'a> {
            pid: u32,
            version: &'a str,
        }
        let (pid, version) = (self.0.pid, self.0.daemon.as_str());
        Document { pid, version }.serialize(serializer)
    }
}

impl Answer for Started<'_> {
    fn human(&self, page: &mut Page) {
        let (pid, version) = (self.0.pid, escape(&self.0.daemon));
        page.line(&format!("hfdd {version} runs, pid {pid}."));
    }
}

/// A daemon that does not run any more.
struct Stopped(Ended);

impl Serialize for Stopped {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Document {
            pid: Option<u32>,
            forced: bool,
        }
        let (pid, forced) = match self.0 {
            Ended::NoneRan => (None, false),
            Ended::Left(pid) => (Some(pid), false),
            Ended::Killed(pid) => (Some(pid), true),
        };
        Document { pid, forced }.serialize(serializer)
    }
}

impl Answer for Stopped {
    fn human(&self, page: &mut Page) {
        match self.0 {
            Ended::NoneRan => page.line("No daemon runs."),
            Ended::Left(pid) => page.line(&format!("The daemon (pid {pid}) has ended.")),
            Ended::Killed(pid) => page.line(&format!(
                "The daemon (pid {pid}) did not answer and was killed; \
                 the next one finishes what it had begun."
            )),
        }
    }
}

#[derive(Serialize)]
struct Running<'a> {
    daemon: Option<&'a DaemonStatus>,
    service: Option<&'a str>,
}

impl Answer for Running<'_> {
    fn human(&self, page: &mut Page) {
        let Some(daemon) = self.daemon else {
            page.line("No daemon runs.");
            return;
        };
        let (version, up) = (escape(&daemon.version), time::span(daemon.uptime_s));
        let by = match self.service {
            Some(service) => format!("run by {}", escape(service)),
            None => "started on demand".to_owned(),
        };
        page.line(&format!(
            "hfdd {version} runs, pid {}, up {up}, {by}.",
            daemon.pid
        ));
    }
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
