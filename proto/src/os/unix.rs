//! Unix: identity is a user id, a connection a socket in a directory that is the person's alone.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use interprocess::local_socket::traits::Stream as _;
use interprocess::local_socket::{GenericFilePath, PeerCreds, ToFsName as _};
use interprocess::os::unix::uds_local_socket::Stream as UnixSocket;
use rustix::fs::OFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::{Identity, Own};
use crate::error::{Error, Kind};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(not(target_os = "linux"))]
mod macos;
#[cfg(not(target_os = "linux"))]
pub use macos::*;

/// The variable that names the person's directory.
pub const HOME: &str = "HOME";

/// What the file of a program is called.
pub const PROGRAM_SUFFIX: &str = "";

/// The value of a variable where it is an absolute path; the specification of the XDG variables demands that
/// relative ones are ignored.
pub fn absolute(env: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    let value = env(name).map(PathBuf::from);
    value.filter(|path| path.is_absolute())
}

/// The directory of `config.toml`.
pub fn config_dir(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = absolute(&env, "XDG_CONFIG_HOME")
        .or_else(|| Some(absolute(&env, HOME)?.join(".config")))?;
    Some(home.join("hfd"))
}

/// Whether a value of `HFD_SOCKET` can be one, and what it should be.
pub fn is_socket(path: &Path) -> Result<(), &'static str> {
    if path.is_absolute() {
        return Ok(());
    }
    Err("is not an absolute path")
}

/// The file that tells who holds the daemon's lock: on Unix the lock itself.
pub fn lock_text(lock: &Path) -> PathBuf {
    lock.to_owned()
}

/// Opens a directory that belongs to us alone, creating it (0700, parents too) where it is
/// missing. What is checked is the descriptor that is returned, so a later swap of the path
/// changes nothing.
pub fn private_dir(path: &Path) -> Result<File, Error> {
    let cannot = |what: String| Error::new(Kind::Other, what);
    make_own_dirs(path).map_err(|source| {
        cannot(format!(
            "cannot make the directory {}: {source}",
            path.display()
        ))
    })?;
    let directory = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits() as i32)
        .open(path)
        .map_err(|source| match source.raw_os_error() {
            // O_DIRECTORY with O_NOFOLLOW says ENOTDIR of a link.
            Some(code) if code == rustix::io::Errno::NOTDIR.raw_os_error() => {
                refused(path, "a link or a file")
            }
            _ => cannot(format!(
                "cannot open the directory {}: {source}",
                path.display()
            )),
        })?;
    let metadata = directory
        .metadata()
        .map_err(|source| cannot(format!("cannot examine {}: {source}", path.display())))?;
    if !is_ours(&metadata) {
        return Err(refused(path, "owned by another user"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refused(path, "open to other users"));
    }
    Ok(directory)
}

fn refused(path: &Path, why: &str) -> Error {
    let path = path.display();
    Error::new(Kind::Refused, format!("the directory {path} is {why}")).hint(format!(
        "move it away, or make it yours alone: chmod 700 {path}"
    ))
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Whether the file belongs to this person.
///
/// # Errors
/// When the system does not say.
pub fn is_own_file(file: &File) -> io::Result<bool> {
    Ok(is_ours(&file.metadata()?))
}

/// Which file this is.
///
/// # Errors
/// When the system does not say.
pub fn identity(file: &File) -> io::Result<Identity> {
    Ok(of_metadata(&file.metadata()?))
}

/// Which file the path leads to; of a link, which link.
///
/// # Errors
/// When there is none, or the system does not say.
pub fn identity_at(path: &Path) -> io::Result<Identity> {
    Ok(of_metadata(&std::fs::symlink_metadata(path)?))
}

fn of_metadata(metadata: &Metadata) -> Identity {
    Identity {
        volume: metadata.dev(),
        file: metadata.ino(),
    }
}

/// Opens a file of this person's own to be read and written, and makes it where there is none. What is made is
/// theirs alone; a link in the place of the file is not followed: on Unix that is an error, on Windows the link
/// itself is opened, which is no regular file. Nor is a FIFO waited for.
///
/// # Errors
/// Those of opening a file.
pub fn open_own(path: &Path, how: Own) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    match how {
        Own::New => options.write(true).create_new(true),
        Own::Emptied => options.write(true).create(true).truncate(true),
        Own::Kept => options.write(true).create(true).truncate(false),
        Own::Appended => options.append(true).create(true),
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    options
        .mode(0o600)
        .custom_flags(flags.bits() as i32)
        .open(path)
}

/// Makes a directory that is this person's alone.
///
/// # Errors
/// Already exists where anything is there; not found where what is above is missing.
pub fn make_own_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes a directory that is this person's alone, and those above it, as far as they are missing.
///
/// # Errors
/// Those of making directories.
pub fn make_own_dirs(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// What a person types to make a file theirs alone.
pub fn how_to_close(path: impl Display) -> String {
    format!("chmod 600 {path}")
}

/// Opens what a path leads to, to be read. Something that is no file does not make us wait (a FIFO, for its
/// writer).
///
/// # Errors
/// Those of opening a file.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)
}

/// Whether the process at the other end of a connection is this person's.
pub fn is_own_peer(peer: &PeerCreds) -> bool {
    peer.euid() == Some(rustix::process::geteuid().as_raw())
}

/// A connection to a socket, blocking.
#[derive(Debug)]
pub struct Stream(interprocess::local_socket::Stream);

impl Stream {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Not found or connection refused where nobody listens.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let name = path.to_fs_name::<GenericFilePath>()?;
        interprocess::local_socket::Stream::connect(name).map(Self)
    }

    /// Whether the server is a process of this person.
    pub fn is_own(&self) -> bool {
        is_own_server(self.socket())
    }

    /// How long one reading or writing may take from now on; `None`: for ever.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_patience(&mut self, patience: Option<Duration>) -> io::Result<()> {
        // By system calls: each function of libc that is named here is looked up at every start of a client.
        set_socket_timeout(self.socket(), Timeout::Recv, patience)?;
        Ok(set_socket_timeout(self.socket(), Timeout::Send, patience)?)
    }

    fn socket(&self) -> &UnixSocket {
        let interprocess::local_socket::Stream::UdSocket(socket) = &self.0;
        socket
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What is bound here is ours as it is.
#[cfg(test)]
pub(crate) fn ours(
    options: interprocess::local_socket::ListenerOptions<'_>,
) -> interprocess::local_socket::ListenerOptions<'_> {
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_open_to_others_or_behind_a_link_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("hfd");
        private_dir(&dir).unwrap();
        assert_eq!(dir.metadata().unwrap().mode() & 0o777, 0o700);
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&dir, &link).unwrap();
        assert_eq!(private_dir(&link).unwrap_err().kind, Kind::Refused);
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(private_dir(&dir).unwrap_err().kind, Kind::Refused);
    }
}
