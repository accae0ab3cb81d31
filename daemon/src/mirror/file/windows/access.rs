//! The access control list of a directory.

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle as _;
use std::ptr::null_mut;
use std::slice;

use hfd_core::access::{entries, other_writer};
use hfd_proto::os::own_sid;
use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_FILE_OBJECT};
use windows_sys::Win32::Security::{ACL, DACL_SECURITY_INFORMATION};

/// Whether others may write in a directory of ours, which is open with the right to ask (READ_CONTROL).
pub(super) fn is_open_to_others(directory: &File) -> io::Result<bool> {
    let Some(list) = list(directory)? else {
        return Ok(true);
    };
    let entries = entries(&list).ok_or(io::ErrorKind::InvalidData)?;
    Ok(other_writer(&entries, own_sid()).is_some())
}

/// The bytes of the list; `None` where there is none, and everybody may do everything.
fn list(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut list: *mut ACL = null_mut();
    let mut descriptor = null_mut();
    // SAFETY: the handle is open; where it succeeds, `list` is null or points into `descriptor`.
    let status = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            &mut list,
            null_mut(),
            &mut descriptor,
        )
    };
    if status != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(status.cast_signed()));
    }
    // SAFETY: as above; a list says how many bytes it has, itself included.
    let bytes = unsafe { list.as_ref() }.map(|head| unsafe {
        slice::from_raw_parts(list.cast::<u8>(), head.AclSize.into()).to_vec()
    });
    // SAFETY: it was allocated for us, and is not used afterwards.
    unsafe { LocalFree(descriptor) };
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::windows::ffi::OsStrExt as _;
    use std::path::Path;

    use windows_sys::Win32::Security::Authorization::{
        ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
    };
    use windows_sys::Win32::Security::SetFileSecurityW;

    use super::super::not_ours_alone;
    use super::*;

    /// Gives a directory this list, in the language of security descriptors (SDDL).
    fn allow(path: &Path, list: &str) {
        let wide = |text: &std::ffi::OsStr| text.encode_wide().chain([0]).collect::<Vec<u16>>();
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
    fn a_directory_that_everybody_may_write_is_not_ours_alone_until_they_may_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(not_ours_alone(path).unwrap(), None);
        let own = own_sid();
        allow(path, &format!("D:P(A;OICI;FA;;;{own})(A;OICI;FA;;;WD)"));
        assert_eq!(
            not_ours_alone(path).unwrap(),
            Some("can be written by others")
        );
        allow(path, &format!("D:P(A;OICI;FA;;;{own})(A;OICI;FR;;;WD)"));
        assert_eq!(not_ours_alone(path).unwrap(), None);
    }

    #[test]
    fn the_list_of_a_new_directory_names_us() {
        let directory = tempfile::tempdir().unwrap();
        let open = super::super::examine(
            directory.path(),
            windows_sys::Win32::Storage::FileSystem::FILE_FLAG_BACKUP_SEMANTICS,
        );
        let list = list(&open.unwrap()).unwrap().unwrap();
        let entries = entries(&list).unwrap();
        assert!(
            entries.iter().any(|entry| entry.sid == own_sid()),
            "{entries:?}"
        );
    }
}
