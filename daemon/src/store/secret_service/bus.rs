//! The connection to the session bus.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{Select, StreamExt as _, select};
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::{Connection, MatchRule, Message, MessageStream, connection, message};

use super::changes::{Changes, Listening};
use super::fault::Fault;
use super::prompt::Prompts;

/// The name of every provider.
pub(super) const PROVIDER: &str = "org.freedesktop.secrets";

/// How long the answer to one message may take. A provider answers within milliseconds, one that
/// the bus has to start within tens of them; half of a call's deadline leaves time to find out that
/// it was the session that was gone.
const MESSAGE: Duration = Duration::from_secs(2);

/// Signals that may wait unread while a call is made. They are few; zbus stops reading from the bus
/// when a queue is full.
const SIGNS: usize = 64;

/// Where the session bus may be, in order.
pub(super) struct Addresses(Vec<String>);

impl Addresses {
    pub(super) fn new(env: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        if let Some(addresses) = set("DBUS_SESSION_BUS_ADDRESS") {
            let addresses = addresses.to_string_lossy();
            return Self(addresses.split(';').map(str::to_owned).collect());
        }
        let runtime_dir = set("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
            .unwrap_or_else(|| {
                let uid = rustix::process::getuid().as_raw();
                PathBuf::from(format!("/run/user/{uid}"))
            });
        Self(vec![unix_address(&runtime_dir.join("bus"))])
    }
}

/// The address of a socket. All but a few characters are escaped, as the D-Bus specification asks
/// ("Server Addresses").
fn unix_address(path: &Path) -> String {
    let mut address = String::from("unix:path=");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'/' | b'.' | b'\\' => {
                address.push(char::from(*byte));
            }
            byte => address.push_str(&format!("%{byte:02x}")),
        }
    }
    address
}

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Another provider, or none: sessions are void.
    Provider,
    /// A collection was locked, unlocked, made or removed.
    Collections,
    /// The bus is gone.
    Disconnected,
}

/// A connection, and the signals that come over it.
pub(super) struct Bus {
    pub(super) connection: Connection,
    pub(super) prompts: Prompts,
    pub(super) changes: Changes,
    _listening: Listening,
    signals: Select<MessageStream, MessageStream>,
}

impl Bus {
    pub(super) async fn connect(addresses: &Addresses, changes: &Changes) -> Result<Self, Fault> {
        let mut outcome = Err(Fault::NoBus(String::from("no address is known")));
        for address in &addresses.0 {
            outcome = connect(address)
                .await
                .map_err(|error| match Fault::from(error) {
                    Fault::Silent => Fault::Silent,
                    fault => Fault::NoBus(format!("{address}: {fault}")),
                });
            if outcome.is_ok() {
                break;
            }
        }
        let connection = outcome?;
        let owner = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender("org.freedesktop.DBus")?
            .interface("org.freedesktop.DBus")?
            .member("NameOwnerChanged")?
            .arg(0, PROVIDER)?
            .build();
        // CollectionCreated, CollectionDeleted, CollectionChanged: the last comes with a lock.
        let collections = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .interface("org.freedesktop.Secret.Service")?
            .build();
        let signals = select(
            MessageStream::for_match_rule(owner, &connection, Some(SIGNS)).await?,
            MessageStream::for_match_rule(collections, &connection, Some(SIGNS)).await?,
        );
        Ok(Self {
            _listening: changes.listen(&connection).await?,
            connection,
            prompts: Prompts::default(),
            changes: changes.clone(),
            signals,
        })
    }

    /// Whether some program offers the Secret Service at this moment.
    pub(super) async fn has_provider(&self) -> Result<bool, Fault> {
        let bus = DBusProxy::new(&self.connection).await?;
        let name = BusName::try_from(PROVIDER)?;
        Ok(bus.name_has_owner(name).await?)
    }

    /// The next signal, waited for. Cancelling loses none.
    pub(super) async fn sign(&mut self) -> Sign {
        read(self.signals.next().await)
    }

    /// The next signal, if one has arrived.
    pub(super) fn next_sign(&mut self) -> Option<Sign> {
        self.signals.next().now_or_never().map(read)
    }
}

async fn connect(address: &str) -> zbus::Result<Connection> {
    connection::Builder::address(address)?
        .method_timeout(MESSAGE)
        .build()
        .await
}

fn read(signal: Option<zbus::Result<Message>>) -> Sign {
    match signal {
        Some(Ok(message)) => match message.header().member() {
            Some(member) if member.as_str() == "NameOwnerChanged" => Sign::Provider,
            _ => Sign::Collections,
        },
        Some(Err(_)) | None => Sign::Disconnected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(vars: &[(&str, &str)]) -> Vec<String> {
        let find = |name: &str| vars.iter().find(|(key, _)| *key == name);
        Addresses::new(|name| find(name).map(|(_, value)| value.into())).0
    }

    #[test]
    fn the_bus_is_where_the_environment_says() {
        let both = [
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/a;unix:path=/b"),
            ("XDG_RUNTIME_DIR", "/run/x"),
        ];
        assert_eq!(addresses(&both), ["unix:path=/a", "unix:path=/b"]);
        assert_eq!(addresses(&both[1..]), ["unix:path=/run/x/bus"]);
        let empty = [("DBUS_SESSION_BUS_ADDRESS", ""), ("XDG_RUNTIME_DIR", "x")];
        assert!(addresses(&empty)[0].starts_with("unix:path=/run/user/"));
    }

    #[test]
    fn a_path_cannot_break_out_of_its_address() {
        let odd = [("XDG_RUNTIME_DIR", "/run/a,b;c=d é")];
        assert_eq!(
            addresses(&odd),
            ["unix:path=/run/a%2cb%3bc%3dd%20%c3%a9/bus"]
        );
    }
}
