//! The access control list of a file or a directory: who beside this person may do what.

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle as _;
use std::ptr::null_mut;
use std::slice;

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_FILE_OBJECT};
use windows_sys::Win32::Security::{ACL, DACL_SECURITY_INFORMATION};

use super::own_sid;
use crate::access::{Entry, entries, other_user, other_writer};

/// Whether others may write a file of ours, or in a directory, which is open with the right to ask
/// (READ_CONTROL, which reading includes).
///
/// # Errors
/// When the system does not say, or says what is no access control list.
pub fn is_open_to_writers(file: &File) -> io::Result<bool> {
    is_open(file, other_writer)
}

/// Whether others may read or write a file of ours, which is open with the right to ask.
///
/// # Errors
/// When the system does not say, or says what is no access control list.
pub fn is_open_to_others(file: &File) -> io::Result<bool> {
    is_open(file, other_user)
}

/// The rule says who else may do something.
fn is_open(
    file: &File,
    rule: for<'a> fn(&'a [Entry], &str) -> Option<&'a str>,
) -> io::Result<bool> {
    let Some(list) = list(file)? else {
        return Ok(true);
    };
    let entries = entries(&list).ok_or(io::ErrorKind::InvalidData)?;
    Ok(rule(&entries, own_sid()).is_some())
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
