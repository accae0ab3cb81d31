//! Where tokens rest: what opens the encrypted file, and tokens that move from one store to another.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hfd_e2e::{Outcome, Sandbox, Token, processes};
use serde_json::{Value, json};

const PASSPHRASE: &str = " correct horse, battery \u{1f50b}";

fn store<'a>(listed: &'a Value, id: &str) -> &'a Value {
    let stores = listed["stores"].as_array().unwrap();
    stores.iter().find(|store| store["id"] == id).unwrap()
}

/// What `hfd doctor` found, but for the Hub, which is no tool's usual one.
fn findings(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    let what = findings
        .iter()
        .map(|finding| finding["what"].as_str().unwrap());
    what.filter(|what| *what != "other-endpoint").collect()
}

fn stores(sandbox: &Sandbox) -> Value {
    sandbox.hfd(["store", "list", "--json"]).ok().json()
}

fn in_file(sandbox: &Sandbox, name: &str) -> Token {
    let token = sandbox.token(name);
    let login = ["login", "--with-token", "--store", "file"];
    sandbox.hfd(login).stdin(&token).ok();
    token
}

fn with_passphrase(sandbox: &Sandbox, words: &[&str], passphrase: &str) -> Outcome {
    let words = [words, &["--with-passphrase"]].concat();
    sandbox.hfd(words).stdin(passphrase).end()
}

/// A daemon that has just been started knows no passphrase.
fn restart(sandbox: &Sandbox) {
    processes::kill9(sandbox.daemon_pid());
}

#[test]
fn a_passphrase_opens_the_file_once_after_each_start() {
    let sandbox = Sandbox::builder().no_bus().start();
    sandbox.configure("store = \"file\"\n");
    let work = in_file(&sandbox, "work");
    // What stands in the files of tools needs no store.
    sandbox.hfd(["mirror", "add", "--mode", "off"]).ok();
    assert_eq!(store(&stores(&sandbox), "file")["protection"], "key-file");
    with_passphrase(&sandbox, &["store", "rekey"], PASSPHRASE).exited(0);
    // It stays open for the daemon that was told.
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    restart(&sandbox);
    let listed = stores(&sandbox);
    let file = store(&listed, "file");
    assert_eq!(file["state"], "locked", "{file}");
    assert_eq!(file["protection"], "passphrase");
    assert_eq!(file["tokens"], 1);
    let refused = sandbox.hfd(["token", "work"]).exits(11);
    refused.notes("hfd unlock");
    sandbox.hfd(["list"]).ok().shows("work");
    sandbox
        .hfd(["status"])
        .ok()
        .shows("the encrypted file is locked");
    sandbox
        .hfd(["unlock", "--no-input"])
        .exits(11)
        .notes("--with-passphrase");
    let wrong = with_passphrase(&sandbox, &["unlock"], "correct horse");
    wrong.exited(14).notes("passphrase");
    sandbox.hfd(["token", "work"]).exits(11);
    let line = format!("{PASSPHRASE}\n");
    with_passphrase(&sandbox, &["unlock"], &line).exited(0);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    // What hides the tokens closes the file as well.
    sandbox.hfd(["lock"]).ok();
    sandbox.hfd(["unlock"]).exits(11);
    let status = sandbox.hfd(["status", "--json"]).ok().json();
    assert_eq!(
        status["lock"], "session",
        "what failed has unlocked nothing"
    );
    sandbox.hfd(["token", "work"]).exits(11);
    with_passphrase(&sandbox, &["unlock"], PASSPHRASE).exited(0);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    // Back to the key file: nothing is asked any more.
    sandbox.hfd(["store", "rekey", "--key-file"]).ok();
    restart(&sandbox);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    sandbox
        .hfd(["store", "rekey"])
        .exits(2)
        .notes("--with-passphrase");
}

#[test]
fn while_hfd_is_locked_nothing_of_its_stores_is_changed() {
    let sandbox = Sandbox::builder().no_bus().start();
    in_file(&sandbox, "work");
    sandbox.hfd(["lock"]).ok();
    for words in [
        &["store", "rekey", "--key-file"][..],
        &["store", "migrate", "--to", "file"],
    ] {
        sandbox.hfd(words).exits(11).notes("hfd unlock");
    }
    with_passphrase(&sandbox, &["store", "rekey"], "open sesame").exited(11);
}

#[test]
fn what_a_passphrase_cannot_be() {
    let sandbox = Sandbox::builder().no_bus().start();
    in_file(&sandbox, "work");
    for bad in ["", "\n", "two\nlines", "a\u{7}bell"] {
        with_passphrase(&sandbox, &["store", "rekey"], bad).exited(2);
    }
    let long = "x".repeat(1025);
    with_passphrase(&sandbox, &["store", "rekey"], &long).exited(2);
    restart(&sandbox);
    sandbox.hfd(["token", "work"]).ok();
}

#[test]
fn without_a_keychain_and_without_a_terminal_no_other_store_is_taken() {
    let sandbox = Sandbox::builder().no_bus().start();
    let work = sandbox.token("work");
    let login = sandbox.hfd(["login", "--with-token"]).stdin(&work);
    login.exits(12).notes("--store file");
    if !sandbox.is_windows() {
        let listed = stores(&sandbox);
        assert_eq!(store(&listed, "secret-service")["state"], "unavailable");
    }
    assert_eq!(store(&stores(&sandbox), "file")["tokens"], 0);
}

#[test]
fn tokens_move_and_leave_nothing_behind() {
    let sandbox = Sandbox::new();
    let keychain = sandbox.store();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let gone = sandbox.logged_in("gone");
    sandbox.hfd(["logout", "gone"]).ok();
    let to = |store: &str, more: &[&str]| {
        let words = [&["store", "migrate", "--json", "--to", store], more].concat();
        sandbox.hfd(words).ok().json()
    };
    let told = to("file", &["--dry-run"]);
    assert_eq!(told["moved"], json!(["play", "work"]));
    assert_eq!(told["kept"], 1);
    assert_eq!(store(&stores(&sandbox), keychain)["tokens"], 2);
    let items = || sandbox.items().stdout.matches("hfd:").count();
    assert_eq!(items(), 3);
    assert_eq!(to("file", &[])["left"], 0);
    assert_eq!(items(), 0, "nothing is left in the keychain");
    let listed = stores(&sandbox);
    assert_eq!(store(&listed, "file")["tokens"], 2);
    assert_eq!(store(&listed, keychain)["tokens"], 0);
    restart(&sandbox);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    sandbox.hfd(["token", "play"]).ok().prints(&play);
    sandbox.hfd(["restore", "gone"]).ok();
    sandbox.hfd(["token", "gone"]).ok().prints(&gone);
    // A second time there is nothing to do.
    assert_eq!(to("file", &[])["moved"], json!([]));
    assert_eq!(to(keychain, &[])["moved"], json!(["gone", "play", "work"]));
    assert_eq!(items(), 3);
    restart(&sandbox);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    let rest = |token: &Value| token["store"] == keychain;
    assert!(list.as_array().unwrap().iter().all(rest), "{list}");
}

#[test]
fn a_token_that_its_store_has_lost_stays_and_is_named() {
    let sandbox = Sandbox::builder().no_bus().start();
    sandbox.configure("store = \"file\"\n");
    in_file(&sandbox, "work");
    let listed = stores(&sandbox);
    let file = PathBuf::from(store(&listed, "file")["detail"].as_str().unwrap());
    let before = std::fs::read(&file).unwrap();
    in_file(&sandbox, "lost");
    std::fs::write(&file, before).unwrap();
    restart(&sandbox);
    let compared = sandbox.hfd(["doctor", "--json"]).end().json();
    assert_eq!(findings(&compared), ["token-missing"], "{compared}");
}

/// How often a migration is killed.
const KILLS: u64 = 50;

/// How many tokens there are.
const MANY: usize = 500;

#[test]
fn a_migration_that_is_killed_again_and_again_loses_nothing() {
    let sandbox = Sandbox::new();
    let keychain = sandbox.store();
    let tokens: BTreeMap<String, Token> = (0..MANY)
        .map(|number| {
            let token = sandbox.token(&format!("t{number:03}"));
            (token.name.clone(), token)
        })
        .collect();
    let sections = tokens
        .values()
        .map(|token| format!("[{}]\nhf_token = {}\n\n", token.name, token.value));
    sandbox.write_hf_file("stored_tokens", sections.collect::<String>());
    hfd_e2e::eventually("all are taken up", || {
        sandbox.hfd(["sync"]).end();
        let listed = sandbox.hfd(["status", "--json"]).ok().json();
        listed["tokens"] == MANY
    });
    let mut to = "file";
    for kill in 0..KILLS {
        let moving = sandbox.hfd(["store", "migrate", "--to", to]).spawn();
        // Somewhere in it, another place each time.
        std::thread::sleep(Duration::from_millis(7 + 23 * (kill * 7 % 11)));
        // There may be none yet, or none any more.
        sandbox.daemons().into_iter().for_each(processes::kill9);
        moving.end();
        if kill % 5 == 4 {
            to = if to == "file" { keychain } else { "file" };
        }
    }
    sandbox.hfd(["store", "migrate", "--to", "file"]).ok();
    let listed = stores(&sandbox);
    assert_eq!(store(&listed, "file")["tokens"], MANY);
    assert_eq!(store(&listed, keychain)["tokens"], 0);
    assert_eq!(sandbox.items().stdout.matches("hfd:").count(), 0);
    // Index and stores agree: every token once.
    let compared = sandbox.hfd(["doctor", "--json"]).end().json();
    assert!(findings(&compared).is_empty(), "{compared}");
    restart(&sandbox);
    for (name, token) in &tokens {
        sandbox.hfd(["token", name]).ok().prints(token);
    }
}
