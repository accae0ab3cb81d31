//! Windows: `ReplaceFile` puts one file in the place of another and gives that a third name. It is
//! refused while a program has the target open that does not let others remove it, as Python does not.

#![allow(
    unsafe_code,
    reason = "a file is replaced, and moved without replacing, by the Windows API alone"
)]

use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ALREADY_EXISTS, ERROR_FILE_EXISTS, ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND,
    ERROR_UNABLE_TO_MOVE_REPLACEMENT, ERROR_UNABLE_TO_MOVE_REPLACEMENT_2,
    ERROR_UNABLE_TO_REMOVE_REPLACED,
};
use windows_sys::Win32::Storage::FileSystem::{
    MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW, ReplaceFileW,
};

use super::super::file::{code, is_passing, is_taken, patiently, while_it, write_at};
use super::super::lease::{self, Kind, Lease, Refused};
use super::super::leftover::{Which, counterpart};
use super::Obstacle;

/// How long a file that is put back may be open elsewhere.
const BACK: Duration = Duration::from_millis(100);

/// What is asked of the system, so that tests can have it refuse.
#[derive(Clone, Copy)]
pub(in crate::mirror) struct Kernel {
    /// Puts the second file in the place of the first, which gets the third name.
    pub(in crate::mirror) replace: fn(&Path, &Path, &Path) -> io::Result<()>,
    /// Gives a file another name.
    pub(in crate::mirror) rename: fn(&Path, &Path, u32) -> io::Result<()>,
    pub(in crate::mirror) lease: fn(&File, Kind, Instant) -> Result<Lease<'_>, Refused>,
    pub(in crate::mirror) flush: fn(&File) -> io::Result<()>,
    /// Writes into a file at an offset.
    pub(in crate::mirror) put: fn(&File, &[u8], u64) -> io::Result<()>,
}

impl Kernel {
    pub(in crate::mirror) const REAL: Self = Self {
        replace,
        rename,
        lease: lease::take,
        flush: File::sync_data,
        put: write_at,
    };

    /// Puts `new` in place; says where what was there lies now.
    ///
    /// What Windows says of a `ReplaceFile` that failed, where the old file was to have a third name:
    /// `ERROR_UNABLE_TO_REMOVE_REPLACED` and `ERROR_UNABLE_TO_MOVE_REPLACEMENT`, as any other error, leave both
    /// names as they were; after `ERROR_UNABLE_TO_MOVE_REPLACEMENT_2` the old file has its third name, and
    /// there is nothing in its place.
    pub(super) fn exchange(
        &self,
        new: &Path,
        target: &Path,
        deadline: Instant,
    ) -> Result<PathBuf, Obstacle> {
        let aside = aside(new);
        let replaced = while_it(may_pass, deadline, || {
            let error = match (self.replace)(target, new, &aside) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Looked at, whatever it says. Nothing is tried again over a file that has the third name.
            match is_missing(&aside) || self.put_back(&aside, target).is_ok() {
                true => Err(error),
                false => Err(io::Error::other("half done")),
            }
        });
        match replaced {
            Ok(()) => Ok(aside),
            Err(_) if !is_missing(&aside) => Err(Obstacle::Halfway),
            Err(error) => Err(obstacle(error)),
        }
    }

    /// Puts `new` where there is nothing.
    pub(super) fn create(
        &self,
        new: &Path,
        target: &Path,
        deadline: Instant,
    ) -> Result<(), Obstacle> {
        patiently(deadline, || (self.rename)(new, target, 0)).map_err(obstacle)
    }

    /// Puts a file where there is nothing.
    pub(super) fn put_back(&self, aside: &Path, target: &Path) -> Result<(), Obstacle> {
        self.create(aside, target, Instant::now() + BACK)
    }

    /// Puts `new` in place of whatever is there.
    pub(super) fn rename(&self, new: &Path, target: &Path) -> Result<(), Obstacle> {
        (self.rename)(new, target, MOVEFILE_REPLACE_EXISTING).map_err(obstacle)
    }

    /// Takes what is there away, to a name that is new.
    pub(super) fn take_away(
        &self,
        target: &Path,
        aside: &Path,
        deadline: Instant,
    ) -> Result<(), Obstacle> {
        patiently(deadline, || (self.rename)(target, aside, 0)).map_err(obstacle)
    }

    /// NTFS writes names down in order, in a journal of its own; there is nothing to call.
    pub(in crate::mirror) fn flush_directory(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Where what `new` displaces goes.
fn aside(new: &Path) -> PathBuf {
    let name = new.file_name().and_then(|name| name.to_str());
    // All that is put in place has a name of ours.
    new.with_file_name(
        name.and_then(counterpart)
            .unwrap_or_else(|| Which::Stored.complete()),
    )
}

fn replace(target: &Path, new: &Path, aside: &Path) -> io::Result<()> {
    let [target, new, aside] = [target, new, aside].map(wide);
    // SAFETY: the strings end in NUL and outlive the call; what is reserved is null.
    let replaced = unsafe {
        ReplaceFileW(
            target.as_ptr(),
            new.as_ptr(),
            aside.as_ptr(),
            0,
            null(),
            null_mut(),
        )
    };
    done(replaced)
}

/// Durable when it returns.
fn rename(from: &Path, to: &Path, flags: u32) -> io::Result<()> {
    let [from, to] = [from, to].map(wide);
    // SAFETY: the strings end in NUL and outlive the call.
    done(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), flags | MOVEFILE_WRITE_THROUGH) })
}

fn done(outcome: i32) -> io::Result<()> {
    match outcome {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether an exchange that was refused may soon be possible.
fn may_pass(error: &io::Error) -> bool {
    is_passing(error) || is_of_replacing(error)
}

/// Whether it is one of those that `ReplaceFile` alone has: somebody has one of the two files open.
fn is_of_replacing(error: &io::Error) -> bool {
    const REPLACING: [u32; 3] = [
        ERROR_UNABLE_TO_REMOVE_REPLACED,
        ERROR_UNABLE_TO_MOVE_REPLACEMENT,
        ERROR_UNABLE_TO_MOVE_REPLACEMENT_2,
    ];
    code(error).is_some_and(|code| REPLACING.contains(&code))
}

/// Whether there is nothing of that name, which a file that cannot be looked at does not show.
fn is_missing(path: &Path) -> bool {
    matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

fn obstacle(error: io::Error) -> Obstacle {
    match code(&error) {
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND) => Obstacle::Gone,
        Some(ERROR_ALREADY_EXISTS | ERROR_FILE_EXISTS) => Obstacle::Occupied,
        _ if is_taken(&error) || is_of_replacing(&error) => Obstacle::Open,
        _ => Obstacle::Io(error),
    }
}

fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}
