//! Rule files, `.hfd.toml`: of a directory and of those above it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hfd_core::rules::RuleFile;
use hfd_proto::os::open_without_waiting;
use hfd_proto::{Error, Kind, escape};

use crate::os;

/// What a rule file is called.
pub(crate) const FILE_NAME: &str = ".hfd.toml";

/// More than rules for a directory need; a mistaken path does not fill the memory.
const MAX_RULES: u64 = 16 * 1024;

/// A rule file that is there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// What it says; `None` for one that cannot be read, which nobody can have trusted.
    pub(crate) text: Option<Text>,
}

/// A file as it was read, through one descriptor.
#[derive(Debug)]
pub(crate) struct Text {
    /// By its absolute path: of a directory without links, and the name there. What a link leads to is another
    /// file, which may be trusted where the link is not.
    pub(crate) path: PathBuf,
    /// Whose it is.
    pub(crate) owner: String,
    pub(crate) content: String,
    pub(crate) file: File,
}

impl Text {
    /// Its rules.
    pub(crate) fn parse(&self) -> Result<RuleFile, Error> {
        toml::from_str(&self.content).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = self.content.get(..at).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let shown = escape(&self.path.to_string_lossy());
            let what = first_line(&error);
            Error::new(Kind::Usage, format!("{shown}, line {line}: {what}")).hint(
                "a rule file has `use = \"NAME\"` and a table [rules] of \"OWNER/*\" = \"NAME\"",
            )
        })
    }
}

/// What is wrong; the further lines repeat the place, with what stands there.
pub(super) fn first_line(error: &toml::de::Error) -> String {
    escape(error.message().lines().next().unwrap_or_default())
}

/// The rule files that hold in a directory, the nearest first.
pub(crate) fn upwards(directory: &Path) -> impl Iterator<Item = Found> + '_ {
    directory.ancestors().filter_map(|directory| {
        let path = directory.join(FILE_NAME);
        match read(&path, MAX_RULES) {
            Ok(None) => None,
            Ok(text) => Some(Found { path, text }),
            Err(_) => Some(Found { path, text: None }),
        }
    })
}

/// The nearest rule file.
pub(crate) fn nearest(directory: &Path) -> Option<PathBuf> {
    let mut found = upwards(directory);
    found.next().map(|found| found.path)
}

/// Reads a rule file; `None` where there is none.
pub(crate) fn read_rules(path: &Path) -> Result<Option<Text>, Error> {
    read(path, MAX_RULES)
}

/// Reads a file of at most so many bytes; `None` where there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Text>, Error> {
    let shown = escape(&path.to_string_lossy());
    let cannot = |why: String| Error::new(Kind::Other, format!("{shown} cannot be read: {why}"));
    // A FIFO would wait for its writer for ever.
    let file = match open_without_waiting(path) {
        Ok(file) => file,
        // Below a file there is nothing either.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(cannot(error.to_string())),
    };
    let text = |mut file: File| {
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut content = String::new();
        (&mut file).take(limit + 1).read_to_string(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::Error::other("it is too large"));
        }
        Ok(Text {
            path: placed(path)?,
            owner: os::owner(&file)?,
            content,
            file,
        })
    };
    text(file)
        .map(Some)
        .map_err(|error| cannot(error.to_string()))
}

/// The path of a file, there or not: its directory's without links, and its name there.
pub(crate) fn placed(path: &Path) -> io::Result<PathBuf> {
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) => Ok(directory.canonicalize()?.join(name)),
        _ => Err(io::ErrorKind::InvalidFilename.into()),
    }
}
