//! Where things lie by Apple's conventions, and what its kernel says. The socket is with the state:
//! the system's temporary directories are cleaned of what nobody has opened for three days.

#![allow(
    unsafe_code,
    reason = "the host's id, the boot's and a process's name come from libc alone"
)]

use std::ffi::{CStr, OsString};
use std::path::{Path, PathBuf};

use interprocess::local_socket::traits::StreamCommon as _;
use interprocess::os::unix::uds_local_socket::Stream;

use super::{HOME, absolute, is_own_peer};

/// Whether the server of a connection is a process of this person.
pub(super) fn is_own_server(stream: &Stream) -> bool {
    stream.peer_creds().is_ok_and(|peer| is_own_peer(&peer))
}

/// The directory under which state is kept, for all machines that share the home.
pub fn state_home(env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, &'static str> {
    let home = absolute(env, HOME).ok_or("HOME is not an absolute path")?;
    Ok(home.join("Library/Application Support/hfd"))
}

/// The state of this machine, below [`state_home`]: a network home is shared by several.
pub fn state_dir(home: &Path) -> PathBuf {
    home.join(machine_id())
}

/// Directories of the session: there are none that last as long as that.
pub fn runtime_dirs(_env: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    Vec::new()
}

/// Where a client looks for the socket.
pub fn sockets<'a>(
    _runtime_dirs: &'a [PathBuf],
    state_dir: impl Fn() -> PathBuf + 'a,
) -> impl Iterator<Item = PathBuf> + 'a {
    std::iter::once_with(move || state_dir().join("hfdd.sock"))
}

/// Where a daemon may listen.
pub fn sockets_to_bind(_runtime_dirs: &[PathBuf], state_dir: PathBuf) -> Vec<PathBuf> {
    vec![state_dir.join("hfdd.sock")]
}

/// The directory of the log of a daemon that was started on demand.
pub fn log_dir(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    Some(absolute(env, HOME)?.join("Library/Logs/hfd"))
}

/// The first four bytes of the host's UUID (gethostuuid(2)) in hexadecimal digits: enough to tell
/// a person's machines apart, and a socket's path may be no longer than 103 bytes.
fn machine_id() -> String {
    let mut id = [0u8; 16];
    let patience = libc::timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    // SAFETY: `id` has the 16 bytes of a uuid_t, and both pointers are good for the call.
    let answer = unsafe { libc::gethostuuid(id.as_mut_ptr(), &patience) };
    if answer != 0 {
        return "machine".to_owned();
    }
    id[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An id of the time since this machine was started, as process ids mean nothing beyond it; empty
/// where the system has none.
pub fn boot_id() -> String {
    // A UUID as text with its NUL: 37 bytes.
    let mut id = [0u8; 64];
    let mut length = id.len();
    // SAFETY: the name ends in NUL, `length` says how much `id` holds, and nothing is set.
    let answer = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            id.as_mut_ptr().cast(),
            &mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    if answer != 0 {
        return String::new();
    }
    text(&id)
}

/// The name of the program that a process runs; `None` where there is no such process that can be seen.
pub fn process_name(pid: u32) -> Option<String> {
    // MAXCOMLEN is 16, proc_name(3) has twice that.
    let mut name = [0u8; 64];
    let pid = i32::try_from(pid).ok()?;
    // SAFETY: the buffer is as long as is said, and good for the call.
    let length = unsafe { libc::proc_name(pid, name.as_mut_ptr().cast(), name.len() as u32 - 1) };
    (length > 0).then(|| text(&name))
}

/// The text before the first NUL.
fn text(bytes: &[u8]) -> String {
    let text = CStr::from_bytes_until_nul(bytes).unwrap_or_default();
    text.to_string_lossy().into_owned()
}
