//! Windows. Whoever has a file open says what others may do with it meanwhile; Python lets them read and
//! write, and neither replace nor remove it.

#![allow(
    unsafe_code,
    reason = "the change time of a file comes from the Windows API alone"
)]

use std::fs::{DirEntry, File, Metadata, OpenOptions};
use std::hash::Hash;
use std::io;
use std::mem::size_of;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::windows::io::AsRawHandle as _;
use std::path::{Component, Path, PathBuf, Prefix};
use std::time::{Duration, Instant, SystemTime};

use hfd_proto::os::{Own, is_open_to_writers, is_own_file, make_own_dirs, open_own};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_CANT_RESOLVE_FILENAME, ERROR_DELETE_PENDING, ERROR_LOCK_VIOLATION,
    ERROR_SHARING_VIOLATION,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_BASIC_INFO, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_READ_ATTRIBUTES, FileBasicInfo, GetDriveTypeW, GetFileInformationByHandleEx, READ_CONTROL,
};

use super::Described;
use crate::os::information;

/// From winbase.h; windows-sys has it elsewhere.
const DRIVE_REMOTE: u32 = 4;

/// How long is waited for a program that lets nobody read: a virus scanner has a new file open for
/// some milliseconds.
const SCANNERS: Duration = Duration::from_millis(250);

/// How long a removed file may keep its name, which is as long as somebody has it open. Windows says
/// access denied of it, and so it does of what will be denied for ever.
const REMOVALS: Duration = Duration::from_millis(50);

/// How often such a file is tried again.
const RETRY: Duration = Duration::from_millis(5);

/// What identifies a state of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    volume: u32,
    file: u64,
    size: u64,
    modified: i64,
    changed: i64,
}

/// The stamp of what a path leads to.
pub(in crate::mirror) fn stamp(path: &Path) -> Option<Stamp> {
    let file = examine(path, FILE_FLAG_BACKUP_SEMANTICS).ok()?;
    let found = information(&file).ok()?;
    let mut times = FILE_BASIC_INFO::default();
    // SAFETY: the handle is open, and the structure is ours and as large as is said.
    let told = unsafe {
        GetFileInformationByHandleEx(
            file.as_raw_handle(),
            FileBasicInfo,
            (&raw mut times).cast(),
            size_of::<FILE_BASIC_INFO>() as u32,
        )
    };
    (told != 0).then(|| Stamp {
        volume: found.dwVolumeSerialNumber,
        file: wide(found.nFileIndexHigh, found.nFileIndexLow),
        size: wide(found.nFileSizeHigh, found.nFileSizeLow),
        modified: times.LastWriteTime,
        changed: times.ChangeTime,
    })
}

fn wide(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Opens something to be looked at and not read, which no one can forbid.
fn examine(path: &Path, flags: u32) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(FILE_READ_ATTRIBUTES | READ_CONTROL)
        .custom_flags(flags)
        .open(path)
}

/// Whether somebody has the file open in a way that is soon over.
pub(in crate::mirror) fn is_taken(error: &io::Error) -> bool {
    const TAKEN: [u32; 3] = [
        ERROR_SHARING_VIOLATION,
        ERROR_LOCK_VIOLATION,
        ERROR_DELETE_PENDING,
    ];
    code(error).is_some_and(|code| TAKEN.contains(&code))
}

/// Whether that may be, or it is a file that was removed and has its name as long as somebody has it open.
pub(in crate::mirror) fn is_passing(error: &io::Error) -> bool {
    is_taken(error) || code(error) == Some(ERROR_ACCESS_DENIED)
}

/// What Windows says.
pub(in crate::mirror) fn code(error: &io::Error) -> Option<u32> {
    error.raw_os_error().map(i32::cast_unsigned)
}

/// Tries again until `deadline`, at least once, while somebody has the file open.
pub(in crate::mirror) fn patiently<T>(
    deadline: Instant,
    attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    while_it(is_passing, deadline, attempt)
}

/// Tries again until `deadline`, at least once, while an error `passes`; what is denied not as long.
pub(in crate::mirror) fn while_it<T>(
    passes: fn(&io::Error) -> bool,
    deadline: Instant,
    mut attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let removed = deadline.min(Instant::now() + REMOVALS);
    loop {
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let until = match code(&error) {
            Some(ERROR_ACCESS_DENIED) => removed,
            _ => deadline,
        };
        if !passes(&error) || Instant::now() >= until {
            return Err(error);
        }
        std::thread::sleep(RETRY);
    }
}

/// Opens what a path leads to.
pub(in crate::mirror) fn open(path: &Path) -> io::Result<File> {
    patiently(Instant::now() + SCANNERS, || File::open(path))
}

/// Opens a file; of a link, the link, which is no regular file.
pub(in crate::mirror) fn open_itself(path: &Path) -> io::Result<File> {
    patiently(Instant::now() + SCANNERS, || {
        OpenOptions::new()
            .read(true)
            .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
            .open(path)
    })
}

/// Opens a file, and no link, to write into it as well.
pub(in crate::mirror) fn open_to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// Makes a file that is ours alone.
pub(in crate::mirror) fn create(path: &Path) -> io::Result<File> {
    open_own(path, Own::New)
}

/// Makes a file that is to replace `target`. It is ours alone until then, and stays so where it becomes the first of its
/// name. Of a file that it replaces it takes the access control list over (`ReplaceFile`): whom the person, or the
/// directory, let in is not shut out by a new token.
pub(in crate::mirror) fn create_like(path: &Path, _target: &Path) -> io::Result<(File, bool)> {
    Ok((create(path)?, false))
}

/// Only a directory that we make gets its rules from us.
pub(in crate::mirror) fn make_directory(path: &Path) -> io::Result<()> {
    make_own_dirs(path)
}

pub(in crate::mirror) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.seek_write(&bytes[done..], offset + done as u64)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            more => done += more,
        }
    }
    Ok(())
}

pub(in crate::mirror) fn describe(file: &File) -> io::Result<Described> {
    let found = information(file)?;
    Ok(Described {
        regular: file.metadata()?.is_file(),
        ours: is_own_file(file)?,
        links: found.nNumberOfLinks.into(),
        length: wide(found.nFileSizeHigh, found.nFileSizeLow),
    })
}

/// Whether an entry of a directory is a regular file of ours, under one name.
pub(in crate::mirror) fn is_plain(entry: &DirEntry) -> bool {
    let file = examine(&entry.path(), FILE_FLAG_OPEN_REPARSE_POINT);
    file.and_then(|file| describe(&file))
        .is_ok_and(|found| found.regular && found.ours && found.links == 1)
}

/// Whether a link is ours.
pub(in crate::mirror) fn is_own_link(path: &Path, _metadata: &Metadata) -> bool {
    let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
    examine(path, flags)
        .and_then(|link| is_own_file(&link))
        .unwrap_or(false)
}

/// What the system says of links that lead in a circle.
pub(in crate::mirror) fn too_many_links() -> io::Error {
    io::Error::from_raw_os_error(ERROR_CANT_RESOLVE_FILENAME.cast_signed())
}

/// Why a directory is not ours alone to write, if it is not; others may read it.
pub(in crate::mirror) fn not_ours_alone(path: &Path) -> io::Result<Option<&'static str>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(Some("is not a directory"));
    }
    let directory = examine(path, FILE_FLAG_BACKUP_SEMANTICS)?;
    Ok(if !is_own_file(&directory)? {
        Some("belongs to another user")
    } else if is_open_to_writers(&directory)? {
        Some("can be written by others")
    } else {
        None
    })
}

/// Whether a directory lies on a drive of this machine.
pub(in crate::mirror) fn is_local(directory: &Path) -> io::Result<bool> {
    let Some(Component::Prefix(prefix)) = directory.components().next() else {
        return Ok(false);
    };
    let (Prefix::Disk(_) | Prefix::VerbatimDisk(_)) = prefix.kind() else {
        // A share.
        return Ok(false);
    };
    let mut root: Vec<u16> = prefix.as_os_str().encode_wide().collect();
    root.extend([u16::from(b'\\'), 0]);
    // SAFETY: the string ends in NUL and outlives the call.
    Ok(unsafe { GetDriveTypeW(root.as_ptr()) } != DRIVE_REMOTE)
}

/// What tells a directory from another one at the same place: volume and number.
pub(in crate::mirror) fn number(path: &Path, _found: &Metadata) -> (u64, u64) {
    let found = examine(path, FILE_FLAG_BACKUP_SEMANTICS).and_then(|file| information(&file));
    found.map_or((0, 0), |found| {
        (
            found.dwVolumeSerialNumber.into(),
            wide(found.nFileIndexHigh, found.nFileIndexLow),
        )
    })
}

/// A directory as the system names it when it tells of it: as it was asked.
pub(in crate::mirror) fn as_told(directory: &Path) -> PathBuf {
    directory.to_owned()
}

/// When a directory was made, which need not be known: a number counts how often it was used. Wine, which
/// has no such time, says the time of the last change.
pub(in crate::mirror) fn born(_found: &Metadata) -> Option<SystemTime> {
    None
}

/// What differs when a file is replaced or changed.
pub(in crate::mirror) fn trace(found: &Metadata) -> impl Ord + Hash + use<> {
    (found.creation_time(), found.last_write_time())
}

#[cfg(test)]
mod tests {
    use hfd_proto::os::is_open_to_others;

    use super::*;
    use crate::os::tests::allow;

    #[test]
    fn a_directory_that_everybody_may_write_is_not_ours_alone_until_they_may_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(not_ours_alone(path).unwrap(), None);
        allow(path, "(A;OICI;FA;;;WD)");
        assert_eq!(
            not_ours_alone(path).unwrap(),
            Some("can be written by others")
        );
        allow(path, "(A;OICI;FR;;;WD)");
        assert_eq!(not_ours_alone(path).unwrap(), None);
    }

    #[test]
    fn the_first_file_of_its_name_is_ours_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (new, target) = (directory.path().join("new"), directory.path().join("token"));
        drop(create_like(&new, &target).unwrap());
        std::fs::rename(&new, &target).unwrap();
        assert!(!is_open_to_others(&open(&target).unwrap()).unwrap());
    }
}
