//! What the encrypted file says when something is wrong with it. It is never taken for empty.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use hfd_daemon::store::{Backend, FileStore, Store, StoreError};
use hfd_proto::{Error, StoreState};

use crate::bench::{Bench as _, InFile, key, secret};

/// A store with one value, its file and its key file.
async fn with_one_value() -> (InFile, Store, PathBuf, PathBuf) {
    let bench = InFile::new();
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    let (file, key_file) = (bench.path(), bench.dir.path().join("hfd/tokens.key"));
    (bench, store, file, key_file)
}

/// Every call fails and says `what`, and neither file is changed by it.
async fn every_call_says(bench: &InFile, store: &Store, what: &str) {
    let before = contents(bench);
    for outcome in [
        store.get(&key("work")).await.map(drop),
        store.get(&key("nobody")).await.map(drop),
        store.put(&key("work"), &secret("hf_new")).await,
        store.delete(&key("work")).await.map(drop),
        store.keys().await.map(drop),
        store.probe().await,
    ] {
        let error = outcome.expect_err("a bad file was believed");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        let told = Error::from(error);
        assert!(told.message.contains(what), "{told:?}");
        assert_eq!(told.kind.exit_status(), 12);
        assert!(told.hint.is_some());
    }
    assert_eq!(store.status().state, StoreState::Unavailable);
    assert_eq!(contents(bench), before);
}

fn contents(bench: &InFile) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let entries = fs::read_dir(bench.dir.path().join("hfd")).unwrap();
    let mut all: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            // A FIFO would keep the test waiting.
            let file = fs::symlink_metadata(&path).unwrap().is_file();
            let content = file.then(|| fs::read(&path).unwrap());
            (path, content)
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn both_files_are_ours_alone_and_hold_no_token_in_the_clear() {
    let (bench, _, file, key_file) = with_one_value().await;
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&file), mode(&key_file)), (0o600, 0o600));
    assert_eq!(mode(&bench.dir.path().join("hfd")), 0o700);
    let all = contents(&bench);
    assert_eq!(all.len(), 2, "nothing but the two files: {all:?}");
    for (path, bytes) in all {
        let bytes = bytes.unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"hf_old"), "{path:?}");
        assert!(!bytes.windows(4).any(|part| part == b"work"), "{path:?}");
    }
}

#[tokio::test]
async fn a_read_of_nothing_makes_nothing() {
    let bench = InFile::new();
    assert_eq!(bench.store().keys().await, Ok(vec![]));
    assert_eq!(bench.store().delete(&key("work")).await, Ok(false));
    assert_eq!(fs::read_dir(bench.dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn each_writing_encrypts_anew() {
    let (_bench, store, file, key_file) = with_one_value().await;
    let (first, key_before) = (fs::read(&file).unwrap(), fs::read(&key_file).unwrap());
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    let second = fs::read(&file).unwrap();
    assert_eq!(first.len(), second.len());
    assert_ne!(first[32..56], second[32..56], "the nonce was used twice");
    assert_eq!(fs::read(&key_file).unwrap(), key_before);
}

#[tokio::test]
async fn an_altered_file_is_refused() {
    let (bench, store, file, _) = with_one_value().await;
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    every_call_says(&bench, &store, "was altered").await;
}

#[tokio::test]
async fn a_truncated_or_emptied_file_is_refused() {
    let (bench, store, file, _) = with_one_value().await;
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..70]).unwrap();
    every_call_says(&bench, &store, "is cut short: 70 of").await;
    fs::write(&file, b"").unwrap();
    every_call_says(&bench, &store, "is not a token file").await;
    fs::write(&file, bytes).unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_old"))));
    assert_eq!(store.status().state, StoreState::Ready);
}

#[tokio::test]
async fn a_file_of_a_newer_hfd_is_refused() {
    let (bench, store, file, _) = with_one_value().await;
    let mut bytes = fs::read(&file).unwrap();
    bytes[8] = 2;
    fs::write(&file, bytes).unwrap();
    every_call_says(&bench, &store, "newer hfd (format 2").await;
}

#[tokio::test]
async fn a_missing_key_is_refused_and_not_replaced() {
    let (bench, store, _, key_file) = with_one_value().await;
    fs::remove_file(&key_file).unwrap();
    every_call_says(&bench, &store, "the key of").await;
    assert!(!key_file.exists());
}

#[tokio::test]
async fn a_wrong_or_damaged_key_is_refused() {
    let (bench, store, _, key_file) = with_one_value().await;
    let (_other, _, _, other_key) = with_one_value().await;
    let own = fs::read(&key_file).unwrap();
    fs::write(&key_file, fs::read(other_key).unwrap()).unwrap();
    every_call_says(&bench, &store, "another key").await;
    fs::write(&key_file, &own[..own.len() - 1]).unwrap();
    every_call_says(&bench, &store, "is not a key file").await;
    fs::write(&key_file, [&own[..], b"\n"].concat()).unwrap();
    every_call_says(&bench, &store, "is not a key file").await;
}

#[tokio::test]
async fn files_that_others_can_read_are_refused() {
    for which in ["tokens", "tokens.key"] {
        let (bench, store, ..) = with_one_value().await;
        let path = bench.dir.path().join("hfd").join(which);
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            every_call_says(&bench, &store, "is open to other users").await;
        }
    }
}

#[tokio::test]
async fn files_of_another_kind_are_refused() {
    for which in ["tokens", "tokens.key"] {
        let (bench, store, ..) = with_one_value().await;
        let path = bench.dir.path().join("hfd").join(which);
        let elsewhere = bench.dir.path().join("elsewhere");
        fs::hard_link(&path, &elsewhere).unwrap();
        every_call_says(&bench, &store, "has another name elsewhere").await;
        fs::remove_file(&path).unwrap();
        symlink(&elsewhere, &path).unwrap();
        every_call_says(&bench, &store, "is a link").await;
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        every_call_says(&bench, &store, "is no regular file").await;
        fs::remove_dir(&path).unwrap();
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        every_call_says(&bench, &store, "is no regular file").await;
    }
}

#[tokio::test]
async fn a_directory_that_others_can_enter_is_not_written_to() {
    let (bench, store, ..) = with_one_value().await;
    let dir = bench.dir.path().join("hfd");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).unwrap();
    let error = store
        .put(&key("work"), &secret("hf_new"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("open to other users"));
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_old"))));
}

#[tokio::test]
async fn what_a_killed_daemon_left_behind_is_in_nobodys_way() {
    let (_bench, store, file, _) = with_one_value().await;
    let rest = file.with_extension("new");
    fs::write(&rest, b"half of it").unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_old"))));
    store.put(&key("work"), &secret("hf_new")).await.unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_new"))));
    assert!(!rest.exists());
}

#[tokio::test]
async fn a_key_without_a_file_is_used_and_not_replaced() {
    let (_bench, store, file, key_file) = with_one_value().await;
    let key_before = fs::read(&key_file).unwrap();
    fs::remove_file(&file).unwrap();
    assert_eq!(store.keys().await, Ok(vec![]));
    store.put(&key("work"), &secret("hf_new")).await.unwrap();
    assert_eq!(fs::read(&key_file).unwrap(), key_before);
}

/// A write that the kernel stops in the middle, as a full disk does. The limit on the size of files
/// is the process's own, so the test runs itself again under one.
#[test]
fn a_full_disk_leaves_the_old_file() {
    const DIR: &str = "HFD_TEST_FULL_DISK";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let open = |path: PathBuf| async { Store::spawn(Backend::File(FileStore::new(path, None))) };
    if let Some(path) = std::env::var_os(DIR) {
        let error = runtime.block_on(async {
            let store = open(path.into()).await;
            let large = secret(&"x".repeat(8 * 1024));
            let error = store.put(&key("large"), &large).await.unwrap_err();
            assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_old"))));
            assert_eq!(store.status().state, StoreState::Ready);
            error
        });
        assert!(matches!(error, StoreError::Rejected { .. }), "{error:?}");
        let told = Error::from(error);
        assert!(told.message.contains("cannot write"), "{told:?}");
        assert_eq!(told.kind.exit_status(), 12);
        return;
    }
    let (bench, _, file, _) = runtime.block_on(with_one_value());
    let before = contents(&bench);
    // Eight blocks of 512 or 1,024 bytes, and no signal at the limit.
    let again = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8 && exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "file_faults::a_full_disk_leaves_the_old_file"])
        .env(DIR, &file)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
    assert_eq!(contents(&bench), before);
}
