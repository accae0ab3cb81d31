//! Where things lie by the XDG specification, and what `/proc` and machine-id(5) say.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use interprocess::os::unix::uds_local_socket::Stream;
use rustix::net::sockopt::socket_peercred;

use super::absolute;

/// The directory under which state is kept, for all machines that share the home.
pub fn state_home(env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, &'static str> {
    absolute(&env, "XDG_STATE_HOME")
        .or_else(|| Some(absolute(&env, "HOME")?.join(".local/state")))
        .map(|home| home.join("hfd"))
        .ok_or("neither HOME nor XDG_STATE_HOME is an absolute path")
}

/// The state of this machine, below [`state_home`]: an NFS home is shared by several.
pub fn state_dir(home: &Path) -> PathBuf {
    home.join(machine_id())
}

/// Whether the server of a connection is a process of this person.
pub(super) fn is_own_server(stream: &Stream) -> bool {
    let peer = socket_peercred(stream).map(|peer| peer.uid);
    peer == Ok(rustix::process::geteuid())
}

/// `$XDG_RUNTIME_DIR`, then `/run/user/UID`. Never `TMPDIR`: it differs between shells, and what
/// lies there is aged away.
pub fn runtime_dirs(env: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = absolute(env, "XDG_RUNTIME_DIR").into_iter().collect();
    let usual = Path::new("/run/user").join(rustix::process::getuid().as_raw().to_string());
    if !dirs.contains(&usual) {
        dirs.push(usual);
    }
    dirs
}

/// Where a client looks for the socket.
pub fn sockets<'a>(
    runtime_dirs: &'a [PathBuf],
    _state_dir: impl Fn() -> PathBuf + 'a,
) -> impl Iterator<Item = PathBuf> + 'a {
    runtime_dirs.iter().map(|dir| dir.join("hfd/hfdd.sock"))
}

/// Where a daemon may listen. A runtime directory counts only when it exists; the state directory
/// always does.
pub fn sockets_to_bind(runtime_dirs: &[PathBuf], state_dir: PathBuf) -> Vec<PathBuf> {
    let usable = runtime_dirs.iter().filter(|dir| dir.is_dir());
    usable
        .map(|dir| dir.join("hfd/hfdd.sock"))
        .chain([state_dir.join("hfdd.sock")])
        .collect()
}

/// The directory of the log of a daemon that was started on demand.
pub fn log_dir(_env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    None
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

/// An id of the time since this machine was started, as process ids mean nothing beyond it; empty
/// where the system has none.
pub fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// The name of the program that a process runs; `None` where there is no such process that can be seen.
pub fn process_name(pid: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_directory_of_the_session_goes_first() {
        let of = |value: &'static str| {
            runtime_dirs(move |name| (name == "XDG_RUNTIME_DIR").then(|| value.into()))
        };
        let dirs = of("/run/x");
        assert_eq!(dirs[0], Path::new("/run/x"));
        assert!(dirs[1].starts_with("/run/user"));
        assert_eq!(of("relative"), dirs[1..]);
        let sockets: Vec<PathBuf> = sockets(&dirs, PathBuf::new).collect();
        assert_eq!(sockets[0], Path::new("/run/x/hfd/hfdd.sock"));
    }

    #[test]
    fn state_is_kept_for_each_machine() {
        let env = |name: &str| (name == "HOME").then(|| "/h".into());
        let home = state_home(env).unwrap();
        assert_eq!(home, Path::new("/h/.local/state/hfd"));
        assert_eq!(state_dir(&home).parent(), Some(home.as_path()));
    }
}
