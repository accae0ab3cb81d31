//! A real KWallet: headless, with a wallet that is open.

use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hfd_daemon::store::{Store, StoreError};

use crate::bench::{Bench as _, Breakable as _, key, secret, soon};
use crate::keyring::{Activation, Keyring, command, spawn};
use crate::keyring_faults::set_in_place;

const CONFIGURATION: &str = "[org.freedesktop.secrets]
apiEnabled=true
[Wallet]
Enabled=true
First Use=false
";

/// The salt of the wallet, and what PBKDF2 with SHA-512 (50,000 times, 56 bytes) makes of it and
/// `a wallet password`: pam_kwallet hands it over when a person logs in, and so no dialog asks.
const SALT: &[u8; 56] = b"hfd.....................................................";
const KEY: &str = "179b76729fbae8d9e3dc959cb0d3ce690f995373ac453821aee9583ab61aa63f58b6c8add48a2f25a3dfe3698cbef4ffd3eddc6951b6d67f";

impl Keyring {
    /// A bus on which nothing but KWallet is the keychain.
    pub(crate) async fn kwallet() -> Self {
        Self::kwallet_with("").await
    }

    /// With more settings of the section `Wallet`.
    async fn kwallet_with(settings: &str) -> Self {
        let mut keyring = Self::bus_alone(Activation::None).await;
        let home = keyring.home().to_owned();
        let (configuration, data) = (home.join("config"), home.join("data/kwalletd"));
        fs::create_dir_all(&configuration).unwrap();
        fs::create_dir_all(&data).unwrap();
        let text = format!("{CONFIGURATION}{settings}");
        fs::write(configuration.join("kwalletrc"), text).unwrap();
        fs::write(data.join("kdewallet.salt"), SALT).unwrap();
        // The first run makes the wallet, and offers it from the second on.
        keyring.start_kwallet().await;
        soon("the wallet to be made", async {
            while !keyring.has_open_wallet().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        keyring.close_wallet().await;
        keyring.end().await;
        keyring.start_kwallet().await;
        keyring
    }

    async fn has_open_wallet(&self) -> bool {
        let reply = self.ask_kwallet("isOpen", &"kdewallet").await;
        reply.body().deserialize().unwrap()
    }

    /// Closes the wallet, as its window would; what it holds is on the disk then.
    async fn close_wallet(&self) {
        self.ask_kwallet("close", &("kdewallet", true)).await;
    }

    async fn ask_kwallet<B>(&self, method: &str, body: &B) -> zbus::Message
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let (name, path) = (Some("org.kde.kwalletd5"), "/modules/kwalletd5");
        let interface = Some("org.kde.KWallet");
        let asking = self.admin.call_method(name, path, interface, method, body);
        asking.await.unwrap()
    }

    /// As pam_kwallet starts it: the key comes through a pipe, and the environment of the session
    /// through a socket.
    async fn start_kwallet(&mut self) {
        let socket = self.home().join("run/kwallet");
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let (key, mut writer) = std::io::pipe().unwrap();
        let mut program = command("kwalletd5", self.home());
        program
            .env("QT_QPA_PLATFORM", "offscreen")
            .env("PAM_KWALLET5_LOGIN", &socket)
            .args(["--pam-login", "1", "2"])
            .stdin(Stdio::null())
            // It takes any but the first.
            .stdout(OwnedFd::from(key))
            .stderr(OwnedFd::from(listener));
        let program = spawn(&mut program);
        let bytes = KEY
            .as_bytes()
            .chunks(2)
            .map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap());
        writer.write_all(&bytes.collect::<Vec<u8>>()).unwrap();
        drop(writer);
        let mut environment = UnixStream::connect(&socket).unwrap();
        writeln!(environment, "DBUS_SESSION_BUS_ADDRESS={}", self.address()).unwrap();
        drop(environment);
        self.take_daemon(program);
        self.provider_is(true).await;
    }
}

/// A dialog would keep the calls waiting.
async fn every_call_finds_it_locked(store: &Store) {
    let begun = Instant::now();
    for outcome in [
        store.get(&key("work")).await.map(drop),
        store.put(&key("work"), &secret("hf_y")).await,
        store.keys().await.map(drop),
    ] {
        assert!(
            matches!(outcome, Err(StoreError::Locked { .. })),
            "{outcome:?}"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_wallet_that_asks_before_it_is_used_is_locked() {
    let keyring = Keyring::kwallet_with("Prompt on Open=true\n").await;
    every_call_finds_it_locked(&keyring.store()).await;
}

#[tokio::test]
async fn a_closed_wallet_is_locked_and_nobody_is_asked() {
    let keyring = Keyring::kwallet().await;
    let store = keyring.store();
    store.put(&key("work"), &secret("hf_x")).await.unwrap();
    keyring.close_wallet().await;
    every_call_finds_it_locked(&store).await;
}

/// It writes some seconds after a change, and has an item without its value until then.
#[tokio::test]
async fn what_a_killed_kwallet_had_not_written_is_no_token() {
    let mut keyring = Keyring::kwallet().await;
    let store = keyring.store();
    store.put(&key("work"), &secret("hf_x")).await.unwrap();
    keyring.end().await;
    keyring.start_kwallet().await;
    let found = store.get(&key("work")).await;
    match found {
        Ok(None) | Err(StoreError::Rejected { .. }) => {}
        // It was quicker.
        found => assert_eq!(found, Ok(Some(secret("hf_x")))),
    }
    store.put(&key("work"), &secret("hf_y")).await.unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_y"))));
}

#[tokio::test]
async fn a_value_that_another_program_sets_is_told() {
    set_in_place(&Keyring::kwallet().await).await;
}
