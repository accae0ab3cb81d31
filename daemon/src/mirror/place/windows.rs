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

use super::super::file::{is_taken, patiently, write_at};
use super::super::lease::{self, Kind, Lease, Refused};
use super::super::leftover::{Which, counterpart};
use super::Obstacle;

/// How long a file that is put back may be open elsewhere.
const BACK: Duration = Duration::from_millis(100);

/// What is asked of the system.
#[derive(Clone, Copy)]
pub(in crate::mirror) struct Kernel {
    pub(in crate::mirror) lease: fn(&File, Kind, Instant) -> Result<Lease<'_>, Refused>,
    pub(in crate::mirror) flush: fn(&File) -> io::Result<()>,
    /// Writes into a file at an offset.
    pub(in crate::mirror) put: fn(&File, &[u8], u64) -> io::Result<()>,
}

impl Kernel {
    pub(in crate::mirror) const REAL: Self = Self {
        lease: lease::take,
        flush: File::sync_data,
        put: write_at,
    };

    /// Puts `new` in place; says where what was there lies now.
    pub(super) fn exchange(
        &self,
        new: &Path,
        target: &Path,
        deadline: Instant,
    ) -> Result<PathBuf, Obstacle> {
        let aside = aside(new);
        let replaced = patiently(deadline, || replace(target, new, &aside));
        match replaced {
            Ok(()) => Ok(aside),
            Err(error) => {
                if code(&error) == Some(ERROR_UNABLE_TO_MOVE_REPLACEMENT_2) {
                    // Half done: what was there has its third name already.
                    put_back(&aside, target);
                }
                Err(obstacle(error))
            }
        }
    }

    /// Puts `new` where there is nothing.
    pub(super) fn create(
        &self,
        new: &Path,
        target: &Path,
        deadline: Instant,
    ) -> Result<(), Obstacle> {
        patiently(deadline, || move_file(new, target, 0)).map_err(obstacle)
    }

    /// Puts a file where there is nothing.
    pub(super) fn put_back(&self, aside: &Path, target: &Path) -> Result<(), Obstacle> {
        self.create(aside, target, Instant::now() + BACK)
    }

    /// Puts `new` in place of whatever is there.
    pub(super) fn rename(&self, new: &Path, target: &Path) -> Result<(), Obstacle> {
        move_file(new, target, MOVEFILE_REPLACE_EXISTING).map_err(obstacle)
    }

    /// Takes what is there away, to a name that is new.
    pub(super) fn take_away(
        &self,
        target: &Path,
        aside: &Path,
        deadline: Instant,
    ) -> Result<(), Obstacle> {
        patiently(deadline, || move_file(target, aside, 0)).map_err(obstacle)
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

/// Repairs what a kill in the middle of an exchange has left: the old file with its third name, the
/// new one waiting, and nothing between them.
pub(in crate::mirror) fn mend<'a>(target: &Path, complete: impl Iterator<Item = &'a Path>) {
    if target.symlink_metadata().is_ok() {
        return;
    }
    let complete: Vec<&Path> = complete.collect();
    let half_done = complete.iter().find_map(|new| {
        let name = new.file_name()?.to_str()?;
        // Of the two, the number of what was displaced is the higher one.
        let displaced = counterpart(name).filter(|displaced| displaced.as_str() > name)?;
        let displaced = new.with_file_name(displaced);
        complete.contains(&displaced.as_path()).then_some(displaced)
    });
    if let Some(displaced) = half_done {
        put_back(&displaced, target);
    }
}

fn put_back(displaced: &Path, target: &Path) {
    match patiently(Instant::now() + BACK, || move_file(displaced, target, 0)) {
        Ok(()) => tracing::info!("a file that was half replaced is back in its place"),
        Err(error) => tracing::error!(%error, "a file stays aside"),
    }
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
fn move_file(from: &Path, to: &Path, flags: u32) -> io::Result<()> {
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

fn code(error: &io::Error) -> Option<u32> {
    error.raw_os_error().map(i32::cast_unsigned)
}

fn obstacle(error: io::Error) -> Obstacle {
    match code(&error) {
        Some(ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND) => Obstacle::Gone,
        Some(ERROR_ALREADY_EXISTS | ERROR_FILE_EXISTS) => Obstacle::Occupied,
        // Both files have their names still, or again.
        Some(
            ERROR_UNABLE_TO_REMOVE_REPLACED
            | ERROR_UNABLE_TO_MOVE_REPLACEMENT
            | ERROR_UNABLE_TO_MOVE_REPLACEMENT_2,
        ) => Obstacle::Open,
        _ if is_taken(&error) => Obstacle::Open,
        _ => Obstacle::Io(error),
    }
}

fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}
