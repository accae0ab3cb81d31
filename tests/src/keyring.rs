use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::sandbox::Sandbox;
use crate::{eventually, processes};

/// The password of every sandbox's keyring.
const PASSWORD: &str = "correct horse battery staple";

const NAME: &str = "org.freedesktop.secrets";
const LOGIN: &str = "/org/freedesktop/secrets/collection/login";

/// The real GNOME Keyring of a sandbox.
#[derive(Debug)]
pub struct Keyring<'s> {
    sandbox: &'s Sandbox,
}

impl<'s> Keyring<'s> {
    pub(crate) fn new(sandbox: &'s Sandbox) -> Self {
        Self { sandbox }
    }

    /// Starts it with the password, which makes the login keyring at the first time and unlocks it,
    /// and waits until it is the bus's keychain.
    pub fn start(&self) {
        // On a busy machine one now and then ends by itself, before it was of any use.
        let started = (0..3).any(|_| self.start_once());
        assert!(
            started,
            "gnome-keyring-daemon ended three times at its start"
        );
    }

    fn start_once(&self) -> bool {
        let child = self.launch(&["--replace", "--unlock"], PASSWORD);
        let pid = child.id();
        self.sandbox.keep(child);
        self.wait_for_name(pid);
        let mut runs = true;
        // Asking it for its state would have the bus start another one, if it ended meanwhile.
        eventually("the login keyring is unlocked", || {
            runs = self.pid() == Some(pid);
            !runs || !self.is_locked()
        });
        runs
    }

    /// Starts it as a session without a password does: nothing is unlocked, and where nobody has
    /// ever made one there is no default keyring.
    pub fn start_locked(&self) {
        let child = self.launch(&["--replace"], "");
        let pid = child.id();
        self.sandbox.keep(child);
        self.wait_for_name(pid);
    }

    fn launch(&self, how: &[&str], password: &str) -> Child {
        let mut child = self
            .sandbox
            .marked_command("gnome-keyring-daemon".as_ref())
            .args(["--foreground", "--components=secrets"])
            .arg(format!("--control-directory={}", self.control().display()))
            .args(how)
            .env_clear()
            .envs(self.sandbox.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gnome-keyring-daemon starts");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        stdin
            .write_all(password.as_bytes())
            .expect("it reads its password");
        child
    }

    fn wait_for_name(&self, pid: u32) {
        eventually("gnome-keyring owns its name", || self.pid() == Some(pid));
    }

    fn control(&self) -> PathBuf {
        self.sandbox.runtime_dir().join("keyring")
    }

    /// The process that is the bus's keychain now.
    pub fn pid(&self) -> Option<u32> {
        self.sandbox.bus().owner(NAME)
    }

    fn running(&self) -> u32 {
        self.pid().expect("a keyring runs")
    }

    /// Whether the login keyring is locked (or not there).
    pub fn is_locked(&self) -> bool {
        let answer = self.sandbox.bus().call(&[
            "--dest=org.freedesktop.secrets",
            LOGIN,
            "org.freedesktop.DBus.Properties.Get",
            "string:org.freedesktop.Secret.Collection",
            "string:Locked",
        ]);
        !answer.is_some_and(|answer| answer.contains("boolean false"))
    }

    /// Locks the login keyring.
    pub fn lock(&self) {
        let locked = self.sandbox.bus().call(&[
            "--dest=org.freedesktop.secrets",
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service.Lock",
            &format!("array:objpath:{LOGIN}"),
        ]);
        assert!(locked.is_some() && self.is_locked(), "the keyring locks");
    }

    /// Unlocks the login keyring in the running process, as logging in on a screen does: through
    /// its control socket (gnome-keyring `daemon/control/gkd-control-server.c`): a zero byte for the
    /// credentials, then length, operation 1 (unlock) and the password, big-endian.
    pub fn unlock(&self) {
        let mut control =
            UnixStream::connect(self.control().join("control")).expect("the keyring listens");
        let length = u32::try_from(PASSWORD.len()).expect("a short password");
        let mut packet = vec![0];
        for number in [length + 12, 1, length] {
            packet.extend(number.to_be_bytes());
        }
        packet.extend(PASSWORD.as_bytes());
        control.write_all(&packet).expect("the keyring reads");
        let mut answer = [0; 8];
        control
            .read_exact(&mut answer)
            .expect("the keyring answers");
        assert!(!self.is_locked(), "unlocking answered {answer:?}");
    }

    /// Ends it without letting it notice. The bus starts another one, locked, when it is asked.
    pub fn kill(&self) {
        let pid = self.running();
        processes::kill9(pid);
        // A call under way may have had the bus start another one already.
        eventually("the keyring has lost its name", || self.pid() != Some(pid));
    }

    /// Ends it and starts another, unlocked: sessions and connections to the old one are void.
    pub fn restart(&self) {
        self.kill();
        self.start();
    }

    /// Stops it in whatever it does: calls to it hang.
    pub fn freeze(&self) -> Frozen {
        let pid = self.running();
        processes::freeze(pid);
        Frozen { pid }
    }
}

/// A process that stands still until [`Frozen::thaw`].
#[derive(Debug)]
#[must_use = "it is to be thawed"]
pub struct Frozen {
    pid: u32,
}

impl Frozen {
    /// Lets it go on.
    pub fn thaw(self) {
        processes::thaw(self.pid);
    }
}
