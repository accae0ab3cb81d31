//! Windows. Who may read a file is inherited from its directory, which in a person's profile is this
//! person, the administrators and the system.

#![allow(
    unsafe_code,
    reason = "locking memory, counting links and code pages are calls of the Windows API"
)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsRawHandle as _;
use std::path::Path;
use std::time::Duration;

use hfd_core::text::{Encoding, text_mode_of_windows};
use memmap2::MmapMut;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_OPEN_REPARSE_POINT, GetFileInformationByHandle,
};
use windows_sys::Win32::System::Memory::VirtualLock;
use windows_sys::Win32::System::SystemInformation::GetTickCount64;
use zeroize::Zeroizing;

use super::Exposed;

mod code_page;

/// In what encodings `stored_tokens` is read: huggingface_hub wrote it in the code page before 2.1.1.
pub(crate) const ENCODING: Encoding = Encoding::Utf8OrLocal(code_page::decode_local);

/// What Python's text mode makes of text here.
pub(crate) fn as_text(content: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    text_mode_of_windows(&content)
}

/// A file of our own, and not through a link.
pub(crate) fn own_now(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
}

/// A link itself is opened, and is no regular file then.
pub(crate) fn is_link_error(_error: &io::Error) -> bool {
    false
}

/// Whether others can come at a secret in the file; nothing where it is ours alone.
pub(crate) fn exposed(file: &File) -> io::Result<Option<Exposed>> {
    Ok(if !file.metadata()?.is_file() {
        Some(Exposed::NoFile)
    } else if !hfd_proto::os::is_own_file(file)? {
        Some(Exposed::Foreign)
    } else if information(file)?.nNumberOfLinks != 1 {
        Some(Exposed::Linked)
    } else {
        None
    })
}

/// What the system knows of an open file.
pub(crate) fn information(file: &File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open as long as `file` lives, and the structure is ours.
    match unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut information) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(information),
    }
}

/// Whether another user could have written the file.
pub(crate) fn is_others(file: &File) -> io::Result<bool> {
    Ok(!hfd_proto::os::is_own_file(file)?)
}

/// What is inherited is right.
pub(crate) fn close_to_others(_file: &File) -> io::Result<()> {
    Ok(())
}

/// NTFS writes names down in order, in a journal of its own; there is nothing to call.
pub(crate) fn flush_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Cuts a file that is open for appending, which on Windows is no right to cut it.
pub(crate) fn cut(_file: &File, path: &Path, length: u64) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_len(length)
}

/// The time since the machine started, that asleep included: `GetTickCount64` counts them,
/// `QueryUnbiasedInterruptTime` does not.
pub(crate) fn since_boot() -> Duration {
    // SAFETY: it takes nothing and cannot fail.
    Duration::from_millis(unsafe { GetTickCount64() })
}

/// Keeps the region out of the page file.
pub(crate) fn lock_memory(region: &MmapMut) -> io::Result<()> {
    // SAFETY: the range is the region's own, and locking changes nothing of what it holds.
    match unsafe { VirtualLock(region.as_ptr().cast(), region.len()) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The process's own rule (no heap in crash reports) stands.
pub(crate) fn keep_out_of_dumps(_region: &MmapMut) {}

/// There is no systemd.
pub(crate) fn is_stream(_stream: &str, _file: impl Sized) -> bool {
    false
}
