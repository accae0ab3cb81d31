//! Unix.

use std::fs::{DirEntry, File, Metadata, OpenOptions, Permissions};
use std::hash::Hash;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
#[cfg(target_os = "macos")]
use std::path::PathBuf;
use std::time::SystemTime;

use hfd_proto::os::{Own, make_own_dirs, open_own};

use super::Described;

/// What identifies a state of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The stamp of what a path leads to.
#[allow(
    clippy::unnecessary_cast,
    reason = "Darwin's numbers have other widths"
)]
pub(in crate::mirror) fn stamp(path: &Path) -> Option<Stamp> {
    rustix::fs::stat(path).ok().map(|stat| Stamp {
        device: stat.st_dev as u64,
        inode: stat.st_ino,
        size: stat.st_size,
        modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
        changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
    })
}

/// Opens what a path leads to. A FIFO would hold the open for ever.
pub(in crate::mirror) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// Opens a file, and no link.
pub(in crate::mirror) fn open_itself(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// Opens a file, and no link, to write into it as well.
pub(in crate::mirror) fn open_to_write(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// Makes a file that is ours alone.
pub(in crate::mirror) fn create(path: &Path) -> io::Result<File> {
    open_own(path, Own::New)
}

/// Makes a file that is to replace `target`. A group that was let in stays in, which is also said;
/// nobody else ever is.
pub(in crate::mirror) fn create_like(path: &Path, target: &Path) -> io::Result<(File, bool)> {
    let file = create(path)?;
    let mut shared = false;
    if let Ok(metadata) = std::fs::metadata(target) {
        let group = metadata.mode() & 0o060;
        // Not another group than that one: where it cannot be given the file, it loses it.
        let same = || {
            file.metadata().is_ok_and(|own| own.gid() == metadata.gid())
                || std::os::unix::fs::fchown(&file, None, Some(metadata.gid())).is_ok()
        };
        if group != 0 && same() {
            file.set_permissions(Permissions::from_mode(0o600 | group))?;
            shared = true;
        }
    }
    Ok((file, shared))
}

/// Only a directory that we make gets a mode from us.
pub(in crate::mirror) fn make_directory(path: &Path) -> io::Result<()> {
    make_own_dirs(path)
}

pub(in crate::mirror) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

pub(in crate::mirror) fn describe(file: &File) -> io::Result<Described> {
    let metadata = file.metadata()?;
    Ok(Described {
        regular: metadata.is_file(),
        ours: is_ours(&metadata),
        links: metadata.nlink(),
        length: metadata.len(),
    })
}

/// Whether an entry of a directory is a regular file of ours, under one name.
pub(in crate::mirror) fn is_plain(entry: &DirEntry) -> bool {
    entry
        .metadata()
        .is_ok_and(|metadata| metadata.is_file() && is_ours(&metadata) && metadata.nlink() == 1)
}

/// Whether a link is ours.
pub(in crate::mirror) fn is_own_link(_path: &Path, metadata: &Metadata) -> bool {
    is_ours(metadata)
}

/// What the system says of links that lead in a circle.
pub(in crate::mirror) fn too_many_links() -> io::Error {
    io::Error::from_raw_os_error(libc::ELOOP)
}

/// Why a directory is not ours alone to write, if it is not; others may read it.
pub(in crate::mirror) fn not_ours_alone(path: &Path) -> io::Result<Option<&'static str>> {
    let metadata = std::fs::metadata(path)?;
    Ok(if !metadata.is_dir() {
        Some("is not a directory")
    } else if !is_ours(&metadata) {
        Some("belongs to another user")
    } else if metadata.mode() & 0o022 != 0 && !group_is_ours_alone(&metadata) {
        Some("can be written by others")
    } else {
        None
    })
}

/// Debian and Fedora give each user a group of the same number with no other member, and a umask
/// of 002: then a group-writable directory is private all the same.
fn group_is_ours_alone(metadata: &Metadata) -> bool {
    metadata.mode() & 0o002 == 0
        && metadata.gid() == metadata.uid()
        && metadata.gid() == rustix::process::getegid().as_raw()
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Whether a directory lies on a file system of this machine.
#[cfg(target_os = "linux")]
pub(in crate::mirror) fn is_local(directory: &Path) -> io::Result<bool> {
    // From statfs(2) and linux/magic.h.
    const LOCAL: [u64; 9] = [
        0xEF53,      // ext2, ext3, ext4
        0x0102_1994, // tmpfs
        0x5846_5342, // xfs
        0x9123_683E, // btrfs
        0x794C_7630, // overlayfs
        0x2FC1_2FC1, // zfs
        0xF2F5_2010, // f2fs
        0xCA45_1A4E, // bcachefs
        0x8584_58F6, // ramfs
    ];
    Ok(LOCAL.contains(&(rustix::fs::statfs(directory)?.f_type as u64)))
}

/// Whether a directory lies on a file system of this machine.
#[cfg(target_os = "macos")]
pub(in crate::mirror) fn is_local(directory: &Path) -> io::Result<bool> {
    Ok(rustix::fs::statfs(directory)?.f_flags & libc::MNT_LOCAL as u32 != 0)
}

/// What tells a directory from another one at the same place: device and inode.
pub(in crate::mirror) fn number(_path: &Path, found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// A directory as the system names it when it tells of it: FSEvents, without links.
#[cfg(target_os = "macos")]
pub(in crate::mirror) fn as_told(directory: &Path) -> PathBuf {
    std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned())
}

/// When a directory was made: the number of one that was removed is soon used again.
pub(in crate::mirror) fn born(found: &Metadata) -> Option<SystemTime> {
    found.created().ok()
}

/// What differs when a file is replaced or changed.
pub(in crate::mirror) fn trace(found: &Metadata) -> impl Ord + Hash + use<> {
    (found.ino(), found.mtime(), found.mtime_nsec())
}
