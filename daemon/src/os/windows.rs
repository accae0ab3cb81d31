//! Windows. Who may read a file says its access control list.

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
use hfd_proto::os::{is_open_to_others, is_open_to_writers, is_own_file};
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

/// Opens a file to be read, and not through a link.
pub(crate) fn open_itself(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// A link itself is opened, and is no regular file then.
pub(crate) fn is_link_error(_error: &io::Error) -> bool {
    false
}

/// Whether others can come at a secret in the file; nothing where it is ours alone.
pub(crate) fn exposed(file: &File) -> io::Result<Option<Exposed>> {
    Ok(if !file.metadata()?.is_file() {
        Some(Exposed::NoFile)
    } else if !is_own_file(file)? {
        Some(Exposed::Foreign)
    } else if is_open_to_others(file)? {
        Some(Exposed::Open)
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
    Ok(!is_own_file(file)? || is_open_to_writers(file)?)
}

/// What was made here is closed from its first moment; what was there keeps the rules that somebody has given it, and
/// the log, which this is for, holds no token.
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

#[cfg(test)]
pub(crate) mod tests {
    use std::os::windows::ffi::OsStrExt as _;
    use std::ptr::null_mut;

    use hfd_proto::os::{Own, open_own, own_sid};
    use windows_sys::Win32::Foundation::LocalFree;
    use windows_sys::Win32::Security::Authorization::{
        ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
    };
    use windows_sys::Win32::Security::{DACL_SECURITY_INFORMATION, SetFileSecurityW};

    use super::*;

    /// Gives a file or a directory this person, and what else is said in the language of security descriptors
    /// (SDDL).
    pub(crate) fn allow(path: &Path, others: &str) {
        let wide = |text: &std::ffi::OsStr| text.encode_wide().chain([0]).collect::<Vec<u16>>();
        let list = format!("D:P(A;OICI;FA;;;{}){others}", own_sid());
        let (path, list) = (wide(path.as_os_str()), wide(list.as_ref()));
        let mut descriptor = null_mut();
        // SAFETY: the strings end in NUL and outlive the calls; the descriptor is freed once.
        unsafe {
            assert_ne!(
                ConvertStringSecurityDescriptorToSecurityDescriptorW(
                    list.as_ptr(),
                    SDDL_REVISION_1,
                    &mut descriptor,
                    null_mut(),
                ),
                0
            );
            let set = SetFileSecurityW(path.as_ptr(), DACL_SECURITY_INFORMATION, descriptor);
            LocalFree(descriptor);
            assert_ne!(set, 0, "{}", io::Error::last_os_error());
        }
    }

    #[test]
    fn a_file_is_exposed_as_soon_as_others_may_read_it_and_theirs_when_they_may_write() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        let file = open_own(&path, Own::New).unwrap();
        let state = || (exposed(&file).unwrap(), is_others(&file).unwrap());
        assert_eq!(state(), (None, false));
        allow(&path, "(A;;FR;;;WD)");
        assert_eq!(state(), (Some(Exposed::Open), false));
        allow(&path, "(A;;FA;;;WD)");
        assert_eq!(state(), (Some(Exposed::Open), true));
        allow(&path, "");
        assert_eq!(state(), (None, false));
    }
}
