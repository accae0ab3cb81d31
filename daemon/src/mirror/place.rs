//! One file, put where another one is. What was there is looked at afterwards: only then can nobody
//! have changed it unseen.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::lease::{self, Kind, Lease, Refused};
use super::leftover::{Which, remove};
use super::observe::{Stamp, content_of, stamp};
use super::write::WriteError;

/// What is asked of the kernel, so that tests can have it refuse.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    pub(super) rename: fn(&Path, &Path, RenameFlags) -> rustix::io::Result<()>,
    pub(super) link: fn(&Path, &Path) -> io::Result<()>,
    pub(super) lease: fn(&File, Kind, Instant) -> Result<Lease<'_>, Refused>,
    pub(super) flush: fn(&File) -> io::Result<()>,
    /// Writes into a file at an offset.
    pub(super) put: fn(&File, &[u8], u64) -> io::Result<()>,
}

impl Kernel {
    pub(super) const REAL: Self = Self {
        rename: |from, to, flags| renameat_with(CWD, from, CWD, to, flags),
        link: |from, to| std::fs::hard_link(from, to),
        lease: lease::take,
        flush: File::sync_data,
        put: |file, bytes, offset| file.write_all_at(bytes, offset),
    };
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
            Some(_) => {
                match (self.kernel.rename)(temporary, self.target, RenameFlags::EXCHANGE) {
                    Ok(()) => {
                        return self.settle(temporary, || self.exchange_back(temporary, new));
                    }
                    // A tool has removed it: not to be raised.
                    Err(Errno::NOENT) => Err(WriteError::Moved),
                    // A mount point.
                    Err(Errno::BUSY | Errno::XDEV) => self.in_place(new),
                    Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.rename(temporary),
                    Err(error) => Err(self.error(error)),
                }
            }
            None => self.create(temporary),
        };
        remove(temporary);
        outcome
    }

    /// The same where there was nothing.
    fn create(&self, temporary: &Path) -> Result<Done, WriteError> {
        match (self.kernel.rename)(temporary, self.target, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(Done::default()),
            Err(Errno::EXIST) => return Err(WriteError::Moved),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(self.error(error)),
        }
        match (self.kernel.link)(temporary, self.target) {
            Ok(()) => Ok(Done::default()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EEXIST) => Err(WriteError::Moved),
                // link(2): EPERM is a file system without links.
                Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => {
                    self.rename(temporary)
                }
                _ => Err(self.error(error)),
            },
        }
    }

    /// The best that is left: what comes between the look and the rename is lost.
    fn rename(&self, temporary: &Path) -> Result<Done, WriteError> {
        if stamp(self.target) != self.stamp {
            return Err(WriteError::Moved);
        }
        (self.kernel.rename)(temporary, self.target, RenameFlags::empty())
            .map_err(|error| self.error(error))?;
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
        // The name is new: nothing is replaced.
        match (self.kernel.rename)(self.target, aside, RenameFlags::empty()) {
            Ok(()) => self.settle(aside, || {
                let back = (self.kernel.rename)(aside, self.target, RenameFlags::NOREPLACE);
                if let Err(error) = back {
                    tracing::warn!(%error, "a file stays aside");
                }
            }),
            Err(Errno::NOENT) => Err(WriteError::Moved),
            // A mount point cannot be removed. Upstream reads an empty file as none.
            Err(Errno::BUSY | Errno::XDEV) => self.in_place(b""),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Looks at what was displaced when nobody writes it any more. What cannot be taken up is left as
    /// it is, where it was.
    fn settle(&self, path: &Path, put_back: impl FnOnce()) -> Result<Done, WriteError> {
        let (found, leased) = self.find(path);
        let mut done = Done {
            plainly: !leased,
            ..Done::default()
        };
        match found {
            // Where it cannot be removed, it is found again.
            Found::Known => done.left_behind = path.symlink_metadata().is_ok(),
            Found::Edit(content) => done.displaced = Some((path.to_owned(), content)),
            Found::Open => done.left_behind = true,
            Found::Unusable => {
                put_back();
                return Err(WriteError::Moved);
            }
        }
        Ok(done)
    }

    /// Also says whether a lease told that nobody writes.
    fn find(&self, path: &Path) -> (Found, bool) {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path);
        let file = match opened {
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
            let saved = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .and_then(|saved| saved.write_all_at(&content, 0));
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
    fn exchange_back(&self, temporary: &Path, new: &[u8]) {
        match (self.kernel.rename)(temporary, self.target, RenameFlags::EXCHANGE) {
            Ok(()) => {
                let ours = Change {
                    old: Some(new),
                    ..*self
                };
                // Anything else stays as a leftover.
                drop(ours.find(temporary));
            }
            Err(error) => tracing::warn!(%error, "a file stays aside"),
        }
    }

    pub(super) fn error(&self, source: impl Into<io::Error>) -> WriteError {
        WriteError::Io {
            path: self.target.to_owned(),
            source: source.into(),
        }
    }
}
