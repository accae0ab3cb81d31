//! Unix: two files exchange their names, and what was displaced lies where the new one lay.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::super::file::write_at;
use super::super::lease::{self, Kind, Lease, Refused};
use super::Obstacle;

/// What is asked of the kernel, so that tests can have it refuse.
#[derive(Clone, Copy)]
pub(in crate::mirror) struct Kernel {
    pub(in crate::mirror) rename: fn(&Path, &Path, RenameFlags) -> rustix::io::Result<()>,
    pub(in crate::mirror) link: fn(&Path, &Path) -> io::Result<()>,
    pub(in crate::mirror) lease: fn(&File, Kind, Instant) -> Result<Lease<'_>, Refused>,
    pub(in crate::mirror) flush: fn(&File) -> io::Result<()>,
    /// Writes into a file at an offset.
    pub(in crate::mirror) put: fn(&File, &[u8], u64) -> io::Result<()>,
}

impl Kernel {
    pub(in crate::mirror) const REAL: Self = Self {
        rename: |from, to, flags| renameat_with(CWD, from, CWD, to, flags),
        link: |from, to| std::fs::hard_link(from, to),
        lease: lease::take,
        flush: File::sync_data,
        put: write_at,
    };

    /// Puts `new` in place; says where what was there lies now. renameat2(2) and, on Darwin,
    /// renameatx_np(2).
    pub(super) fn exchange(
        &self,
        new: &Path,
        target: &Path,
        _deadline: Instant,
    ) -> Result<PathBuf, Obstacle> {
        (self.rename)(new, target, RenameFlags::EXCHANGE)
            .map(|()| new.to_owned())
            .map_err(obstacle)
    }

    /// Puts `new` where there is nothing; what was `new` may have both names then.
    pub(super) fn create(
        &self,
        new: &Path,
        target: &Path,
        _deadline: Instant,
    ) -> Result<(), Obstacle> {
        match self.put_back(new, target) {
            Err(Obstacle::Unsupported) => {}
            outcome => return outcome,
        }
        (self.link)(new, target).map_err(|error| match error.raw_os_error() {
            Some(libc::EEXIST) => Obstacle::Occupied,
            // link(2): EPERM is a file system without links.
            Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => {
                Obstacle::Unsupported
            }
            _ => Obstacle::Io(error),
        })
    }

    /// Puts a file where there is nothing.
    pub(super) fn put_back(&self, aside: &Path, target: &Path) -> Result<(), Obstacle> {
        (self.rename)(aside, target, RenameFlags::NOREPLACE).map_err(|error| match error {
            Errno::EXIST => Obstacle::Occupied,
            error if is_unsupported(error) => Obstacle::Unsupported,
            error => Obstacle::Io(error.into()),
        })
    }

    /// Puts `new` in place of whatever is there.
    pub(super) fn rename(&self, new: &Path, target: &Path) -> Result<(), Obstacle> {
        let renamed = (self.rename)(new, target, RenameFlags::empty());
        renamed.map_err(|error| Obstacle::Io(error.into()))
    }

    /// Takes what is there away, to a name that is new.
    pub(super) fn take_away(
        &self,
        target: &Path,
        aside: &Path,
        _deadline: Instant,
    ) -> Result<(), Obstacle> {
        (self.rename)(target, aside, RenameFlags::empty()).map_err(obstacle)
    }

    /// Makes the names in a directory durable.
    pub(in crate::mirror) fn flush_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory).and_then(|directory| (self.flush)(&directory))
    }
}

fn obstacle(error: Errno) -> Obstacle {
    match error {
        Errno::NOENT => Obstacle::Gone,
        Errno::BUSY | Errno::XDEV => Obstacle::Mounted,
        error if is_unsupported(error) => Obstacle::Unsupported,
        error => Obstacle::Io(error.into()),
    }
}

fn is_unsupported(error: Errno) -> bool {
    // The last two are one number on Linux, and two on Darwin.
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP].contains(&error)
}
