//! Where the daemon lives: the lock that makes it the only one, its socket, and the files beside
//! the lock.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};

/// The places of one person on one machine.
///
/// The lock decides which daemon is the one: it lies in the state directory, under this machine's
/// id (an NFS home is shared by several machines), whatever the rest of the environment says.
/// The socket lies in the first usable runtime directory, and the lock file names it.
#[derive(Debug, Clone)]
pub struct Place {
    state_home: PathBuf,
    /// `HFD_SOCKET`: moves the socket, never the lock.
    explicit_socket: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, then `/run/user/UID`. Never `TMPDIR`: it differs between shells, and
    /// what lies there is aged away.
    runtime_dirs: Vec<PathBuf>,
}

/// What the lock file holds: enough for a client whose environment leads it elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFile {
    /// The daemon's process id.
    pub pid: u32,
    /// Where it listens.
    pub socket: PathBuf,
    /// The kernel's boot id: a pid of another boot means nothing.
    pub boot: String,
}

impl Place {
    /// Resolves the places from an environment (`std::env::var_os` but in tests). Relative values
    /// of XDG variables are ignored, as their specification demands.
    pub fn new(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let absolute = |name: &str| {
            env(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let state_home = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .ok_or_else(|| {
                Error::new(
                    Kind::Other,
                    "neither HOME nor XDG_STATE_HOME is an absolute path",
                )
                .hint("set HOME to your home directory")
            })?;
        let explicit_socket = match env("HFD_SOCKET").filter(|value| !value.is_empty()) {
            None => None,
            Some(value) if Path::new(&value).is_absolute() => Some(PathBuf::from(value)),
            Some(_) => {
                return Err(Error::new(
                    Kind::Usage,
                    "HFD_SOCKET is not an absolute path",
                ));
            }
        };
        let mut runtime_dirs: Vec<PathBuf> = absolute("XDG_RUNTIME_DIR").into_iter().collect();
        let usual = Path::new("/run/user").join(rustix::process::getuid().as_raw().to_string());
        if !runtime_dirs.contains(&usual) {
            runtime_dirs.push(usual);
        }
        Ok(Self {
            state_home,
            explicit_socket,
            runtime_dirs,
        })
    }

    /// The state directory of this machine: lock, index, journal, log.
    pub fn state_dir(&self) -> PathBuf {
        self.state_home.join("hfd").join(machine_id())
    }

    /// The lock. Whoever holds it is the daemon.
    pub fn lock(&self) -> PathBuf {
        self.state_dir().join("hfdd.lock")
    }

    /// Held by a client while it starts the daemon, so that of many clients one starts it.
    pub fn start_lock(&self) -> PathBuf {
        self.state_dir().join("start.lock")
    }

    /// The log of a daemon that was started on demand.
    pub fn log(&self) -> PathBuf {
        self.state_dir().join("hfdd.log")
    }

    /// Where `hfd exec --live` puts what its programs read, in the order of preference: memory that
    /// is this person's alone where there is such, else the state directory.
    pub fn live_dirs(&self) -> Vec<PathBuf> {
        let usable = self.runtime_dirs.iter().filter(|dir| dir.is_dir());
        usable
            .map(|dir| dir.join("hfd/live"))
            .chain([self.state_dir().join("live")])
            .collect()
    }

    /// Where a client looks for the socket, in this order; then in [`Place::lock_file`].
    pub fn sockets(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let usual = || {
            self.runtime_dirs
                .iter()
                .map(|dir| dir.join("hfd/hfdd.sock"))
        };
        let explicit = self.explicit_socket.clone();
        let search = explicit.is_none();
        explicit
            .into_iter()
            .chain(search.then(usual).into_iter().flatten())
    }

    /// Where a daemon may listen, in the order of preference. A runtime directory counts only when
    /// it exists; the state directory always does.
    pub fn sockets_to_bind(&self) -> Vec<PathBuf> {
        if let Some(explicit) = &self.explicit_socket {
            return vec![explicit.clone()];
        }
        let usable = self.runtime_dirs.iter().filter(|dir| dir.is_dir());
        usable
            .map(|dir| dir.join("hfd/hfdd.sock"))
            .chain([self.state_dir().join("hfdd.sock")])
            .collect()
    }

    /// What the daemon of this boot wrote into its lock, if one ran here.
    pub fn lock_file(&self) -> Option<LockFile> {
        let content = std::fs::read(self.lock()).ok()?;
        let lock: LockFile = serde_json::from_slice(&content).ok()?;
        (lock.boot == boot_id()).then_some(lock)
    }
}

/// Opens a directory that belongs to us alone, creating it (0700, parents too) where it is
/// missing. What is checked is the descriptor that is returned, so a later swap of the path
/// changes nothing.
pub fn private_dir(path: &Path) -> Result<File, Error> {
    let cannot = |what: String| Error::new(Kind::Other, what);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| {
            cannot(format!(
                "cannot make the directory {}: {source}",
                path.display()
            ))
        })?;
    let directory = std::fs::OpenOptions::new()
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
    if metadata.uid() != rustix::process::geteuid().as_raw() {
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

/// This machine's id (machine-id(5)), or its host name where it has none, as in many containers.
fn machine_id() -> String {
    for path in ["/etc/machine-id", "/var/lib/dbus/machine-id"] {
        if let Ok(id) = std::fs::read_to_string(path) {
            let id = id.trim();
            if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return id.to_owned();
            }
        }
    }
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .replace(['/', '\0'], "-");
    if host.is_empty() || host.starts_with('.') {
        "machine".to_owned()
    } else {
        host
    }
}

/// The kernel's random id of this boot; empty where `/proc` does not say.
pub(crate) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

impl LockFile {
    /// What the calling process writes into the lock when it listens at `socket`.
    pub fn of_this_process(socket: PathBuf) -> Self {
        Self {
            pid: std::process::id(),
            socket,
            boot: boot_id(),
        }
    }
}

/// Waits until `path` is not locked any more, which for the daemon's lock means that the process
/// has ended; false when `deadline` comes first.
///
/// # Errors
/// Whatever opening the file says, except that it is missing: then nobody holds it.
pub fn wait_unlocked(path: &Path, deadline: std::time::Instant) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(true),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        if std::time::Instant::now() >= deadline {
            return Ok(false);
        }
        // flock(2) has no time-out; 2 ms is short beside a process's end and long beside the call.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place(vars: &[(&str, &str)]) -> Result<Place, Error> {
        let vars: Vec<(String, String)> = vars
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        Place::new(move |name| {
            vars.iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_lock_does_not_depend_on_the_runtime_directory() {
        let with = place(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/x")]).unwrap();
        let without = place(&[("HOME", "/h")]).unwrap();
        let moved = place(&[("HOME", "/h"), ("HFD_SOCKET", "/s")]).unwrap();
        assert_eq!(with.lock(), without.lock());
        assert_eq!(with.lock(), moved.lock());
        assert!(with.lock().starts_with("/h/.local/state/hfd"));
    }

    #[test]
    fn the_socket_is_searched_in_order_and_an_explicit_one_alone() {
        let place_ = place(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/x")]).unwrap();
        let sockets: Vec<PathBuf> = place_.sockets().collect();
        assert_eq!(sockets[0], Path::new("/run/x/hfd/hfdd.sock"));
        assert!(sockets[1].starts_with("/run/user"));
        let moved = place(&[("HOME", "/h"), ("HFD_SOCKET", "/s")]).unwrap();
        assert_eq!(moved.sockets().collect::<Vec<_>>(), [Path::new("/s")]);
    }

    #[test]
    fn relative_and_missing_places_are_errors_or_ignored() {
        assert!(place(&[]).is_err());
        assert!(place(&[("HOME", "relative")]).is_err());
        assert_eq!(
            place(&[("HOME", "/h"), ("HFD_SOCKET", "s")])
                .unwrap_err()
                .kind,
            Kind::Usage
        );
        let place = place(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "run")]).unwrap();
        assert!(place.sockets().all(|path| path.is_absolute()));
    }

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
