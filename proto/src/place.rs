//! Where the daemon lives: the lock that makes it the only one, its socket, and the files beside
//! the lock.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::os;

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
    /// Of the session; see [`os::runtime_dirs`].
    runtime_dirs: Vec<PathBuf>,
    log_dir: Option<PathBuf>,
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
    /// Resolves the places from an environment (`std::env::var_os` but in tests).
    pub fn new(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let state_home = os::state_home(&env).map_err(|why| {
            Error::new(Kind::Other, why).hint(format!("set {} to your home directory", os::HOME))
        })?;
        let explicit_socket = match env("HFD_SOCKET").filter(|value| !value.is_empty()) {
            None => None,
            Some(value) => {
                let path = PathBuf::from(value);
                os::is_socket(&path)
                    .map_err(|why| Error::new(Kind::Usage, format!("HFD_SOCKET {why}")))?;
                Some(path)
            }
        };
        Ok(Self {
            state_home,
            explicit_socket,
            runtime_dirs: os::runtime_dirs(&env),
            log_dir: os::log_dir(&env),
        })
    }

    /// The state directory of this machine: lock, index, journal, log.
    pub fn state_dir(&self) -> PathBuf {
        os::state_dir(&self.state_home)
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
        let dir = self.log_dir.clone().unwrap_or_else(|| self.state_dir());
        dir.join("hfdd.log")
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
        let usual = || os::sockets(&self.runtime_dirs, || self.state_dir());
        let explicit = self.explicit_socket.clone();
        let search = explicit.is_none();
        explicit
            .into_iter()
            .chain(search.then(usual).into_iter().flatten())
    }

    /// Where a daemon may listen, in the order of preference.
    pub fn sockets_to_bind(&self) -> Vec<PathBuf> {
        if let Some(explicit) = &self.explicit_socket {
            return vec![explicit.clone()];
        }
        os::sockets_to_bind(&self.runtime_dirs, self.state_dir())
    }

    /// The file that holds a [`LockFile`], for whoever does not hold the lock.
    pub fn lock_text(&self) -> PathBuf {
        os::lock_text(&self.lock())
    }

    /// What the daemon of this boot wrote into its lock, if one ran here.
    pub fn lock_file(&self) -> Option<LockFile> {
        let content = std::fs::read(self.lock_text()).ok()?;
        let lock: LockFile = serde_json::from_slice(&content).ok()?;
        (lock.boot == os::boot_id()).then_some(lock)
    }
}

impl LockFile {
    /// What the calling process writes into the lock when it listens at `socket`.
    pub fn of_this_process(socket: PathBuf) -> Self {
        Self {
            pid: std::process::id(),
            socket,
            boot: os::boot_id(),
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
    use super::*;

    /// Absolute paths of this system, and a socket's name.
    const HERE: &str = if cfg!(windows) { r"C:\h" } else { "/h" };
    const SOCKET: &str = if cfg!(windows) { r"\\.\pipe\s" } else { "/s" };

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
    fn the_lock_depends_on_the_home_alone() {
        let with = place(&[(os::HOME, HERE), ("XDG_RUNTIME_DIR", "/run/x")]).unwrap();
        let without = place(&[(os::HOME, HERE)]).unwrap();
        let moved = place(&[(os::HOME, HERE), ("HFD_SOCKET", SOCKET)]).unwrap();
        assert_eq!(with.lock(), without.lock());
        assert_eq!(with.lock(), moved.lock());
        assert!(with.lock().starts_with(HERE));
    }

    #[test]
    fn an_explicit_socket_is_the_only_one() {
        let usual = place(&[(os::HOME, HERE)]).unwrap();
        assert!(usual.sockets().count() > 0);
        assert!(usual.sockets().all(|path| os::is_socket(&path).is_ok()));
        assert!(!usual.sockets_to_bind().is_empty());
        let moved = place(&[(os::HOME, HERE), ("HFD_SOCKET", SOCKET)]).unwrap();
        assert_eq!(moved.sockets().collect::<Vec<_>>(), [Path::new(SOCKET)]);
        assert_eq!(moved.sockets_to_bind(), [Path::new(SOCKET)]);
    }

    #[test]
    fn relative_and_missing_places_are_errors_or_ignored() {
        assert!(place(&[]).is_err());
        assert!(place(&[(os::HOME, "relative")]).is_err());
        let relative = place(&[(os::HOME, HERE), ("HFD_SOCKET", "s")]);
        assert_eq!(relative.unwrap_err().kind, Kind::Usage);
        let place = place(&[(os::HOME, HERE), ("XDG_RUNTIME_DIR", "run")]).unwrap();
        assert!(place.sockets().all(|path| path.is_absolute()));
    }

    #[test]
    fn who_holds_the_lock_can_be_read_while_it_is_held() {
        let temp = tempfile::tempdir().unwrap();
        let place = place(&[(os::HOME, temp.path().to_str().unwrap())]).unwrap();
        os::private_dir(&place.state_dir()).unwrap();
        let held = File::create(place.lock()).unwrap();
        held.lock().unwrap();
        assert!(!wait_unlocked(&place.lock(), std::time::Instant::now()).unwrap());
        let told = LockFile::of_this_process(SOCKET.into());
        let content = serde_json::to_vec(&told).unwrap();
        std::fs::write(place.lock_text(), content).unwrap();
        assert_eq!(place.lock_file(), Some(told));
        drop(held);
        assert!(wait_unlocked(&place.lock(), std::time::Instant::now()).unwrap());
    }
}
