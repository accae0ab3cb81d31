//! The log: to standard error under a supervisor, else to a file that stays small.
//!
//! Whatever the level, other people's crates speak only from `warn` on (zbus and hyper trace whole
//! messages), and every line is scrubbed of what looks like a credential before it is written.

mod file;

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use hfd_proto::{Error, Kind, escape};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber, span};

use crate::config::Level;
use crate::os::is_stream;
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
    /// What standard error is. `env` is `std::env::var_os` but in tests.
    ///
    /// `JOURNAL_STREAM` alone says nothing, since a shell under systemd inherits it: it holds the
    /// device and inode that standard error must have (systemd.exec(5)).
    pub fn of_stderr(env: impl Fn(&str) -> Option<std::ffi::OsString>) -> Self {
        let stream = env("JOURNAL_STREAM").and_then(|value| value.into_string().ok());
        match stream {
            Some(stream) if is_stream(&stream, io::stderr()) => Self::Journal,
            _ => Self::Stderr,
        }
    }
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
    let log = Log::new(&to, level)?;
    tracing::subscriber::set_global_default(log)
        .map_err(|_| Error::new(Kind::Other, "the log was started before"))
}

/// Writes events, one line each. There are no spans: keeping account of them costs tracing's own
/// registry 32 KiB, a twentieth of what the idle daemon has.
#[derive(Debug)]
struct Log {
    level: LevelFilter,
    sink: Sink,
}

impl Log {
    fn new(to: &Destination, level: Level) -> Result<Self, Error> {
        Ok(Self {
            level: level.into(),
            sink: Sink::open(to)?,
        })
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let root = metadata.target().split("::").next().unwrap_or_default();
        let level = match OURS.contains(&root) {
            true => self.level,
            false => self.level.min(LevelFilter::WARN),
        };
        metadata.is_event() && *metadata.level() <= level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // Neither a full disk nor a closed pipe is a reason not to go on.
        drop(self.sink.write(event.metadata(), &fields));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        // None is enabled.
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// What an event says: the message, then ` name=value` for each field.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
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

impl Sink {
    fn write(&self, metadata: &Metadata<'_>, fields: &Fields) -> io::Result<()> {
        let (level, target) = (*metadata.level(), metadata.target());
        let Fields { message, others } = fields;
        let text = format!("{target}: {message}{others}");
        // Escaped as a whole, so that an event cannot forge a second line.
        let text = escape(&scrub(&text));
        let line = match self.priorities {
            true => format!("<{}>{text}\n", priority(level)),
            false => format!("{} {level:>5} {text}\n", utc(SystemTime::now())),
        };
        match &self.out {
            Out::Stderr => io::stderr().write_all(line.as_bytes()),
            Out::File(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(line.as_bytes()),
        }
    }
}

/// The priorities of syslog(3): err, warning, info, debug.
fn priority(level: tracing::Level) -> u8 {
    match level {
        tracing::Level::ERROR => 3,
        tracing::Level::WARN => 4,
        tracing::Level::INFO => 6,
        tracing::Level::DEBUG | tracing::Level::TRACE => 7,
    }
}

/// A moment as RFC 3339 writes it, in UTC and milliseconds.
fn utc(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years that begin in March end with the leap day; the months from March on have 153 days in
    // five.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What a log of this level holds after `events`.
    fn logged(level: Level, priorities: bool, events: impl FnOnce()) -> String {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("hfdd.log");
        let mut sink = Sink::open(&Destination::File(path.clone())).unwrap();
        sink.priorities = priorities;
        let level = level.into();
        tracing::subscriber::with_default(Log { level, sink }, events);
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn times_read_like_this() {
        let at =
            |seconds: u64, millis| utc(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + millis));
        // As `date --utc --date=@SECONDS` says.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_868_799, "2000-02-29T23:59:59.007Z"),
            (1_767_225_600, "2026-01-01T00:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(at(seconds, 7), expected);
        }
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

    #[cfg(unix)] // there is no journal elsewhere
    #[test]
    fn the_journal_is_believed_only_where_standard_error_is_its_stream() {
        let of = |stream: Option<String>| {
            Destination::of_stderr(move |_| stream.clone().map(Into::into))
        };
        let stat = rustix::fs::fstat(io::stderr()).unwrap();
        let own = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert_eq!(of(Some(own)), Destination::Journal);
        assert_eq!(of(Some("8:1".to_owned())), Destination::Stderr);
        assert_eq!(of(None), Destination::Stderr);
    }
}
