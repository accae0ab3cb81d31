//! Who a process and a file belong to.

use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle, RawHandle};
use std::path::Path;
use std::ptr::{null_mut, slice_from_raw_parts};
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, GetSecurityInfo, SE_OBJECT_TYPE,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, OWNER_SECURITY_INFORMATION, PSID, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, OpenProcess, OpenProcessToken, PROCESS_QUERY_LIMITED_INFORMATION,
    QueryFullProcessImageNameW,
};

/// The SID of the group of administrators, on every Windows.
pub(super) const ADMINISTRATORS: &str = "S-1-5-32-544";

/// The SID of the system itself.
pub(super) const SYSTEM: &str = "S-1-5-18";

/// The SID of the person whose process this is, as text.
pub fn own_sid() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(|| {
        // SAFETY: a pseudo handle, which is always good and is not closed.
        let process = unsafe { GetCurrentProcess() };
        // A process that cannot read its own token: what is no SID is equal to nobody's.
        sid_of(process).unwrap_or_else(|_| "unknown".to_owned())
    })
}

/// Whether a process is this person's. Its number may be another's by now where it has ended, so this
/// is asked while a connection to it is open.
pub fn is_own_process(pid: u32) -> bool {
    let sid = open(pid).and_then(|process| sid_of(process.as_raw_handle()));
    sid.is_ok_and(|sid| sid == own_sid())
}

/// The name of the program that a process runs, without `.exe`; `None` where there is no such process that can
/// be seen.
pub fn process_name(pid: u32) -> Option<String> {
    let process = open(pid).ok()?;
    let mut path = [0u16; 1024];
    let mut length = path.len() as u32;
    // SAFETY: the handle is open, and `length` says how much `path` holds.
    let done = unsafe {
        QueryFullProcessImageNameW(process.as_raw_handle(), 0, path.as_mut_ptr(), &mut length)
    };
    if done == 0 {
        return None;
    }
    let path = String::from_utf16_lossy(&path[..length as usize]);
    let name = Path::new(&path).file_stem()?;
    Some(name.to_string_lossy().into_owned())
}

fn open(pid: u32) -> io::Result<OwnedHandle> {
    // SAFETY: no pointer is passed, and what is returned is ours alone.
    unsafe { owned(OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid)) }
}

fn sid_of(process: HANDLE) -> io::Result<String> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the process is open, and `token` takes a handle that is ours alone.
    let token = unsafe {
        if OpenProcessToken(process, TOKEN_QUERY, &mut token) == 0 {
            return Err(io::Error::last_os_error());
        }
        owned(token)?
    };
    // A TOKEN_USER and the SID that it points to, which has at most 68 bytes; as words, since the structure holds
    // a pointer.
    let mut buffer = [0usize; 32];
    let mut length = 0;
    // SAFETY: the token is open, and the buffer as long as is said.
    let done = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            buffer.as_mut_ptr().cast(),
            size_of_val(&buffer) as u32,
            &mut length,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has put a TOKEN_USER at the start of the buffer, which is aligned for it.
    let user = unsafe { &*buffer.as_ptr().cast::<TOKEN_USER>() };
    // SAFETY: its SID is valid, and lies in the buffer.
    unsafe { text(user.User.Sid) }
}

/// The SID of the owner of what a handle is of, as text. It has to be open with the right to ask
/// (READ_CONTROL, which reading includes).
pub(super) fn owner(handle: RawHandle, kind: SE_OBJECT_TYPE) -> io::Result<String> {
    let mut sid: PSID = null_mut();
    let mut descriptor = null_mut();
    // SAFETY: the handle is open; where it succeeds, `sid` points into `descriptor`.
    let status = unsafe {
        GetSecurityInfo(
            handle,
            kind,
            OWNER_SECURITY_INFORMATION,
            &mut sid,
            null_mut(),
            null_mut(),
            null_mut(),
            &mut descriptor,
        )
    };
    if status != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(status as i32));
    }
    // SAFETY: as above; the descriptor was allocated for us, and is not used afterwards.
    unsafe {
        let owner = text(sid);
        LocalFree(descriptor);
        owner
    }
}

/// # Safety
/// `sid` is a valid SID.
unsafe fn text(sid: PSID) -> io::Result<String> {
    let mut text: *mut u16 = null_mut();
    // SAFETY: the caller's word.
    if unsafe { ConvertSidToStringSidW(sid, &mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: what was returned ends in NUL, was allocated for us, and is not used afterwards.
    unsafe {
        let length = (0..).take_while(|&at| *text.add(at) != 0).count();
        let string = String::from_utf16_lossy(&*slice_from_raw_parts(text, length));
        LocalFree(text.cast());
        Ok(string)
    }
}

/// # Safety
/// The handle is null, or nobody else's.
unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's word.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}
