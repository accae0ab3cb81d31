//! What only a real keychain does: no bus, no provider, no collection, doubles, other programs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hfd_daemon::store::{Backend, Change, SecretService, Store, StoreError};
use hfd_proto::{Error, StoreState};
use rustix::process::{Signal, kill_process};
use tokio::time::timeout;
use zbus::MessageStream;

use crate::bench::{Bench as _, Breakable as _, key, refresh, secret, soon};
use crate::keyring::{Activation, Followed, Keyring};

const UNAVAILABLE: u8 = 12;
const PROMPTER: &str = "org.gnome.keyring.SystemPrompter";

/// Every call fails within a second, says `what` and has a hint.
async fn every_call_says(store: &Store, what: &str) {
    let begun = Instant::now();
    for outcome in [
        store.get(&key("work")).await.map(drop),
        store.put(&key("work"), &secret("hf_new")).await,
        store.delete(&key("work")).await.map(drop),
        store.keys().await.map(drop),
        store.probe().await,
    ] {
        let told = Error::from(outcome.expect_err("a missing keychain answered"));
        assert!(told.message.contains(what), "{told:?}");
        assert_eq!(told.kind.exit_status(), UNAVAILABLE, "{told:?}");
        assert!(told.hint.unwrap().contains("--store file"));
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(store.status().state, StoreState::Unavailable);
}

#[tokio::test]
async fn without_a_session_bus_it_says_so() {
    let store = |address: &'static str| {
        Store::spawn(Backend::SecretService(SecretService::new(|name| {
            (name == "DBUS_SESSION_BUS_ADDRESS").then(|| address.into())
        })))
    };
    for address in [
        "unix:path=/nonexistent/bus",
        "nonsense",
        "unix:path=/dev/null",
    ] {
        every_call_says(&store(address), "there is no D-Bus session bus").await;
    }
}

#[tokio::test]
async fn without_a_provider_it_says_so_and_finds_one_that_comes() {
    let mut keyring = Keyring::bus_alone(Activation::None).await;
    let store = keyring.store();
    every_call_says(&store, "no keychain runs in this session").await;
    keyring.start_daemon(true).await;
    let mut status = store.subscribe();
    let ready = status.wait_for(|status| status.state == StoreState::Ready);
    soon("the keychain that came to be found", ready)
        .await
        .unwrap();
    store.put(&key("work"), &secret("hf_x")).await.unwrap();
}

#[tokio::test]
async fn without_a_default_collection_it_says_so_and_makes_none() {
    let mut keyring = Keyring::bus_alone(Activation::Standard).await;
    keyring.start_daemon(false).await;
    let store = keyring.store();
    every_call_says(&store, "no default collection").await;
}

#[tokio::test]
async fn a_bus_that_ends_is_found_again() {
    let mut keyring = Keyring::start().await;
    let store = keyring.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    keyring.end_bus();
    every_call_says(&store, "there is no D-Bus session bus").await;
    keyring.restart_bus().await;
    keyring.start_daemon(true).await;
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_old"))));
}

#[tokio::test]
async fn a_frozen_bus_keeps_nobody_waiting() {
    let keyring = Keyring::start().await;
    let store = keyring.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    // One that is connected, and one that is not yet.
    for store in [&store, &keyring.store()] {
        kill_process(keyring.bus_pid(), Signal::STOP).unwrap();
        let begun = Instant::now();
        let outcome = store.get(&key("work")).await;
        kill_process(keyring.bus_pid(), Signal::CONT).unwrap();
        assert!(
            matches!(outcome, Err(StoreError::TimedOut { .. })),
            "{outcome:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_old"))));
    }
}

#[tokio::test]
async fn a_killed_keyring_that_the_bus_starts_again_is_locked_and_not_empty() {
    let mut keyring = Keyring::start().await;
    let store = keyring.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    keyring.end().await;
    // The call makes the bus start another one, which nobody has unlocked.
    let outcome = store.get(&key("work")).await;
    assert!(
        matches!(outcome, Err(StoreError::Locked { .. })),
        "{outcome:?}"
    );
    keyring.unlock().await;
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_old"))));
}

#[tokio::test]
async fn restarts_leave_no_connection_behind() {
    let mut keyring = Keyring::start().await;
    let store = keyring.store();
    store.put(&key("work"), &secret("hf_x")).await.unwrap();
    let before = keyring.connections().await;
    for _ in 0..5 {
        keyring.restart().await;
        assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_x"))));
    }
    assert_eq!(keyring.connections().await, before);
}

#[tokio::test]
async fn no_call_asks_the_person_anything() {
    let mut keyring = Keyring::start().await;
    let store = keyring.store();
    store.put(&key("work"), &secret("hf_x")).await.unwrap();
    // Whoever has this name is what gnome-keyring shows its dialogs with.
    keyring.admin.request_name(PROMPTER).await.unwrap();
    let mut calls = MessageStream::from(&keyring.admin);
    keyring.lock().await;
    for outcome in [
        store.get(&key("work")).await.map(drop),
        store.put(&key("work"), &secret("hf_y")).await,
        store.put(&key("new"), &secret("hf_y")).await,
        store.delete(&key("work")).await.map(drop),
        store.keys().await.map(drop),
    ] {
        assert!(matches!(outcome, Err(StoreError::Locked { .. })));
    }
    // Had one been asked for, it would stand before this one, which the test asks for itself.
    let tool = std::thread::spawn({
        let address = keyring.address();
        move || {
            let mut unlock = std::process::Command::new("secret-tool");
            unlock.args(["lookup", "service", "hfd"]);
            unlock.env("DBUS_SESSION_BUS_ADDRESS", address);
            unlock.stdout(std::process::Stdio::null()).spawn().unwrap()
        }
    });
    let mut tool = tool.join().unwrap();
    let asked = async {
        loop {
            let message = calls.next().await.unwrap().unwrap();
            let header = message.header();
            if header
                .member()
                .is_some_and(|member| member == "BeginPrompting")
            {
                return;
            }
        }
    };
    soon("the dialog that secret-tool asks for", asked).await;
    tool.kill().unwrap();
    tool.wait().unwrap();
    let more = calls.next();
    let more = tokio::time::timeout(Duration::from_millis(50), more).await;
    let again = more.is_ok_and(|message| {
        let message = message.unwrap().unwrap();
        let header = message.header();
        header
            .member()
            .is_some_and(|member| member == "BeginPrompting")
    });
    assert!(!again, "there was a second dialog, so one was ours");
}

#[tokio::test]
async fn each_secret_is_one_item_with_the_attributes_of_the_contract() {
    let keyring = Keyring::start().await;
    let store = keyring.store();
    for _ in 0..2 {
        store.put(&key("work"), &secret("hf_access")).await.unwrap();
        store
            .put(&refresh("work"), &secret("hf_refresh"))
            .await
            .unwrap();
        store.put(&key("home"), &secret("hf_home")).await.unwrap();
    }
    let found = keyring.secret_tool(&["search", "--all", "service", "hfd"], "");
    let text = String::from_utf8(found.stdout).unwrap();
    let mut secrets: Vec<_> = text
        .lines()
        .filter(|l| l.starts_with("secret = "))
        .collect();
    secrets.sort_unstable();
    assert_eq!(
        secrets,
        [
            "secret = hf_access",
            "secret = hf_home",
            "secret = hf_refresh"
        ],
        "{text}"
    );
    for label in [
        "label = hfd: work (huggingface.co)",
        "label = hfd: work, refresh token (huggingface.co)",
    ] {
        assert!(text.contains(label), "{text}");
    }
    let mut attributes = keyring.attributes().await;
    for item in &mut attributes {
        // gnome-keyring's own addition.
        item.remove("xdg:schema");
    }
    let expected = HashMap::from(
        [
            ("service", "hfd"),
            ("username", "https://huggingface.co|work"),
            ("hfd", "refresh"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    assert!(attributes.contains(&expected), "{attributes:?}");
    assert!(
        attributes.iter().all(|item| item.len() == 3),
        "{attributes:?}"
    );
}

#[tokio::test]
async fn items_of_other_programs_are_passed_over() {
    let keyring = Keyring::start().await;
    let store = keyring.store();
    for foreign in [
        &["service", "hfd"][..],
        &["service", "hfd", "username", "x", "hfd", "access"],
        &[
            "service",
            "other",
            "username",
            "https://huggingface.co|y",
            "hfd",
            "access",
        ],
    ] {
        let arguments = [&["store", "--label=foreign"], foreign].concat();
        assert!(keyring.secret_tool(&arguments, "foreign").status.success());
    }
    store.put(&key("work"), &secret("hf_x")).await.unwrap();
    assert_eq!(store.keys().await, Ok(vec![key("work")]));
    assert_eq!(keyring.attributes().await.len(), 4);
    assert_eq!(store.get(&key("y")).await, Ok(None));
}

#[tokio::test]
async fn of_doubles_the_newest_counts_and_one_is_kept() {
    let keyring = Keyring::start().await;
    let store = keyring.store();
    let username = key("work").username();
    let double = |value: &str, extra: &str| {
        let arguments = [
            "store",
            "--label=double",
            "service",
            "hfd",
            "username",
            &username,
            "hfd",
            "access",
            "extra",
            extra,
        ];
        assert!(keyring.secret_tool(&arguments, value).status.success());
    };
    store.put(&key("work"), &secret("hf_ours")).await.unwrap();
    double("hf_double_1", "1");
    double("hf_double_2", "2");
    assert_eq!(keyring.attributes().await.len(), 3);
    assert_eq!(
        store.get(&key("work")).await,
        Ok(Some(secret("hf_double_2")))
    );
    assert_eq!(store.keys().await, Ok(vec![key("work")]));
    store.put(&key("work"), &secret("hf_new")).await.unwrap();
    assert_eq!(keyring.attributes().await.len(), 1);
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_new"))));
    double("hf_double_3", "3");
    assert_eq!(store.delete(&key("work")).await, Ok(true));
    assert_eq!(keyring.attributes().await.len(), 0);
}

#[tokio::test]
async fn an_empty_or_foreign_value_is_an_error_and_no_value() {
    let keyring = Keyring::start().await;
    let store = keyring.store();
    let username = key("work").username();
    let arguments = [
        "store",
        "--label=x",
        "service",
        "hfd",
        "username",
        &username,
        "hfd",
        "access",
    ];
    for value in ["", "two words", "ü"] {
        assert!(keyring.secret_tool(&arguments, value).status.success());
        let error = store.get(&key("work")).await.unwrap_err();
        assert!(matches!(error, StoreError::Rejected { .. }), "{error:?}");
        assert!(error.to_string().contains("no usable value for work"));
        assert_eq!(store.status().state, StoreState::Ready);
    }
    // A login mends it.
    store.put(&key("work"), &secret("hf_new")).await.unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_new"))));
}

/// The next thing that is told of an item, within seconds.
async fn told(changes: &mut Followed) -> Change {
    let (_, change) = soon("a change to be told", changes.recv()).await.unwrap();
    change
}

fn work_has(value: &str) -> Change {
    Change::Touched {
        key: key("work"),
        value: Some(secret(value)),
    }
}

/// As KeePassXC and KWallet tell of it.
pub(crate) async fn set_in_place(keyring: &Keyring) {
    let (store, mut changes) = keyring.followed_store();
    for (writer, value) in [(&store, "hf_old"), (&keyring.store(), "hf_new")] {
        writer.put(&key("work"), &secret(value)).await.unwrap();
        assert_eq!(told(&mut changes).await, work_has(value));
    }
    keyring.store().delete(&key("work")).await.unwrap();
    assert_eq!(told(&mut changes).await, Change::Remaining(Vec::new()));
}

/// Of a value that is set in place (`SetSecret`) gnome-keyring 42 tells nobody.
#[tokio::test]
async fn what_other_programs_do_to_an_item_is_told() {
    let mut keyring = Keyring::start().await;
    let (store, mut changes) = keyring.followed_store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    // One's own work is told as well.
    assert_eq!(told(&mut changes).await, work_has("hf_old"));
    // secret-tool makes a double, and then replaces that: the newer one counts.
    let username = key("work").username();
    let of_work = ["service", "hfd", "username", &username, "hfd", "access"];
    for new in ["hf_double", "hf_replaced"] {
        keyring.secret_tool(&[&["store", "--label", "x"], &of_work[..]].concat(), new);
        assert_eq!(told(&mut changes).await, work_has(new));
    }
    // Items of other programs are not told of, and nothing is when a lock touches them all.
    let of_another = ["store", "--label", "y", "service", "browser"];
    keyring.secret_tool(&of_another, "a password");
    keyring.lock().await;
    let locked = store.get(&key("work")).await;
    assert!(
        matches!(locked, Err(StoreError::Locked { .. })),
        "{locked:?}"
    );
    let quiet = timeout(Duration::from_millis(500), changes.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    keyring.unlock().await;
    keyring.secret_tool(&[&["clear"], &of_work[..]].concat(), "");
    // Unlocking has touched it, too.
    let mut change = told(&mut changes).await;
    while change == work_has("hf_replaced") {
        change = told(&mut changes).await;
    }
    assert_eq!(change, Change::Remaining(Vec::new()));
    assert_eq!(store.get(&key("work")).await, Ok(None));
}

/// A provider that has just ended is not started because of what it did before.
#[tokio::test]
async fn a_change_right_before_the_end_starts_no_provider() {
    for _ in 0..5 {
        let mut keyring = Keyring::start().await;
        let (store, _changes) = keyring.followed_store();
        store.put(&key("work"), &secret("hf_old")).await.unwrap();
        let item = ["store", "--label", "x", "service", "browser"];
        keyring.secret_tool(&item, "a password");
        keyring.end().await;
        // It would have looked by then.
        let started = timeout(Duration::from_millis(600), keyring.provider_is(true)).await;
        assert!(started.is_err(), "a provider was started");
    }
}
