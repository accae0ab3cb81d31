//! Windows: identity is a security identifier (SID), a connection a named pipe.

#![allow(
    unsafe_code,
    reason = "owners and numbers of files come from the Windows API alone"
)]

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsRawHandle as _;
use std::path::{Path, PathBuf};

use interprocess::local_socket::PeerCreds;
use windows_sys::Win32::Security::Authorization::SE_FILE_OBJECT;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_READ_ATTRIBUTES, GetFileInformationByHandle, READ_CONTROL,
};

use super::Identity;
use crate::error::{Error, Kind};

mod access;
mod identity;
mod own;
mod pipe;

pub use access::{is_open_to_others, is_open_to_writers};
pub use identity::{is_own_process, own_sid, process_name};
pub use own::{make_own_dir, make_own_dirs, open_own};
pub use pipe::Stream;

/// The variable that names the person's directory.
pub const HOME: &str = "USERPROFILE";

/// What the file of a program is called.
pub const PROGRAM_SUFFIX: &str = ".exe";

/// Where the names of pipes begin.
const PIPES: &str = r"\\.\pipe\";

/// The value of a variable where it is an absolute path.
pub fn absolute(env: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    let value = env(name).map(PathBuf::from);
    value.filter(|path| path.is_absolute())
}

/// The directory of `config.toml`: it may follow the person to other machines.
pub fn config_dir(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let roaming = absolute(&env, "APPDATA")
        .or_else(|| Some(absolute(&env, HOME)?.join(r"AppData\Roaming")))?;
    Some(roaming.join("hfd"))
}

/// The directory under which state is kept: local application data, which stays on this machine.
pub fn state_home(env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, &'static str> {
    absolute(&env, "LOCALAPPDATA")
        .or_else(|| Some(absolute(&env, HOME)?.join(r"AppData\Local")))
        .map(|local| local.join("hfd"))
        .ok_or("neither LOCALAPPDATA nor USERPROFILE is an absolute path")
}

/// The state of this machine.
pub fn state_dir(home: &Path) -> PathBuf {
    home.to_owned()
}

/// Directories of the session: there are none.
pub fn runtime_dirs(_env: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    Vec::new()
}

/// Where a client looks for the daemon's pipe.
pub fn sockets<'a>(
    _runtime_dirs: &'a [PathBuf],
    _state_dir: impl Fn() -> PathBuf + 'a,
) -> impl Iterator<Item = PathBuf> + 'a {
    std::iter::once_with(pipe)
}

/// Where a daemon may listen.
pub fn sockets_to_bind(_runtime_dirs: &[PathBuf], _state_dir: PathBuf) -> Vec<PathBuf> {
    vec![pipe()]
}

/// The pipe of this person: names of pipes are the whole machine's.
fn pipe() -> PathBuf {
    format!("{PIPES}hfd-{}", own_sid()).into()
}

/// Whether a value of `HFD_SOCKET` can be one, and what it should be.
pub fn is_socket(path: &Path) -> Result<(), &'static str> {
    let text = path.as_os_str().to_string_lossy();
    match text.strip_prefix(PIPES) {
        Some(name) if !name.is_empty() && !name.contains('\\') => Ok(()),
        _ => Err(r"is not the name of a pipe (\\.\pipe\NAME)"),
    }
}

/// The directory of the log of a daemon that was started on demand.
pub fn log_dir(_env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    None
}

/// The file that tells who holds the daemon's lock. Another one: a lock on Windows keeps others from
/// reading (LockFileEx).
pub fn lock_text(lock: &Path) -> PathBuf {
    lock.with_extension("json")
}

/// An id of the time since this machine was started. Windows has none, and hfd needs none: a pipe
/// ends with its server.
pub fn boot_id() -> String {
    String::new()
}

/// Opens a directory that belongs to us and that nobody else may write in, creating it (parents too), for us alone,
/// where it is missing. Others may list one that was there: the files that we make in it are ours alone
/// whatever it says.
pub fn private_dir(path: &Path) -> Result<File, Error> {
    let shown = path.display();
    let cannot = |what: &str, source: &io::Error| {
        Error::new(
            Kind::Other,
            format!("cannot {what} the directory {shown}: {source}"),
        )
    };
    make_own_dirs(path).map_err(|source| cannot("make", &source))?;
    let directory = OpenOptions::new()
        .access_mode(FILE_READ_ATTRIBUTES | READ_CONTROL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
        .map_err(|source| cannot("open", &source))?;
    let metadata = directory
        .metadata()
        .map_err(|source| cannot("examine", &source))?;
    if !metadata.is_dir() {
        return Err(refused(path, "a link or a file"));
    }
    if !is_own_file(&directory).map_err(|source| cannot("examine", &source))? {
        return Err(refused(path, "owned by another user"));
    }
    if is_open_to_writers(&directory).map_err(|source| cannot("examine", &source))? {
        return Err(refused(path, "open to other users, who can write there"));
    }
    Ok(directory)
}

fn refused(path: &Path, why: &str) -> Error {
    let path = path.display();
    Error::new(Kind::Refused, format!("the directory {path} is {why}")).hint(format!(
        "move it away, and hfd makes another; or make it yours alone: {}",
        close(&path, "(OI)(CI)F")
    ))
}

/// What a person types to make a file theirs alone.
pub fn how_to_close(path: impl Display) -> String {
    close(&path, "F")
}

/// By the SIDs of the person and of the system, which no shell and no language changes.
fn close(path: &impl Display, rights: &str) -> String {
    let own = own_sid();
    format!(
        r#"icacls "{path}" /inheritance:r /grant:r "*{own}:{rights}" "*{SYSTEM}:{rights}""#,
        SYSTEM = identity::SYSTEM
    )
}

/// Whether the file belongs to this person, or to the administrators: to them belongs what a person
/// makes with raised rights, and they can do everything anyway.
///
/// # Errors
/// When the system does not say.
pub fn is_own_file(file: &File) -> io::Result<bool> {
    let owner = identity::owner(file.as_raw_handle(), SE_FILE_OBJECT)?;
    Ok(owner == own_sid() || owner == identity::ADMINISTRATORS)
}

/// Which file this is.
///
/// # Errors
/// When the system does not say.
pub fn identity(file: &File) -> io::Result<Identity> {
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open as long as `file` lives, and the structure is ours.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &mut information) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Identity {
        volume: information.dwVolumeSerialNumber.into(),
        file: u64::from(information.nFileIndexHigh) << 32 | u64::from(information.nFileIndexLow),
    })
}

/// Which file the path leads to; of a link, which link.
///
/// # Errors
/// When there is none, or the system does not say.
pub fn identity_at(path: &Path) -> io::Result<Identity> {
    let file = OpenOptions::new()
        .access_mode(FILE_READ_ATTRIBUTES)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    identity(&file)
}

/// Opens what a path leads to, to be read.
///
/// # Errors
/// Those of opening a file.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Whether the process at the other end of a connection is this person's.
pub fn is_own_peer(peer: &PeerCreds) -> bool {
    peer.pid().is_some_and(is_own_process)
}

/// A string as the Windows API wants it.
fn wide(text: &OsStr) -> Vec<u16> {
    use std::os::windows::ffi::OsStrExt as _;
    text.encode_wide().chain([0]).collect()
}

/// Whoever makes a pipe may be more than a person (an administrator): it is to be the person's.
#[cfg(test)]
pub(crate) fn ours(
    options: interprocess::local_socket::ListenerOptions<'_>,
) -> interprocess::local_socket::ListenerOptions<'_> {
    use interprocess::os::windows::local_socket::ListenerOptionsExt as _;
    use interprocess::os::windows::security_descriptor::SecurityDescriptor;

    let sid = own_sid();
    let rules = widestring::U16CString::from_str(format!("O:{sid}D:P(A;;GA;;;{sid})")).unwrap();
    options.security_descriptor(SecurityDescriptor::deserialize(&rules).unwrap())
}
