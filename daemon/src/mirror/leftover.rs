//! Files of ours beside a mirror's: what is being written, and what was displaced.
//!
//! `.hfd-<16 hex>` is not complete, and only ever held what the store holds. `.hfd-s-<16 hex>` (for
//! `stored_tokens`) and `.hfd-t-<16 hex>` (for `token`) are complete: either they wait to be put in
//! place, or they are what was found there, which must be read before it is removed. A daemon that
//! is killed leaves them. `.hfd-i-…` is a copy for a file that is written in place (`inplace`).

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hfd_core::observe::{Observation, Stored, TokenFile};
use hfd_proto::Home;
use zeroize::Zeroizing;

use super::lease::{self, Refused};
use super::observe::{MAX_STORED, MAX_TOKEN, NotSeen, content_of, observe, stored_path};
use super::write::{WriteError, resolve};
use super::{file, inplace, place};
use crate::os::ENCODING;

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Stored,
    Token,
}

impl Which {
    /// A new name for a complete file.
    pub(super) fn complete(self) -> String {
        let letter = match self {
            Self::Stored => 's',
            Self::Token => 't',
        };
        format!(".hfd-{letter}-{:016x}", unique())
    }

    /// A new name for a copy of what is written in place.
    pub(super) fn copy(self) -> String {
        let letter = match self {
            Self::Stored => 's',
            Self::Token => 't',
        };
        format!(".hfd-i-{letter}-{:016x}", unique())
    }

    /// Whether a name is that of such a copy, and of which of the two.
    pub(super) fn in_place(name: &str) -> Option<Self> {
        which(&format!(".hfd-{}", name.strip_prefix(".hfd-i-")?))
    }

    /// How much of it is read.
    pub(super) fn limit(self) -> u64 {
        match self {
            Self::Stored => MAX_STORED,
            Self::Token => MAX_TOKEN,
        }
    }

    /// What both files say, when this one says `content` and the other what it said before.
    pub(super) fn observation(self, content: &[u8], other: &Observation) -> Observation {
        let mut observation = other.clone();
        match self {
            Self::Stored => observation.stored = Stored::parse_as(content, ENCODING),
            Self::Token => observation.token = TokenFile::parse(content),
        }
        observation
    }

    /// Whether there is something in the content that can be taken up.
    pub(super) fn parses(self, content: &[u8]) -> bool {
        match self {
            Self::Stored => !matches!(Stored::parse_as(content, ENCODING), Stored::Unreadable(_)),
            Self::Token => !matches!(TokenFile::parse(content), TokenFile::Unreadable(_)),
        }
    }
}

/// A new name for a file that is not complete yet.
pub(super) fn incomplete() -> String {
    format!(".hfd-{:016x}", unique())
}

/// Whether a name is that of a complete file, and for which of the two.
pub(super) fn which(name: &str) -> Option<Which> {
    let rest = name.strip_prefix(".hfd-")?;
    let (which, number) = match rest.split_at_checked(2)? {
        ("s-", number) => (Which::Stored, number),
        ("t-", number) => (Which::Token, number),
        _ => return None,
    };
    is_number(number).then_some(which)
}

/// Tells what was displaced from what displaced it, where the two cannot have one name.
const DISPLACED: u64 = 1 << 63;

/// The name of what the file of this name displaces, and the other way round; nothing for a name that
/// is none of ours.
pub(super) fn counterpart(name: &str) -> Option<String> {
    which(name)?;
    let (rest, number) = name.split_at_checked(name.len() - 16)?;
    let number = u64::from_str_radix(number, 16).ok()?;
    Some(format!("{rest}{:016x}", number ^ DISPLACED))
}

fn is_number(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A number that no other temporary file of this machine has. Its highest bit is not set: a number
/// that has it is of what was displaced by the file whose number is the same but for that.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    let number =
        time ^ (u64::from(std::process::id()) << 40) ^ COUNT.fetch_add(1, Ordering::Relaxed);
    number & !DISPLACED
}

/// An edit of another program that lies in the place of nothing any more.
#[derive(Debug)]
pub struct Displaced {
    /// What the displaced file said; a file that was not displaced is as it was seen.
    pub observation: Observation,
    pub(super) leftovers: Vec<PathBuf>,
}

/// What came of making the files links into memory.
#[derive(Debug, Default)]
pub struct Linked {
    /// Whether anything was not as it should be: look again.
    pub changed: bool,
    /// A file that a tool made in that very moment, aside now.
    pub displaced: Option<Displaced>,
    /// What was displaced still lies there.
    pub left_behind: bool,
}

impl Displaced {
    /// Removes the file. To be called when what it said is safe in the store; without this it stays
    /// and is found by [`leftovers`].
    pub fn discard(self) {
        for leftover in self.leftovers {
            remove(&leftover);
        }
    }
}

/// What lies beside a mirror's files.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// What can be taken up now.
    pub found: Vec<Displaced>,
    /// Something is still open for writing: when that is closed, it can be taken up.
    pub open: bool,
}

/// Finds what was displaced and not yet taken up, by a daemon that was killed or because somebody
/// still had it open, and removes what was never complete. Files that are still open for writing
/// stay for the next time. What was being written in place is completed first.
///
/// What is returned is old: a new value in it is an edit, but what it lacks was not removed, and it
/// may be what hfd was about to write. No write of this mirror may be under way.
///
/// # Errors
/// Where a file is damaged and cannot be mended now: it is not to be read.
pub fn leftovers(home: &Home) -> Result<Leftovers, WriteError> {
    sweep(home);
    inplace::mend(home)?;
    let mut left: Vec<_> = ours(home);
    left.retain(|(_, name)| which(name).is_some());
    let seen = match observe(home) {
        Ok(seen) => seen,
        Err(error) => {
            let open = !left.is_empty() && matches!(error, NotSeen::Unfinished(_));
            let found = Vec::new();
            return Ok(Leftovers { found, open });
        }
    };
    let (mut found, mut open) = (Vec::<Displaced>::new(), false);
    for (path, name) in left {
        let Some(which) = which(&name) else { continue };
        let content = match finished(&path, which) {
            Ok(Some(content)) => content,
            Ok(None) => continue,
            Err(Unfinished) => {
                open = true;
                continue;
            }
        };
        let observation = which.observation(&content, &seen.observation);
        let known = [&seen.observation].into_iter();
        let said = known
            .chain(found.iter().map(|displaced| &displaced.observation))
            .any(|known| *known == observation);
        // An empty file, or the white space of one, says nothing that could be taken up.
        if content.trim_ascii().is_empty() || said {
            remove(&path);
            continue;
        }
        found.push(Displaced {
            observation,
            leftovers: vec![path],
        });
    }
    Ok(Leftovers { found, open })
}

/// Whether something of ours still lies there: open, or on a disk that lets nothing be removed.
pub fn lies_about(home: &Home) -> bool {
    let names = ours(home).into_iter().map(|(_, name)| name);
    let mut unfinished = names.filter(|name| {
        let number = name.strip_prefix(".hfd-").is_some_and(is_number);
        number || which(name).is_some() || Which::in_place(name).is_some()
    });
    unfinished.next().is_some()
}

/// Removes what a daemon left that was killed while it wrote: files that are not complete. What they
/// hold is in the store, or the change that it belonged to is undone from there.
pub(super) fn sweep(home: &Home) {
    let complete = ours(home);
    for (which, file) in [
        (Which::Stored, stored_path(home)),
        (Which::Token, home.token_path.clone()),
    ] {
        let complete: Vec<&Path> = complete
            .iter()
            .filter(|(_, name)| self::which(name) == Some(which))
            .map(|(path, _)| path.as_path())
            .collect();
        if let Ok(target) = resolve(&file) {
            place::mend(&target, &complete);
        }
    }
    for (path, name) in ours(home) {
        if name.strip_prefix(".hfd-").is_some_and(is_number) {
            remove(&path);
        }
    }
}

/// Somebody has the file open for writing.
struct Unfinished;

/// The content of a file that nobody has open for writing; nothing where it cannot be read.
fn finished(path: &Path, which: Which) -> Result<Option<Zeroizing<Vec<u8>>>, Unfinished> {
    let Ok(file) = file::open_itself(path) else {
        return Ok(None);
    };
    let lease = lease::take(&file, lease::Kind::Read, Instant::now());
    if matches!(lease, Err(Refused::Open)) {
        return Err(Unfinished);
    }
    Ok(content_of(&file, which.limit()).ok())
}

/// Regular files of ours, with one link, that lie beside the mirror's and are called `.hfd-…`.
pub(super) fn ours(home: &Home) -> Vec<(PathBuf, String)> {
    let targets = [stored_path(home), home.token_path.clone()].map(|path| resolve(&path).ok());
    // Where links are put in the place of files, too.
    let paths = targets
        .into_iter()
        .flatten()
        .chain([home.token_path.clone()]);
    let directories: BTreeSet<PathBuf> = paths
        .filter_map(|path| Some(path.parent()?.to_owned()))
        .collect();
    let mut found = Vec::new();
    for entry in directories.iter().flat_map(std::fs::read_dir).flatten() {
        let Ok(entry) = entry else { continue };
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with(".hfd-") && file::is_plain(&entry) {
            found.push((entry.path(), name));
        }
    }
    found
}

/// Removes a file of ours. One that stays is found again.
pub(super) fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a temporary file stays");
    }
}
