//! A provider that does what gnome-keyring does only in a race, and KeePassXC by its own settings:
//! it raises a dialog for a change although nothing is locked. It has no encrypted session either,
//! as KWallet without its crypto plugin. The rest of the API is proven on the real one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hfd_daemon::store::{Effect, StoreError};
use hfd_proto::Error;
use tokio::sync::watch;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};
use zbus::{Connection, fdo, interface};

use crate::bench::{Bench as _, key, secret, soon};
use crate::keyring::{Activation, Keyring, PROVIDER};

type Wire = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

fn path(text: &str) -> OwnedObjectPath {
    ObjectPath::try_from(text).unwrap().into()
}

struct Service;

#[interface(name = "org.freedesktop.Secret.Service")]
impl Service {
    async fn open_session(
        &self,
        algorithm: &str,
        _input: Value<'_>,
    ) -> fdo::Result<(OwnedValue, OwnedObjectPath)> {
        match algorithm {
            "plain" => Ok((Value::from("").try_into().unwrap(), path("/session"))),
            _ => Err(fdo::Error::NotSupported(String::from("no crypto plugin"))),
        }
    }

    async fn read_alias(&self, _name: &str) -> OwnedObjectPath {
        path("/collection")
    }
}

struct Collection {
    /// What `SearchItems` finds.
    items: Vec<OwnedObjectPath>,
}

#[interface(name = "org.freedesktop.Secret.Collection")]
impl Collection {
    #[zbus(property)]
    async fn locked(&self) -> bool {
        false
    }

    async fn search_items(&self, _attributes: HashMap<String, String>) -> Vec<OwnedObjectPath> {
        self.items.clone()
    }

    async fn create_item(
        &self,
        _properties: HashMap<String, OwnedValue>,
        _secret: Wire,
        _replace: bool,
    ) -> (OwnedObjectPath, OwnedObjectPath) {
        (path("/"), path("/prompt"))
    }
}

struct Item;

#[interface(name = "org.freedesktop.Secret.Item")]
impl Item {
    #[zbus(property)]
    async fn locked(&self) -> bool {
        false
    }

    async fn delete(&self) -> OwnedObjectPath {
        path("/prompt")
    }
}

/// What became of the dialog.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Dialog {
    shown: u32,
    withdrawn: u32,
}

struct Prompt {
    dialog: watch::Sender<Dialog>,
    /// The person says no at once, instead of being away.
    refuses: bool,
}

#[interface(name = "org.freedesktop.Secret.Prompt")]
impl Prompt {
    async fn prompt(&self, _window: &str, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) {
        self.dialog.send_modify(|dialog| dialog.shown += 1);
        if self.refuses {
            emitter.completed(true, Value::from("")).await.unwrap();
        }
    }

    async fn dismiss(&self) {
        self.dialog.send_modify(|dialog| dialog.withdrawn += 1);
    }

    #[zbus(signal)]
    async fn completed(
        emitter: &SignalEmitter<'_>,
        dismissed: bool,
        result: Value<'_>,
    ) -> zbus::Result<()>;
}

/// The bus, the provider on it, and what becomes of its dialog.
async fn asking(refuses: bool, items: &[&str]) -> (Keyring, Connection, watch::Receiver<Dialog>) {
    let keyring = Keyring::bus_alone(Activation::None).await;
    let (dialog, seen) = watch::channel(Dialog::default());
    let items = items.iter().map(|item| path(item)).collect();
    let address = keyring.address();
    let provider = zbus::connection::Builder::address(address.as_str())
        .and_then(|builder| builder.serve_at("/org/freedesktop/secrets", Service))
        .and_then(|builder| builder.serve_at("/collection", Collection { items }))
        .and_then(|builder| builder.serve_at("/item", Item))
        .and_then(|builder| builder.serve_at("/prompt", Prompt { dialog, refuses }))
        .and_then(|builder| builder.name(PROVIDER))
        .unwrap();
    (keyring, provider.build().await.unwrap(), seen)
}

#[tokio::test]
async fn a_dialog_that_nobody_answers_is_withdrawn_at_the_deadline() {
    for deletes in [false, true] {
        let items: &[&str] = if deletes { &["/item"] } else { &[] };
        let (keyring, _provider, mut dialog) = asking(false, items).await;
        let store = keyring.store();
        let begun = Instant::now();
        let outcome = match deletes {
            false => store.put(&key("work"), &secret("hf_x")).await,
            true => store.delete(&key("work")).await.map(drop),
        };
        let Err(StoreError::TimedOut { effect, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(effect, Effect::Possible);
        assert!(begun.elapsed() < Duration::from_secs(5));
        let withdrawn = dialog.wait_for(|dialog| dialog.withdrawn > 0);
        let seen = *soon("the dialog to be withdrawn", withdrawn).await.unwrap();
        let once = Dialog {
            shown: 1,
            withdrawn: 1,
        };
        assert_eq!(seen, once);
        // And the store is of use again.
        store.probe().await.unwrap();
    }
}

#[tokio::test]
async fn a_person_who_says_no_is_obeyed() {
    let (keyring, _provider, dialog) = asking(true, &[]).await;
    let store = keyring.store();
    let outcome = store.put(&key("work"), &secret("hf_x")).await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Rejected {
                dismissed: true,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(Error::from(error).kind.exit_status(), 14);
    assert_eq!(dialog.borrow().withdrawn, 0);
}

#[tokio::test]
async fn a_session_in_the_clear_is_the_last_resort_and_is_told() {
    let (keyring, _provider, _) = asking(false, &[]).await;
    let store = keyring.store();
    store.probe().await.unwrap();
    let detail = store.status().detail.unwrap();
    assert!(detail.contains("unencrypted session"), "{detail}");
    let real = Keyring::start().await;
    let store = real.store();
    store.probe().await.unwrap();
    let detail = store.status().detail.unwrap();
    assert_eq!(
        detail,
        "collection /org/freedesktop/secrets/collection/login"
    );
}
