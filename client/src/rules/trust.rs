//! Which rule files the person has trusted: by path, owner and every byte that they held then.
//!
//! The contents themselves are kept, in the state directory: no digest has to be believed.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hfd_proto::os::{Own, open_own};
use hfd_proto::{Error, Kind, Place, escape, private_dir};
use serde::{Deserialize, Serialize};

use super::file::{Text, read};
use crate::os;

/// What all of them may take, as it is written down.
const MAX_TRUSTED: u64 = 4 * 1024 * 1024;

/// The rule files that are trusted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Trusted(Vec<Entry>);

/// A rule file as it was when it was trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    owner: String,
    content: String,
}

impl Trusted {
    /// Reads them.
    pub(crate) fn load(place: &Place) -> Result<Self, Error> {
        let path = place.state_dir().join("trusted.json");
        let Some(text) = read(&path, MAX_TRUSTED)? else {
            return Ok(Self::default());
        };
        let wrong = |why: &str| {
            let path = escape(&path.to_string_lossy());
            Error::new(Kind::Other, format!("{path}: {why}"))
                .hint("remove it, and trust your rule files again")
        };
        if !os::is_ours_alone(&text.file).unwrap_or(false) {
            return Err(wrong("can be written by another user"));
        }
        serde_json::from_str(&text.content).map_err(|_| wrong("it is damaged"))
    }

    /// Whether the file is trusted as it is.
    pub(crate) fn holds(&self, text: &Text) -> bool {
        self.0.iter().any(|entry| {
            entry.path == text.path && entry.owner == text.owner && entry.content == text.content
        })
    }

    /// The file as it was when it was last trusted.
    pub(crate) fn of(&self, path: &Path) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.path == path)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Changes them on the disk, one process at a time.
    pub(crate) fn change(
        place: &Place,
        change: impl FnOnce(&mut Self) -> bool,
    ) -> Result<bool, Error> {
        let directory = place.state_dir();
        private_dir(&directory)?;
        let _turn = lock(&directory.join("trusted.lock"))?;
        let mut trusted = Self::load(place)?;
        if !change(&mut trusted) {
            return Ok(false);
        }
        trusted.write(&directory)?;
        Ok(true)
    }

    /// Trusts a file as it was read.
    pub(crate) fn add(&mut self, text: &Text) -> bool {
        self.remove(&text.path);
        self.0.push(Entry {
            path: text.path.clone(),
            owner: text.owner.clone(),
            content: text.content.clone(),
        });
        true
    }

    /// Ends the trust in a file; whether there was any.
    pub(crate) fn remove(&mut self, path: &Path) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| entry.path != path);
        self.0.len() < before
    }

    fn write(&self, directory: &Path) -> Result<(), Error> {
        let (new, path) = (
            directory.join("trusted.new"),
            directory.join("trusted.json"),
        );
        let written = serde_json::to_vec(self)
            .map_err(Into::into)
            .and_then(|bytes| {
                if bytes.len() as u64 > MAX_TRUSTED {
                    return Err(io::Error::other(
                        "too much is trusted; `hfd trust --remove` takes some of it back",
                    ));
                }
                let mut file = open_own(&new, Own::Emptied)?;
                file.write_all(&bytes)?;
                os::flush(&file)?;
                drop(file);
                os::replace(&new, &path)
            });
        written.map_err(|error| {
            let path = escape(&path.to_string_lossy());
            Error::new(Kind::Other, format!("cannot write {path}: {error}"))
        })
    }
}

fn lock(path: &Path) -> Result<File, Error> {
    let locked = open_own(path, Own::Kept).and_then(|file| {
        // Held for the time of one small file.
        file.lock()?;
        Ok(file)
    });
    locked.map_err(|error| {
        let path = escape(&path.to_string_lossy());
        Error::new(Kind::Other, format!("cannot lock {path}: {error}"))
    })
}
