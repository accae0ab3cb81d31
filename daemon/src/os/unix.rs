//! Unix.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use hfd_core::text::Encoding;
use memmap2::MmapMut;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::Exposed;

/// In what encodings `stored_tokens` is read.
pub(crate) const ENCODING: Encoding = Encoding::Utf8;

/// What Python's text mode makes of text here: the same.
pub(crate) fn as_text(content: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    content
}

/// Opens a file to be read, neither through a link to a file of someone's choice, nor waiting at a FIFO.
pub(crate) fn open_itself(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}

/// Whether opening failed because of a link in the place of the file.
pub(crate) fn is_link_error(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Whether others can come at a secret in the file; nothing where it is ours alone.
pub(crate) fn exposed(file: &File) -> io::Result<Option<Exposed>> {
    let metadata = file.metadata()?;
    Ok(if !metadata.is_file() {
        Some(Exposed::NoFile)
    } else if !is_ours(&metadata) {
        Some(Exposed::Foreign)
    } else if metadata.mode() & 0o077 != 0 {
        Some(Exposed::Open)
    } else if metadata.nlink() != 1 {
        Some(Exposed::Linked)
    } else {
        None
    })
}

/// Whether another user, but for root, could have written the file.
pub(crate) fn is_others(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let ours = is_ours(&metadata) || metadata.uid() == 0;
    Ok(!ours || metadata.mode() & 0o002 != 0)
}

/// Makes an open file this person's alone to read.
pub(crate) fn close_to_others(file: &File) -> io::Result<()> {
    match file.metadata()?.mode() & 0o077 {
        0 => Ok(()),
        _ => file.set_permissions(Permissions::from_mode(0o600)),
    }
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Makes the names in a directory durable.
pub(crate) fn flush_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_data()
}

/// Cuts a file that is open for appending.
pub(crate) fn cut(file: &File, _path: &Path, length: u64) -> io::Result<()> {
    file.set_len(length)
}

/// The time since the machine started, that asleep included.
///
/// libc's call: rustix reads Linux' shared object by itself, which valgrind takes away.
#[allow(unsafe_code, reason = "clock_gettime(2)")]
pub(crate) fn since_boot() -> Duration {
    // Darwin's CLOCK_MONOTONIC goes on while the machine sleeps; Linux has another for that.
    #[cfg(target_os = "linux")]
    let clock = libc::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to `time`, which is ours, and keeps no pointer to it.
    unsafe { libc::clock_gettime(clock, &mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// Keeps the region out of swap, each page from when it is first used: few people have a thousand
/// tokens.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "mlock2(2)")]
pub(crate) fn lock_memory(region: &MmapMut) -> io::Result<()> {
    // SAFETY: the range is the region's own, and locking changes nothing of what it holds.
    let locked = unsafe {
        rustix::mm::mlock_with(
            region.as_ptr().cast_mut().cast(),
            region.len(),
            rustix::mm::MlockFlags::ONFAULT,
        )
    };
    // Linux before 4.4 has no such call.
    locked.map_err(io::Error::from).or_else(|_| region.lock())
}

/// Keeps the region out of swap.
#[cfg(not(target_os = "linux"))]
pub(crate) fn lock_memory(region: &MmapMut) -> io::Result<()> {
    region.lock()
}

/// Keeps the region out of core dumps and of children.
#[cfg(target_os = "linux")]
pub(crate) fn keep_out_of_dumps(region: &MmapMut) {
    // Where the kernel does not know them, the process's own rules (no core, not dumpable) stand.
    let _ = region.advise(memmap2::Advice::DontDump);
    let _ = region.advise(memmap2::Advice::DontFork);
}

/// The process's own rule (no core) stands.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_out_of_dumps(_region: &MmapMut) {}

/// Whether an open file is the one that `DEVICE:INODE` names.
pub(crate) fn is_stream(stream: &str, file: impl std::os::fd::AsFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}
