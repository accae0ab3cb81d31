//! A real gnome-keyring: headless, unlocked, on a session bus and in a home of its own.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hfd_daemon::store::{Backend, Change, SecretService, Store};
use hfd_proto::StoreId;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::mpsc;
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};

use crate::bench::{Bench, Breakable, soon};

pub(crate) const PROVIDER: &str = "org.freedesktop.secrets";
const PASSWORD: &[u8] = b"a keyring password";
const PACKAGES: &str = "apt-get install -y --no-install-recommends dbus gnome-keyring keepassxc libkf5wallet-bin libqca-qt5-2-plugins libsecret-tools";

/// What a store tells of items that were touched.
pub(crate) type Followed = mpsc::UnboundedReceiver<(StoreId, Change)>;

pub(crate) struct Keyring {
    home: TempDir,
    bus: Child,
    daemon: Option<Child>,
    /// The test's own connection.
    pub(crate) admin: Connection,
}

impl Keyring {
    /// A bus with an unlocked gnome-keyring.
    pub(crate) async fn start() -> Self {
        let mut keyring = Self::bus_alone(Activation::Standard).await;
        keyring.start_daemon(true).await;
        keyring
    }

    /// A bus on which nothing runs yet.
    pub(crate) async fn bus_alone(activation: Activation) -> Self {
        let home = tempfile::tempdir().unwrap();
        let run = home.path().join("run");
        std::fs::DirBuilder::new().mode(0o700).create(&run).unwrap();
        let bus = start_bus(home.path(), activation);
        let admin = connect(home.path()).await;
        Self {
            home,
            bus,
            daemon: None,
            admin,
        }
    }

    /// The home of everything on the bus.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Takes over the program that is the keychain.
    pub(crate) fn take_daemon(&mut self, daemon: Child) {
        self.daemon = Some(daemon);
    }

    /// Where the bus listens.
    pub(crate) fn address(&self) -> String {
        address(self.home.path())
    }

    /// Starts gnome-keyring, with the password on its standard input or without, and waits until it
    /// has its name: before that, a call would make the bus start another that is locked.
    pub(crate) async fn start_daemon(&mut self, unlocked: bool) {
        let mut command = command("gnome-keyring-daemon", self.home.path());
        command.args(["--foreground", "--components=secrets"]);
        if unlocked {
            command.arg("--unlock");
        }
        let mut daemon = spawn(command.stdin(Stdio::piped()).stdout(Stdio::null()));
        let mut stdin = daemon.stdin.take().unwrap();
        if unlocked {
            stdin.write_all(PASSWORD).unwrap();
        }
        drop(stdin);
        self.daemon = Some(daemon);
        self.provider_is(true).await;
    }

    /// Waits until some program has the provider's name, or none.
    pub(crate) async fn provider_is(&self, there: bool) {
        let bus = DBusProxy::new(&self.admin).await.unwrap();
        let mut changes = bus
            .receive_name_owner_changed_with_args(&[(0, PROVIDER)])
            .await
            .unwrap();
        let waiting = async {
            while bus
                .name_has_owner(PROVIDER.try_into().unwrap())
                .await
                .unwrap()
                != there
            {
                changes.next().await.unwrap();
            }
        };
        soon("the provider to come or go", waiting).await;
    }

    /// The process that offers the Secret Service, whoever started it.
    pub(crate) async fn provider(&self) -> Option<Pid> {
        let bus = DBusProxy::new(&self.admin).await.unwrap();
        let name = PROVIDER.try_into().unwrap();
        let pid = bus.get_connection_unix_process_id(name).await.ok()?;
        Pid::from_raw(pid.cast_signed())
    }

    /// How many connections the bus has.
    pub(crate) async fn connections(&self) -> usize {
        let bus = DBusProxy::new(&self.admin).await.unwrap();
        let names = bus.list_names().await.unwrap();
        names.iter().filter(|name| name.starts_with(':')).count()
    }

    /// Ends the bus, which ends everything on it, and starts another in its place.
    pub(crate) async fn restart_bus(&mut self) {
        self.end_bus();
        self.bus = start_bus(self.home.path(), Activation::Standard);
        self.admin = connect(self.home.path()).await;
    }

    pub(crate) fn end_bus(&mut self) {
        self.end_daemon();
        end(&mut self.bus);
    }

    pub(crate) fn bus_pid(&self) -> Pid {
        pid(&self.bus)
    }

    /// Runs `secret-tool`, with `input` as its standard input.
    pub(crate) fn secret_tool(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = command("secret-tool", self.home.path());
        command.env("DBUS_SESSION_BUS_ADDRESS", self.address());
        command.args(arguments).stdin(Stdio::piped());
        let mut tool = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut stdin = tool.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        tool.wait_with_output().unwrap()
    }

    /// A store, and what it tells of items that were touched.
    pub(crate) fn followed_store(&self) -> (Store, Followed) {
        let place = SecretService::new(|name| match name {
            "DBUS_SESSION_BUS_ADDRESS" => Some(self.address().into()),
            "XDG_CONFIG_HOME" => Some(self.home().join("config").into()),
            _ => None,
        });
        let (changes, told) = mpsc::unbounded_channel();
        let store = Store::spawn_followed(Backend::SecretService(place), changes);
        (store, told)
    }

    /// A method call of the test's own.
    pub(crate) async fn call<B: serde::Serialize + zbus::zvariant::DynamicType>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> zbus::Message {
        let call = self
            .admin
            .call_method(Some(PROVIDER), path, Some(interface), method, body);
        call.await.unwrap()
    }

    /// The attributes of each item in the default collection.
    pub(crate) async fn attributes(&self) -> Vec<HashMap<String, String>> {
        let properties = "org.freedesktop.DBus.Properties";
        let collection = self.collection().await;
        let items = ("org.freedesktop.Secret.Collection", "Items");
        let reply = self
            .call(collection.as_str(), properties, "Get", &items)
            .await;
        let items: OwnedValue = reply.body().deserialize().unwrap();
        let mut all = Vec::new();
        for item in Vec::<OwnedObjectPath>::try_from(items).unwrap() {
            let attributes = ("org.freedesktop.Secret.Item", "Attributes");
            let reply = self
                .call(item.as_str(), properties, "Get", &attributes)
                .await;
            let attributes: OwnedValue = reply.body().deserialize().unwrap();
            all.push(attributes.try_into().unwrap());
        }
        all
    }

    async fn collection(&self) -> OwnedObjectPath {
        let (path, interface) = ("/org/freedesktop/secrets", "org.freedesktop.Secret.Service");
        let reply = self.call(path, interface, "ReadAlias", &"default").await;
        reply.body().deserialize().unwrap()
    }

    fn end_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            end(&mut daemon);
        }
    }
}

impl Bench for Keyring {
    fn store(&self) -> Store {
        self.followed_store().0
    }
}

impl Breakable for Keyring {
    async fn lock(&mut self) {
        let collection = self.collection().await;
        let (path, interface) = ("/org/freedesktop/secrets", "org.freedesktop.Secret.Service");
        self.call(path, interface, "Lock", &vec![collection]).await;
    }

    /// By gnome-keyring's own private interface, which needs no dialog.
    async fn unlock(&mut self) {
        let path = "/org/freedesktop/secrets";
        let session = self
            .call(
                path,
                "org.freedesktop.Secret.Service",
                "OpenSession",
                &("plain", Value::from("")),
            )
            .await;
        let (_, session): (OwnedValue, OwnedObjectPath) = session.body().deserialize().unwrap();
        let secret = (session, Vec::<u8>::new(), PASSWORD.to_vec(), "text/plain");
        let collection = self.collection().await;
        self.call(
            path,
            "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface",
            "UnlockWithMasterPassword",
            &(ObjectPath::from(collection), secret),
        )
        .await;
    }

    fn freeze(&mut self) {
        kill_process(pid(self.daemon.as_ref().unwrap()), Signal::STOP).unwrap();
    }

    fn thaw(&mut self) {
        kill_process(pid(self.daemon.as_ref().unwrap()), Signal::CONT).unwrap();
    }

    async fn end(&mut self) {
        self.end_daemon();
        self.provider_is(false).await;
    }

    async fn start(&mut self) {
        // The bus may have started one, which is locked.
        if let Some(provider) = self.provider().await {
            kill_process(provider, Signal::KILL).unwrap();
            self.provider_is(false).await;
        }
        self.start_daemon(true).await;
    }

    async fn restart(&mut self) {
        self.end().await;
        self.start().await;
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let mut processes = descendants(self.bus_pid());
        processes.extend(self.daemon.as_ref().map(pid));
        for process in &processes {
            let _ = kill_process(*process, Signal::KILL);
        }
        self.end_bus();
        let begun = Instant::now();
        while processes.iter().any(|process| runs(*process)) {
            if begun.elapsed() > Duration::from_secs(5) && !std::thread::panicking() {
                panic!("processes of this test still run: {processes:?}");
            }
            std::thread::yield_now();
        }
    }
}

/// Whether the bus starts a provider that is not running when it is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    Standard,
    None,
}

fn start_bus(home: &Path, activation: Activation) -> Child {
    let _ = std::fs::remove_file(home.join("run/bus"));
    let mut command = command("dbus-daemon", home);
    command.args(["--nofork", "--nopidfile", "--print-address=1"]);
    command.arg(format!("--address={}", address(home)));
    match activation {
        Activation::Standard => command.arg("--session"),
        Activation::None => command.arg(format!("--config-file={}", no_services(home).display())),
    };
    let mut bus = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    // It says its address once it listens.
    let mut line = String::new();
    let stdout = bus.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert!(line.starts_with("unix:path="), "dbus-daemon said {line:?}");
    bus
}

fn no_services(home: &Path) -> PathBuf {
    let path = home.join("bus.conf");
    let config = format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"#,
        address(home)
    );
    std::fs::write(&path, config).unwrap();
    path
}

fn address(home: &Path) -> String {
    format!("unix:path={}/run/bus", home.display())
}

async fn connect(home: &Path) -> Connection {
    let address = address(home);
    let builder = zbus::connection::Builder::address(address.as_str()).unwrap();
    builder.build().await.unwrap()
}

/// A program with an environment that knows nothing of the person who runs the tests. What the bus
/// starts inherits it.
pub(crate) fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("DBUS_SESSION_BUS_ADDRESS", address(home))
        .stderr(Stdio::null());
    command
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| {
        let program = command.get_program().display();
        panic!("cannot start {program}: {error}; install what is missing: {PACKAGES}")
    })
}

fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// The processes that `root` started, and those that they started.
fn descendants(root: Pid) -> HashSet<Pid> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // PID (COMMAND) STATE PARENT …; the command may hold anything.
        let mut after = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let number = |text: Option<&str>| Pid::from_raw(text?.parse().ok()?);
        let (own, parent) = (number(stat.split(' ').next()), number(after.nth(1)));
        parents.extend(own.zip(parent));
    }
    let mut found = HashSet::from([root]);
    loop {
        let known = found.len();
        let more = parents.iter().filter(|(_, parent)| found.contains(parent));
        let more: Vec<Pid> = more.map(|(own, _)| *own).collect();
        found.extend(more);
        if found.len() == known {
            found.remove(&root);
            return found;
        }
    }
}

/// Whether a process is there and no zombie.
fn runs(process: Pid) -> bool {
    let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default().chars().next();
    state.is_some_and(|state| state != 'Z')
}
