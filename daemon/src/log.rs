//! The log: to standard error under a supervisor, else to a file that stays small.
//!
//! Whatever the level, other people's crates speak only from `warn` on (zbus and hyper trace whole
//! messages), and every line is scrubbed of what looks like a credential before it is written.

mod file;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use hfd_proto::{Error, Kind, escape};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Level;
use crate::scrub::scrub;
use file::Rotated;

/// The crates that may speak below `warn`: ours.
const OURS: [&str; 4] = ["hfd_daemon", "hfd_core", "hfd_proto", "hfdd"];

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard error, with times: a supervisor that is not systemd, or a person.
    Stderr,
    /// Standard error that is a stream of the systemd journal, which keeps the time itself and
    /// reads the priority from `<N>` before each line (sd-daemon(3)).
    Journal,
    /// A file, rotated at 1 MiB with one older generation beside it (`.1`).
    File(PathBuf),
}

impl Destination {
    /// The journal where standard error is a stream of it, else the file. `env` is
    /// `std::env::var_os` but in tests.
    ///
    /// `JOURNAL_STREAM` alone says nothing, since a shell under systemd inherits it: it holds the
    /// device and inode that standard error must have (systemd.exec(5)).
    pub fn usual(env: impl Fn(&str) -> Option<std::ffi::OsString>, file: PathBuf) -> Self {
        let stream = env("JOURNAL_STREAM").and_then(|value| value.into_string().ok());
        match stream {
            Some(stream) if is_stream(&stream, io::stderr()) => Self::Journal,
            _ => Self::File(file),
        }
    }
}

fn is_stream(stream: &str, fd: impl AsFd) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Starts the log for the whole process; call it once.
///
/// # Errors
/// [`Kind::Other`] where the file cannot be opened, or a log was started before.
pub fn start(to: Destination, level: Level) -> Result<(), Error> {
    let sink = Sink::open(&to)?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(sink);
    let registry = tracing_subscriber::registry().with(filter(level));
    let started = match to {
        Destination::Journal => registry
            .with(lines.without_time().with_level(false))
            .try_init(),
        Destination::Stderr | Destination::File(_) => registry.with(lines).try_init(),
    };
    started.map_err(|_| Error::new(Kind::Other, "the log was started before"))
}

fn filter(level: Level) -> Targets {
    let level = LevelFilter::from(level);
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|target| (target, level)))
}

/// Where whole lines go.
#[derive(Debug)]
struct Sink {
    out: Out,
    priorities: bool,
}

#[derive(Debug)]
enum Out {
    Stderr,
    File(Mutex<Rotated>),
}

impl Sink {
    fn open(to: &Destination) -> Result<Self, Error> {
        let out = match to {
            Destination::Stderr | Destination::Journal => Out::Stderr,
            Destination::File(path) => Out::File(Mutex::new(Rotated::open(path)?)),
        };
        Ok(Self {
            out,
            priorities: *to == Destination::Journal,
        })
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            sink: self,
            priority: 6,
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        // The priorities of syslog(3): err, warning, info, debug.
        let priority = match *meta.level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            tracing::Level::DEBUG | tracing::Level::TRACE => 7,
        };
        Line {
            sink: self,
            priority,
        }
    }
}

/// One event. The formatter hands it over in a single write.
struct Line<'a> {
    sink: &'a Sink,
    priority: u8,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        // Escaped as a whole, so that an event cannot forge a second line.
        let mut line = escape(&scrub(text.trim_end_matches('\n')));
        line.push('\n');
        if self.sink.priorities {
            line.insert_str(0, &format!("<{}>", self.priority));
        }
        match &self.sink.out {
            Out::Stderr => io::stderr().write_all(line.as_bytes())?,
            Out::File(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(line.as_bytes())?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What a log of this level holds after `events`.
    fn logged(level: Level, priorities: bool, events: impl FnOnce()) -> String {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("hfdd.log");
        let mut sink = Sink::open(&Destination::File(path.clone())).unwrap();
        sink.priorities = priorities;
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_writer(sink);
        let subscriber = tracing_subscriber::registry()
            .with(filter(level))
            .with(lines);
        tracing::subscriber::with_default(subscriber, events);
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn only_our_crates_speak_below_warn() {
        let log = logged(Level::Trace, false, || {
            tracing::trace!(target: "hfd_daemon::hub", "ours");
            tracing::debug!(target: "hfdd", "ours too");
            tracing::info!(target: "zbus::connection", "body of a message");
            tracing::info!(target: "hfd_daemonic", "a stranger");
            tracing::warn!(target: "zbus::connection", "trouble");
        });
        assert!(log.contains("ours") && log.contains("ours too"), "{log}");
        assert!(log.contains("trouble"), "{log}");
        assert!(!log.contains("body"), "{log}");
    }

    #[test]
    fn a_quiet_level_quiets_the_dependencies_too() {
        let log = logged(Level::Error, false, || {
            tracing::warn!(target: "zbus", "trouble");
            tracing::warn!(target: "hfd_core", "ours");
            tracing::error!(target: "zbus", "failure");
        });
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("failure"), "{log}");
    }

    #[test]
    fn every_line_is_scrubbed_and_stays_one_line() {
        let log = logged(Level::Info, false, || {
            let value = "hf_canarycanary";
            tracing::info!(target: "hfdd", field = value, "first {value}\nforged \u{1b}[31m");
        });
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(!log.contains("canary") && log.contains("****"), "{log}");
        assert!(!log.contains('\u{1b}'), "{log}");
    }

    #[test]
    fn the_journal_reads_priorities() {
        let log = logged(Level::Debug, true, || {
            tracing::error!(target: "hfdd", "a");
            tracing::warn!(target: "hfdd", "b");
            tracing::info!(target: "hfdd", "c");
            tracing::debug!(target: "hfdd", "d");
        });
        let priorities: Vec<&str> = log.lines().map(|line| &line[..3]).collect();
        assert_eq!(priorities, ["<3>", "<4>", "<6>", "<7>"]);
    }

    #[test]
    fn the_journal_is_believed_only_where_standard_error_is_its_stream() {
        let file = PathBuf::from("/state/hfdd.log");
        let usual = |stream: Option<String>| {
            Destination::usual(move |_| stream.clone().map(Into::into), file.clone())
        };
        let stat = rustix::fs::fstat(io::stderr()).unwrap();
        let own = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert_eq!(usual(Some(own)), Destination::Journal);
        let expected = Destination::File(Path::new("/state/hfdd.log").to_owned());
        assert_eq!(usual(Some("8:1".to_owned())), expected);
        assert_eq!(usual(None), expected);
    }
}
