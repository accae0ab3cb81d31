//! One file, put where another one is. What was there is looked at afterwards: only then can nobody
//! have changed it unseen.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use zeroize::Zeroizing;

use super::file::{self, Stamp, stamp};
use super::lease::{self, Kind, Lease, Refused};
use super::leftover::{Which, counterpart, remove};
use super::observe::content_of;
use super::write::WriteError;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use unix::Kernel;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(super) use windows::Kernel;

/// Why one file did not take the place of another.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// There is nothing at the place any more.
    Gone,
    /// There is something at the place that was empty.
    Occupied,
    /// The place is a mount point.
    #[cfg_attr(windows, expect(dead_code, reason = "a file is no mount point there"))]
    Mounted,
    /// The file system cannot do that.
    #[cfg_attr(windows, expect(dead_code, reason = "all can"))]
    Unsupported,
    /// It is half done: what was there has another name, and nothing is in its place. [`mend`] has to
    /// find both files.
    #[cfg_attr(
        unix,
        expect(dead_code, reason = "an exchange happens, or it does not")
    )]
    Halfway,
    /// A program that has the file open forbids it.
    #[cfg_attr(unix, expect(dead_code, reason = "nobody can forbid it"))]
    Open,
    /// Anything else.
    Io(io::Error),
}

/// What is to become of one file.
pub(super) struct Change<'a> {
    pub(super) which: Which,
    /// Links are resolved.
    pub(super) target: &'a Path,
    /// What was read, and under which stamp.
    pub(super) old: Option<&'a [u8]>,
    pub(super) stamp: Option<Stamp>,
    pub(super) deadline: Instant,
    pub(super) kernel: Kernel,
}

/// How it went.
#[derive(Default)]
pub(super) struct Done {
    /// What was there is not what had been read: the file where it lies now, and its content.
    pub(super) displaced: Option<(PathBuf, Zeroizing<Vec<u8>>)>,
    /// What was displaced still lies there: somebody has it open, or it cannot be removed.
    pub(super) left_behind: bool,
    /// Without the help of the file system.
    pub(super) plainly: bool,
}

impl Done {
    /// This and what was done before it, which displaced nothing.
    pub(super) fn after(self, before: &Self) -> Self {
        Self {
            displaced: self.displaced,
            left_behind: self.left_behind || before.left_behind,
            plainly: self.plainly || before.plainly,
        }
    }
}

/// What a displaced file turned out to be.
enum Found {
    /// What was read before; it is gone.
    Known,
    /// Something else.
    Edit(Zeroizing<Vec<u8>>),
    /// Nothing that could be taken up.
    Unusable,
    /// Open for writing.
    Open,
}

impl Change<'_> {
    /// Puts the complete file `temporary` in place. It is gone afterwards, or holds what was there
    /// and is not known to be taken up.
    pub(super) fn replace(&self, temporary: &Path, new: &[u8]) -> Result<Done, WriteError> {
        let outcome = match self.stamp {
            Some(_) => match (self.kernel).exchange(temporary, self.target, self.deadline) {
                Ok(displaced) => {
                    return self.settle(&displaced, || self.exchange_back(&displaced, new));
                }
                Err(Obstacle::Halfway) => return Err(self.error(Obstacle::Halfway)),
                Err(Obstacle::Mounted) => self.in_place(new),
                Err(Obstacle::Unsupported) => self.rename(temporary),
                Err(obstacle) => Err(self.error(obstacle)),
            },
            None => self.create(temporary),
        };
        remove(temporary);
        outcome
    }

    /// The same where there was nothing.
    fn create(&self, temporary: &Path) -> Result<Done, WriteError> {
        match self.kernel.create(temporary, self.target, self.deadline) {
            Ok(()) => Ok(Done::default()),
            Err(Obstacle::Unsupported) => self.rename(temporary),
            Err(obstacle) => Err(self.error(obstacle)),
        }
    }

    /// The best that is left: what comes between the look and the rename is lost.
    fn rename(&self, temporary: &Path) -> Result<Done, WriteError> {
        if stamp(self.target) != self.stamp {
            return Err(WriteError::Moved);
        }
        self.kernel
            .rename(temporary, self.target)
            .map_err(|obstacle| self.error(obstacle))?;
        Ok(Done {
            plainly: true,
            ..Done::default()
        })
    }

    /// Takes the file away, to `aside`.
    pub(super) fn remove(&self, aside: &Path) -> Result<Done, WriteError> {
        if self.stamp.is_none() {
            return Ok(Done::default());
        }
        match (self.kernel).take_away(self.target, aside, self.deadline) {
            Ok(()) => self.settle(aside, || self.kernel.put_back(aside, self.target)),
            // A mount point cannot be removed. Upstream reads an empty file as none.
            Err(Obstacle::Mounted) => self.in_place(b""),
            Err(obstacle) => Err(self.error(obstacle)),
        }
    }

    /// Looks at what was displaced when nobody writes it any more. What cannot be taken up is left as
    /// it is, where it was.
    fn settle(
        &self,
        path: &Path,
        put_back: impl FnOnce() -> Result<(), Obstacle>,
    ) -> Result<Done, WriteError> {
        let (found, leased) = self.find(path);
        let mut done = Done {
            // Where there are no leases at all, an exchange is the most that can be done.
            plainly: !leased && lease::EXIST,
            ..Done::default()
        };
        match found {
            // Where it cannot be removed, it is found again.
            Found::Known => done.left_behind = path.symlink_metadata().is_ok(),
            Found::Edit(content) => done.displaced = Some((path.to_owned(), content)),
            Found::Open => done.left_behind = true,
            Found::Unusable => {
                return Err(match put_back() {
                    Ok(()) => WriteError::Moved,
                    Err(obstacle) => {
                        tracing::warn!(?obstacle, "a file stays aside");
                        self.error(obstacle)
                    }
                });
            }
        }
        Ok(done)
    }

    /// Also says whether a lease told that nobody writes.
    fn find(&self, path: &Path) -> (Found, bool) {
        let file = match file::open_itself(path) {
            Ok(file) if file.metadata().is_ok_and(|metadata| metadata.is_file()) => file,
            _ => return (Found::Unusable, true),
        };
        let mut removed = false;
        loop {
            let lease = match (self.kernel.lease)(&file, Kind::Read, self.deadline) {
                Ok(lease) => Some(lease),
                Err(Refused::Unsupported) => None,
                Err(Refused::Open) if removed => return (self.rescue(&file, path), true),
                Err(Refused::Open) => return (Found::Open, true),
            };
            let Ok(content) = content_of(&file, self.which.limit()) else {
                return (Found::Unusable, lease.is_some());
            };
            if Some(content.as_slice()) != self.old {
                let found = match (removed, self.which.parses(&content)) {
                    (true, _) => self.rescue(&file, path),
                    (false, true) => Found::Edit(content),
                    (false, false) => Found::Unusable,
                };
                return (found, lease.is_some());
            }
            if !removed {
                remove(path);
                removed = true;
            }
            // Who had found the file before it was displaced and opens it only now waits for the
            // lease, and writes into what has no name any more.
            if lease.as_ref().is_none_or(Lease::stands) {
                return (Found::Known, lease.is_some());
            }
        }
    }

    /// An edit of a file that was just removed is given a name again.
    fn rescue(&self, file: &File, path: &Path) -> Found {
        let saved = content_of(file, self.which.limit()).and_then(|content| {
            let saved = file::create(path).and_then(|saved| file::write_at(&saved, &content, 0));
            saved.map_err(|error| error.to_string()).map(|()| content)
        });
        match saved {
            Ok(content) if self.which.parses(&content) => Found::Edit(content),
            Ok(_) => {
                remove(path);
                Found::Known
            }
            Err(error) => {
                tracing::error!(error, "an edit is lost");
                Found::Known
            }
        }
    }

    /// Undoes an exchange. What was ours goes, unless a tool has changed it meanwhile.
    fn exchange_back(&self, displaced: &Path, new: &[u8]) -> Result<(), Obstacle> {
        let ours = (self.kernel).exchange(displaced, self.target, self.deadline)?;
        let change = Change {
            old: Some(new),
            ..*self
        };
        // Anything else stays as a leftover.
        drop(change.find(&ours));
        Ok(())
    }

    pub(super) fn error(&self, obstacle: Obstacle) -> WriteError {
        let path = self.target.to_owned();
        match obstacle {
            // A tool has removed it: not to be raised. Or it has made one.
            Obstacle::Gone | Obstacle::Occupied => WriteError::Moved,
            Obstacle::Open | Obstacle::Halfway => WriteError::Busy(path),
            Obstacle::Mounted | Obstacle::Unsupported => WriteError::Io {
                path,
                source: io::ErrorKind::Unsupported.into(),
            },
            Obstacle::Io(source) => WriteError::Io { path, source },
        }
    }
}

/// Repairs what a kill or an error has left in the middle of an exchange that is two steps: the old file
/// has another name, the new one waits under the name that belongs to that, and nothing is in the old
/// one's place. `complete` are all files of ours for this target.
///
/// That one of the two stands alone is no such state. The new one does so before an exchange, the old one after
/// it, and whoever removed the target since wants it removed.
pub(super) fn mend(target: &Path, complete: &[&Path]) {
    let Some(displaced) = complete.iter().find_map(|new| {
        let name = new.file_name()?.to_str()?;
        // Of the two, the number of what was displaced is the higher one.
        let displaced = counterpart(name).filter(|displaced| displaced.as_str() > name)?;
        let displaced = new.with_file_name(displaced);
        complete.contains(&displaced.as_path()).then_some(displaced)
    }) else {
        return;
    };
    match Kernel::REAL.put_back(&displaced, target) {
        Ok(()) => tracing::info!("a file that was half replaced is back in its place"),
        // A tool has made another one, and this one is found beside it.
        Err(Obstacle::Occupied) => {}
        Err(obstacle) => tracing::error!(?obstacle, "a file stays aside"),
    }
}
