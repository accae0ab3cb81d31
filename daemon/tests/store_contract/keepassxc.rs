//! A real KeePassXC: headless, with a database that it offers as the Secret Service, and that is open.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use zbus::zvariant::{OwnedObjectPath, OwnedValue};

use crate::bench::soon;
use crate::keyring::{Activation, Keyring, command, spawn};
use crate::keyring_faults::set_in_place;

const PASSWORD: &str = "a database password";

/// A database whose only group is the one that is offered; the two are the same identifier.
const DATABASE: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<KeePassFile><Meta><DatabaseName>hfd</DatabaseName><CustomData><Item>
<Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{00112233-4455-6677-8899-aabbccddeeff}</Value>
</Item></CustomData></Meta>
<Root><Group><UUID>ABEiM0RVZneImaq7zN3u/w==</UUID><Name>Root</Name></Group></Root></KeePassFile>
"#;

/// Asks nobody before an item is read or removed: there is nobody to click. Nothing is saved after each change,
/// because KeePassXC 2.7.4 does that on a thread of its own and crashes there when changes follow each other for
/// long (seen at two hundred in a second, in QtCore).
const CONFIGURATION: &str = "[General]
ConfigVersion=2
UpdateCheckMessageShown=true
AutoSaveAfterEveryChange=false
[FdoSecrets]
Enabled=true
ConfirmAccessItem=false
ConfirmDeleteItem=false
";

impl Keyring {
    /// A bus on which nothing but KeePassXC is the keychain.
    pub(crate) async fn keepassxc() -> Self {
        let mut keyring = Self::bus_alone(Activation::None).await;
        let home = keyring.home().to_owned();
        let configuration = home.join("config/keepassxc");
        fs::create_dir_all(&configuration).unwrap();
        fs::write(configuration.join("keepassxc.ini"), CONFIGURATION).unwrap();
        let (xml, database) = (home.join("database.xml"), home.join("database.kdbx"));
        fs::write(&xml, DATABASE).unwrap();
        let mut import = command("keepassxc-cli", &home);
        // A key that is made in a tenth of a second.
        import
            .args(["import", "-p", "-t", "100"])
            .args([&xml, &database]);
        let mut import = spawn(import.stdin(Stdio::piped()).stdout(Stdio::null()));
        let twice = format!("{PASSWORD}\n{PASSWORD}\n");
        import
            .stdin
            .take()
            .unwrap()
            .write_all(twice.as_bytes())
            .unwrap();
        assert!(import.wait().unwrap().success(), "keepassxc-cli imports");
        let mut program = command("keepassxc", &home);
        program
            .env("QT_QPA_PLATFORM", "offscreen")
            // A second one of a person hands its database to the first, which it finds here.
            .env("TMPDIR", &home)
            .arg("--pw-stdin")
            .arg(&database);
        let mut program = spawn(program.stdin(Stdio::piped()).stdout(Stdio::null()));
        let line = format!("{PASSWORD}\n");
        program
            .stdin
            .take()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        keyring.take_daemon(program);
        keyring.provider_is(true).await;
        soon("the database to open", async {
            while !keyring.is_open().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        keyring
    }

    /// Whether there is a collection and it is open. To ask for more would bring a dialog up.
    async fn is_open(&self) -> bool {
        let properties = "org.freedesktop.DBus.Properties";
        let service = ("org.freedesktop.Secret.Service", "Collections");
        let reply = self
            .call("/org/freedesktop/secrets", properties, "Get", &service)
            .await;
        let collections: OwnedValue = reply.body().deserialize().unwrap();
        let collections = Vec::<OwnedObjectPath>::try_from(collections).unwrap();
        let Some(collection) = collections.first() else {
            return false;
        };
        let locked = ("org.freedesktop.Secret.Collection", "Locked");
        let reply = self
            .call(collection.as_str(), properties, "Get", &locked)
            .await;
        let locked: OwnedValue = reply.body().deserialize().unwrap();
        !bool::try_from(locked).unwrap()
    }
}

#[tokio::test]
async fn a_value_that_another_program_sets_is_told() {
    set_in_place(&Keyring::keepassxc().await).await;
}
