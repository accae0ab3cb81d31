//! What systemd is told of this service: a datagram to the socket that `NOTIFY_SOCKET` names
//! (sd_notify(3)). The protocol is one `VARIABLE=value` a line; two are needed, so no crate is.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use hfd_proto::os::config_dir;

/// The service manager that runs this process.
#[derive(Debug)]
pub struct Manager {
    address: SocketAddr,
}

impl Manager {
    /// The one whose socket the environment names; `env` is `std::env::var_os` but in tests.
    pub fn find(env: impl Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        let socket = env("NOTIFY_SOCKET")
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "NOTIFY_SOCKET is not set"))?;
        let address = address(&socket)?;
        Ok(Self { address })
    }

    /// Whether `hfd service install` has put a unit where systemd's user manager looks.
    pub fn is_installed(env: impl Fn(&str) -> Option<OsString>) -> bool {
        // Beside hfd's own configuration: `$XDG_CONFIG_HOME/hfd`.
        let config = config_dir(env);
        let home = config.as_deref().and_then(Path::parent);
        home.is_some_and(|home| home.join("systemd/user/hfd.service").is_file())
    }

    /// What `status` calls it.
    pub fn name(&self) -> &'static str {
        "systemd"
    }

    /// Whether what is written to stderr is kept: in the journal.
    pub fn keeps_stderr(&self) -> bool {
        true
    }

    /// Tells it one thing.
    pub fn tell(&self, what: &str) -> io::Result<()> {
        let sent = UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &self.address)?;
        if sent < what.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }
}

/// An absolute path, or `@` and an abstract name (unix(7)).
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "NOTIFY_SOCKET names no socket",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{READY, STOPPING};
    use super::*;

    fn manager(socket: &str) -> io::Result<Manager> {
        Manager::find(|name| (name == "NOTIFY_SOCKET").then(|| socket.into()))
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut datagram = [0; 64];
        let length = socket.recv(&mut datagram).unwrap();
        String::from_utf8_lossy(&datagram[..length]).into_owned()
    }

    #[test]
    fn a_socket_in_the_file_system_hears_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = manager(path.to_str().unwrap()).unwrap();
        manager.tell(READY).unwrap();
        manager.tell(STOPPING).unwrap();
        assert_eq!(heard(&socket), "READY=1");
        assert_eq!(heard(&socket), "STOPPING=1");
    }

    #[test]
    fn an_abstract_socket_hears_it() {
        let name = format!("hfd-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        manager(&format!("@{name}")).unwrap().tell(READY).unwrap();
        assert_eq!(heard(&socket), "READY=1");
    }

    #[test]
    fn without_a_socket_there_is_no_manager() {
        assert!(Manager::find(|_| None).is_err());
        for socket in ["", "relative", "vsock:2:1234"] {
            assert!(manager(socket).is_err(), "{socket}");
        }
        assert!(manager("/nonexistent/notify").unwrap().tell(READY).is_err());
    }
}
