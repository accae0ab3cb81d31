//! The encrypted file behind a passphrase, and with another key.

use std::fs;
use std::path::PathBuf;

use hfd_daemon::store::{Backend, FileStore, Store, StoreError};
use hfd_proto::{Error, Passphrase, Protection, Secret, StoreId, StoreState};

use crate::bench::{Bench as _, InFile, key, secret};

fn passphrase(text: &str) -> Passphrase {
    Passphrase::parse(text).unwrap()
}

#[allow(clippy::unnecessary_wraps)] // as the store wants it
fn open(text: &str) -> Option<Passphrase> {
    Some(passphrase(text))
}

/// The same files, as a daemon sees them that nobody hands a passphrase.
fn without_credential(bench: &InFile) -> Store {
    Store::spawn(Backend::File(FileStore::new(bench.path(), None)))
}

/// A store of one value behind the passphrase `right`, as it is after a start.
async fn locked() -> (InFile, Store) {
    let bench = InFile::with_passphrase("right");
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    let store = without_credential(&bench);
    (bench, store)
}

async fn value(store: &Store) -> Result<Option<Secret>, StoreError> {
    store.get(&key("work")).await
}

fn key_file(bench: &InFile) -> PathBuf {
    bench.dir.path().join("hfd/tokens.key")
}

#[tokio::test]
async fn behind_a_passphrase_nothing_is_told_and_nothing_changed() {
    let (bench, store) = locked().await;
    let files = || {
        (
            fs::read(bench.path()).unwrap(),
            fs::read(key_file(&bench)).unwrap(),
        )
    };
    let before = files();
    let store_id = StoreId::File;
    for outcome in [
        value(&store).await.map(drop),
        store.get(&key("nobody")).await.map(drop),
        store.put(&key("work"), &secret("hf_new")).await,
        store.delete(&key("work")).await.map(drop),
        store.keys().await.map(drop),
        store.probe().await,
        store.rekey(None).await,
    ] {
        assert_eq!(outcome, Err(StoreError::Locked { store: store_id }));
    }
    let told = Error::from(store.probe().await.unwrap_err());
    assert_eq!(told.kind.exit_status(), 11);
    assert!(told.hint.unwrap().contains("hfd unlock"));
    assert_eq!(store.status().state, StoreState::Locked);
    assert_eq!(store.protection().await, Ok(Some(Protection::Passphrase)));
    assert_eq!(files(), before);
}

#[tokio::test]
async fn it_opens_with_its_passphrase_until_it_is_closed() {
    let (_bench, store) = locked().await;
    let refused = store.unlock(open("Right")).await.unwrap_err();
    assert_eq!(Error::from(refused).kind.exit_status(), 14);
    assert!(matches!(
        value(&store).await,
        Err(StoreError::Locked { .. })
    ));
    store.unlock(open("right")).await.unwrap();
    assert_eq!(store.status().state, StoreState::Ready);
    assert_eq!(value(&store).await, Ok(Some(secret("hf_old"))));
    // What is opened by mistake stays open.
    store.unlock(open("wrong")).await.unwrap_err();
    assert_eq!(value(&store).await, Ok(Some(secret("hf_old"))));
    store.close().await.unwrap();
    assert_eq!(store.status().state, StoreState::Locked);
    assert!(matches!(
        value(&store).await,
        Err(StoreError::Locked { .. })
    ));
}

#[tokio::test]
async fn a_store_is_locked_before_it_holds_anything() {
    let bench = InFile::new();
    let store = bench.store();
    store.rekey(Some(passphrase("right"))).await.unwrap();
    assert_eq!(store.keys().await, Ok(Vec::new()));
    let again = without_credential(&bench);
    assert_eq!(
        again.put(&key("work"), &secret("hf_new")).await,
        Err(StoreError::Locked {
            store: StoreId::File
        })
    );
}

#[tokio::test]
async fn a_passphrase_that_the_service_hands_over_has_to_be_the_right_one() {
    let (bench, _) = locked().await;
    let credential = bench.dir.path().join("hfd.passphrase");
    fs::write(&credential, "wrong\n").unwrap();
    assert!(value(&bench.store()).await.is_err());
    fs::write(&credential, "two\nlines").unwrap();
    let told = Error::from(value(&bench.store()).await.unwrap_err());
    assert_eq!(told.kind.exit_status(), 12);
    assert!(told.message.contains("hfd.passphrase"), "{told:?}");
    fs::write(&credential, "right\r\n").unwrap();
    assert_eq!(value(&bench.store()).await, Ok(Some(secret("hf_old"))));
}

#[tokio::test]
async fn another_key_keeps_what_there_is_and_gives_up_the_old_one() {
    let bench = InFile::new();
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    let mut keys = vec![fs::read(key_file(&bench)).unwrap()];
    for to in [Some("first"), Some("second"), None, None] {
        store.rekey(to.map(passphrase)).await.unwrap();
        assert_eq!(value(&store).await, Ok(Some(secret("hf_old"))));
        let as_is = Protection::KeyFile;
        let expected = to.map_or(as_is, |_| Protection::Passphrase);
        assert_eq!(store.protection().await, Ok(Some(expected)));
        let again = without_credential(&bench);
        if let Some(to) = to {
            again.unlock(open(to)).await.unwrap();
        }
        assert_eq!(value(&again).await, Ok(Some(secret("hf_old"))));
        keys.push(fs::read(key_file(&bench)).unwrap());
    }
    // None of the old ones opens it any more.
    let newest = keys.pop().unwrap();
    for old in keys {
        fs::write(key_file(&bench), old).unwrap();
        let told = Error::from(value(&without_credential(&bench)).await.unwrap_err());
        assert!(told.message.contains("another key"), "{told:?}");
    }
    fs::write(key_file(&bench), newest).unwrap();
    assert_eq!(value(&store).await, Ok(Some(secret("hf_old"))));
    let names = fs::read_dir(bench.dir.path().join("hfd")).unwrap();
    assert_eq!(names.count(), 2, "nothing is left behind");
}

#[tokio::test]
async fn a_change_of_the_key_that_was_cut_off_leaves_a_key_that_fits() {
    let bench = InFile::new();
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    let read = || {
        (
            fs::read(bench.path()).unwrap(),
            fs::read(key_file(&bench)).unwrap(),
        )
    };
    let (old_file, old_key) = read();
    store.rekey(None).await.unwrap();
    let (new_file, new_key) = read();
    let next = bench.dir.path().join("hfd/tokens.key.next");
    let put = |path: &PathBuf, bytes: &[u8]| {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    // Before the token file, whole or in part; after it.
    for (file, next_key, left) in [
        (&old_file, &new_key[..], true),
        (&old_file, &new_key[..9], true),
        (&new_file, &new_key[..], false),
    ] {
        put(&bench.path(), file);
        put(&key_file(&bench), &old_key);
        put(&next, next_key);
        let again = without_credential(&bench);
        assert_eq!(value(&again).await, Ok(Some(secret("hf_old"))));
        assert_eq!(next.exists(), left);
        again.rekey(None).await.unwrap();
        assert_eq!(value(&again).await, Ok(Some(secret("hf_old"))));
        assert!(!next.exists());
    }
}

#[tokio::test]
async fn a_wrong_passphrase_changes_nothing_of_the_state() {
    let (_bench, store) = locked().await;
    store.probe().await.unwrap_err();
    store.unlock(open("wrong")).await.unwrap_err();
    assert_eq!(store.status().state, StoreState::Locked);
}

#[tokio::test]
async fn what_a_person_has_closed_the_service_does_not_open() {
    let bench = InFile::with_passphrase("right");
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(store.status().state, StoreState::Locked);
    let locked = StoreError::Locked {
        store: StoreId::File,
    };
    assert_eq!(value(&store).await, Err(locked));
    // Until that ends.
    store.unlock(None).await.unwrap();
    assert_eq!(value(&store).await, Ok(Some(secret("hf_old"))));
}

#[tokio::test]
async fn a_passphrase_of_the_service_that_is_not_the_right_one_leaves_it_locked() {
    let bench = InFile::with_passphrase("right");
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    fs::write(bench.dir.path().join("hfd.passphrase"), "wrong").unwrap();
    let store = bench.store();
    let locked = StoreError::Locked {
        store: StoreId::File,
    };
    assert_eq!(value(&store).await, Err(locked));
    assert_eq!(store.status().state, StoreState::Locked);
    store.unlock(open("right")).await.unwrap();
    assert_eq!(value(&store).await, Ok(Some(secret("hf_old"))));
}

#[tokio::test]
async fn after_a_change_that_was_cut_off_it_is_the_new_passphrase_that_opens() {
    let bench = InFile::new();
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    store.rekey(open("first")).await.unwrap();
    let old_key = fs::read(key_file(&bench)).unwrap();
    store.rekey(open("second")).await.unwrap();
    let new_key = fs::read(key_file(&bench)).unwrap();
    let next = bench.dir.path().join("hfd/tokens.key.next");
    fs::copy(key_file(&bench), &next).unwrap();
    fs::write(&next, new_key).unwrap();
    fs::write(key_file(&bench), old_key).unwrap();
    let again = without_credential(&bench);
    again.unlock(open("first")).await.unwrap_err();
    again.unlock(open("second")).await.unwrap();
    assert_eq!(value(&again).await, Ok(Some(secret("hf_old"))));
    assert!(!next.exists());
}
