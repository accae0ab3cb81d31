//! Reading a mirror's two files as one, with enough care that nothing planted is taken for ours.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hfd_core::observe::{Observation, Stored, TokenFile};
use hfd_proto::os::open_without_waiting;
use hfd_proto::{Home, escape};
use zeroize::Zeroizing;

use super::file::{self, Stamp, stamp};
use super::lease::{self, Refused};
use crate::os::ENCODING;

/// 4,096 sections with two tokens of 2 KiB each, and as much again.
pub(super) const MAX_STORED: u64 = 32 * 1024 * 1024;

/// A token, and white space around it.
pub(super) const MAX_TOKEN: u64 = 2 * hfd_proto::MAX_SECRET as u64;

/// How long is waited for a program that is writing: they do in microseconds, but a process that they
/// start just then has the file open as well, until it executes its program.
const WRITERS: Duration = Duration::from_millis(300);

/// Where there are no leases, a file that did not change for so long is whole: huggingface_hub writes
/// what it has in one go.
const UNLEASED: Duration = Duration::from_millis(20);

/// The stamps of `stored_tokens` and `token`; `None` where there is no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamps {
    /// Of `stored_tokens`.
    pub stored: Option<Stamp>,
    /// Of `token`.
    pub token: Option<Stamp>,
}

/// What was found, and the stamps under which it was found.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The parsed content.
    pub observation: Observation,
    /// Taken before reading: a change during it shows at the next look.
    pub stamps: Stamps,
    /// Whether the directory is there at all.
    pub directory: bool,
    /// The bytes that were parsed, to know them again.
    pub(super) raw: Raw,
}

/// The files byte for byte; `None` where there was none, or it could not be read.
#[derive(Clone, Default)]
pub(super) struct Raw {
    pub(super) stored: Option<Zeroizing<Vec<u8>>>,
    pub(super) token: Option<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raw")
    }
}

/// The stamps of a mirror's files: two `stat` calls.
pub fn stamps(home: &Home) -> Stamps {
    Stamps {
        stored: stamp(&stored_path(home)),
        token: stamp(&home.token_path),
    }
}

/// `stored_tokens` lies beside `token`, whatever that is called.
pub(super) fn stored_path(home: &Home) -> std::path::PathBuf {
    home.token_path.with_file_name("stored_tokens")
}

/// The one of the two files that has another name elsewhere (a hard link), if one has.
pub fn with_another_name(home: &Home) -> Option<PathBuf> {
    let mut paths = [stored_path(home), home.token_path.clone()].into_iter();
    paths.find(|path| {
        let described = open_without_waiting(path).and_then(|file| file::describe(&file));
        described.is_ok_and(|described| described.links > 1)
    })
}

/// Reads both files, each at a moment at which no program has it open for writing: what is only half
/// written may parse, and would be taken for an edit.
///
/// # Errors
/// When the directory is not ours alone to write: what lies there may be somebody else's. When a
/// program does not finish writing.
pub fn observe(home: &Home) -> Result<Seen, NotSeen> {
    let directory = match home.token_path.parent() {
        Some(parent) => check_directory(parent)?,
        None => false,
    };
    let deadline = Instant::now() + WRITERS;
    let (stamps, token, stored) = loop {
        let before = stamps(home);
        // Tools write `stored_tokens` first: read last, it names the token that was read.
        let token = read(&home.token_path, MAX_TOKEN, deadline)?;
        let stored = read(&stored_path(home), MAX_STORED, deadline)?;
        // What a tool wrote in between makes a pair that never was.
        if stamps(home) == before || Instant::now() >= deadline {
            break (before, token, stored);
        }
    };
    let (token, token_raw) = parsed(
        token,
        TokenFile::Absent,
        TokenFile::parse,
        TokenFile::Unreadable,
    );
    let (stored, stored_raw) = parsed(
        stored,
        Stored::Absent,
        |content| Stored::parse_as(content, ENCODING),
        Stored::Unreadable,
    );
    Ok(Seen {
        observation: Observation { stored, token },
        stamps,
        directory,
        raw: Raw {
            stored: stored_raw,
            token: token_raw,
        },
    })
}

/// What a file says, and its bytes.
fn parsed<T>(
    content: Result<Option<Zeroizing<Vec<u8>>>, String>,
    absent: T,
    parse: impl Fn(&[u8]) -> T,
    unreadable: impl Fn(String) -> T,
) -> (T, Option<Zeroizing<Vec<u8>>>) {
    match content {
        Ok(None) => (absent, None),
        Ok(Some(content)) => (parse(&content), Some(content)),
        Err(why) => (unreadable(why), None),
    }
}

/// Why the files were not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSeen {
    /// A directory that is not ours alone.
    #[error("{directory} {why}")]
    NotOurs {
        /// Its path, for a terminal.
        directory: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A program keeps a file open for writing. When that closes it, the watch notices.
    #[error("{0} is being written by another program")]
    Unfinished(String),
}

/// True for a directory of ours, false for none; others may read it, but must not write.
fn check_directory(path: &Path) -> Result<bool, NotSeen> {
    let not_ours = |why| NotSeen::NotOurs {
        directory: escape(&path.to_string_lossy()),
        why,
    };
    match file::not_ours_alone(path) {
        Ok(None) => Ok(true),
        Ok(Some(why)) => Err(not_ours(why)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(_) => Err(not_ours("cannot be examined")),
    }
}

/// Whether a directory may become a mirror: absolute, and ours alone to write or not there yet
/// below one that is.
pub fn check_home(home: &Home) -> Result<(), String> {
    if !home.token_path.is_absolute() {
        return Err("its path is relative".to_owned());
    }
    let mut nearest = home.token_path.parent();
    while let Some(directory) = nearest {
        if check_directory(directory).map_err(|error| error.to_string())? {
            return Ok(());
        }
        nearest = directory.parent();
    }
    Err("it has no directory".to_owned())
}

/// Reads a regular file of ours; `Ok(None)` when there is none. The inner error says why not, without
/// a word of the content.
type Content = Result<Option<Zeroizing<Vec<u8>>>, String>;

fn read(path: &Path, limit: u64, deadline: Instant) -> Result<Content, NotSeen> {
    let unfinished = || NotSeen::Unfinished(escape(&path.to_string_lossy()));
    loop {
        let file = match file::open(path) {
            Ok(file) => file,
            Err(error) => {
                return Ok(match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                    _ => Err(error.to_string()),
                });
            }
        };
        if let Err(why) = check(&file, limit) {
            return Ok(Err(why));
        }
        // While the lease stands, whoever comes to write waits.
        let lease = lease::take_to_look(&file, deadline);
        match lease {
            Err(Refused::Open) => return Err(unfinished()),
            Ok(_) => return Ok(content_of(&file, limit).map(Some)),
            Err(Refused::Unsupported) => {}
        }
        // Without leases: what is as it was for a while is finished.
        let before = stamp(path);
        std::thread::sleep(UNLEASED.saturating_sub(age_of(&file)));
        let content = content_of(&file, limit);
        if stamp(path) == before {
            return Ok(content.map(Some));
        }
        if Instant::now() >= deadline {
            return Err(unfinished());
        }
    }
}

/// How long ago the content changed; long, where the clock does not say.
fn age_of(file: &File) -> Duration {
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|at| at.elapsed().ok());
    age.unwrap_or(Duration::MAX)
}

/// Reads an open file, if it is a regular one of ours.
pub(super) fn content_of(file: &File, limit: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let length = check(file, limit)?;
    let mut content = Zeroizing::new(Vec::with_capacity(length as usize + 1));
    file.take(limit)
        .read_to_end(&mut content)
        .map_err(|error| error.to_string())?;
    Ok(content)
}

/// The length of a file that may be read.
fn check(file: &File, limit: u64) -> Result<u64, String> {
    let found = file::describe(file).map_err(|error| error.to_string())?;
    if !found.regular {
        return Err("it is not a regular file".to_owned());
    }
    if !found.ours {
        return Err("it belongs to another user".to_owned());
    }
    if found.links > 1 {
        return Err("it has several hard links".to_owned());
    }
    if found.length > limit {
        return Err("it is far too long".to_owned());
    }
    Ok(found.length)
}

/// Whether a `stat` of these files is sure to return at once: they, and what they are links to, lie on
/// file systems of this machine. A network file system or one in user space may hang, and is asked
/// on the mirror's thread; so is this, since it asks the file system itself.
pub fn is_local(home: &Home) -> bool {
    let paths = [home.token_path.clone(), stored_path(home)];
    paths.into_iter().all(|path| {
        let target = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        lies_local(&path) && (target == path || lies_local(&target))
    })
}

fn lies_local(path: &Path) -> bool {
    let mut nearest = path.parent();
    while let Some(directory) = nearest {
        match file::is_local(directory) {
            Ok(local) => return local,
            Err(error) if error.kind() == io::ErrorKind::NotFound => nearest = directory.parent(),
            Err(_) => return false,
        }
    }
    false
}
