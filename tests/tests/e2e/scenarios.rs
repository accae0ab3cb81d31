//! What tools do to the files of a mirror, and what comes of it: nothing is lost.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use hfd_e2e::{Sandbox, Token};
use serde_json::Value;

/// The names in the keychain.
fn names(sandbox: &Sandbox) -> Vec<String> {
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    let names = list.as_array().unwrap().iter();
    names
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect()
}

/// How the mirror is.
fn mirror(sandbox: &Sandbox) -> Value {
    sandbox.hfd(["status", "--json"]).ok().json()["mirrors"][0].clone()
}

/// Two tokens of hfd's, the first of which is active.
fn two(sandbox: &Sandbox) -> [Token; 2] {
    let tokens = ["work", "play"].map(|name| sandbox.logged_in(name));
    sandbox.hfd(["switch", "work"]).ok();
    tokens
}

fn assert_both_are_there(sandbox: &Sandbox, tokens: &[Token]) {
    sandbox.hfd(["sync"]).ok();
    for token in tokens {
        sandbox.hfd(["token", &token.name]).ok().prints(token);
        assert!(sandbox.stored_tokens().unwrap().contains(&token.value));
    }
    assert_eq!(mirror(sandbox)["state"], "in-sync");
}

#[test]
fn a_tool_that_writes_what_it_read_long_ago_takes_nothing_back() {
    let sandbox = Sandbox::new();
    let [work, play] = two(&sandbox);
    let stale = sandbox.stored_tokens().unwrap();
    let rotated = sandbox.token("work");
    sandbox.hfd(["login", "--with-token"]).stdin(&rotated).ok();
    let more = sandbox.logged_in("more");
    // What huggingface_hub does between its read and its write, with all of that in between.
    sandbox.write_hf_file("stored_tokens", &stale);
    assert_both_are_there(&sandbox, &[rotated, play, more]);
    assert!(!sandbox.stored_tokens().unwrap().contains(&work.value));
}

#[test]
fn a_logout_is_not_undone_by_a_tool_that_did_not_hear_of_it() {
    let sandbox = Sandbox::new();
    let [work, play] = two(&sandbox);
    let stale = sandbox.stored_tokens().unwrap();
    sandbox.hfd(["logout", "play"]).ok();
    sandbox.write_hf_file("stored_tokens", &stale);
    sandbox.hfd(["sync"]).ok();
    assert_eq!(names(&sandbox), ["work"]);
    hfd_e2e::eventually("the echo is taken out", || {
        // The daemon does it by itself, ten seconds after it saw it; Wine replaces a file in two steps.
        let stored = sandbox.stored_tokens();
        stored.is_some_and(|stored| !stored.contains(&play.value))
    });
    assert!(sandbox.stored_tokens().unwrap().contains(&work.value));
}

#[test]
fn a_file_that_a_full_disk_left_empty_is_filled_again() {
    let sandbox = Sandbox::new();
    let tokens = two(&sandbox);
    sandbox.write_hf_file("stored_tokens", "");
    assert_both_are_there(&sandbox, &tokens);
    let recent = &mirror(&sandbox)["recent"];
    assert!(recent.to_string().contains("put-back"), "{recent}");
}

#[test]
fn a_directory_that_is_deleted_takes_nothing_along() {
    let sandbox = Sandbox::new();
    let tokens = two(&sandbox);
    fs::remove_dir_all(sandbox.hf_home()).unwrap();
    sandbox.hfd(["sync"]).end();
    assert_eq!(names(&sandbox), ["play", "work"]);
    sandbox.hfd(["switch", "work"]).ok();
    assert_both_are_there(&sandbox, &tokens);
}

#[test]
fn what_a_tool_wipes_because_it_cannot_read_it_is_put_back() {
    let sandbox = Sandbox::new();
    let tokens = two(&sandbox);
    sandbox.write_hf_file("stored_tokens", "this is no section\n");
    sandbox.hfd(["sync"]).end();
    assert_eq!(mirror(&sandbox)["state"], "unreadable");
    assert_eq!(sandbox.stored_tokens().unwrap(), "this is no section\n");
    // huggingface_hub reads nothing of it, and writes its own login alone.
    let theirs = sandbox.token("theirs");
    sandbox.hf(["auth", "login", "--token", &theirs.value]).ok();
    let [work, play] = tokens;
    assert_both_are_there(&sandbox, &[work, play, theirs]);
}

#[test]
fn the_json_of_another_tool_is_left_alone() {
    let sandbox = Sandbox::new();
    two(&sandbox);
    let json = "{\"work\":{\"hf_token\":\"x\"}}";
    sandbox.write_hf_file("stored_tokens", json);
    sandbox.hfd(["sync"]).end();
    assert_eq!(names(&sandbox), ["play", "work"]);
    assert_eq!(sandbox.stored_tokens().unwrap(), json);
    assert_eq!(mirror(&sandbox)["state"], "unreadable");
}

#[test]
fn a_tools_logout_of_one_of_two_names_of_a_token_leaves_the_other() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let again = ["login", "--with-token", "--name", "also", "--no-switch"];
    sandbox.hfd(again).stdin(&work).ok();
    sandbox.hf(["auth", "logout", "--token-name", "also"]).ok();
    sandbox.hfd(["sync"]).ok();
    assert_eq!(names(&sandbox), ["work"]);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
}

#[test]
fn a_bare_token_is_kept_and_stays_active() {
    let sandbox = Sandbox::new();
    let bare = sandbox.unknown_token("bare");
    sandbox.write_hf_file("token", &bare.value);
    sandbox.hfd(["sync"]).ok();
    let [name] = &names(&sandbox)[..] else {
        panic!("one token")
    };
    assert!(name.starts_with("unnamed-"), "{name}");
    sandbox.hfd(["token"]).ok().prints(&bare);
    assert_eq!(sandbox.token_file().as_deref(), Some(bare.value.as_str()));
    let stored = sandbox.stored_tokens().unwrap_or_default();
    assert!(!stored.contains("unnamed-"), "{stored}");
}

#[test]
fn a_file_planted_in_a_directory_that_others_can_write_is_not_taken_up() {
    let sandbox = Sandbox::new();
    let [work, _] = two(&sandbox);
    fs::set_permissions(sandbox.hf_home(), Permissions::from_mode(0o777)).unwrap();
    let planted = sandbox.unknown_token("planted");
    let text = format!("[work]\nhf_token = {}\n\n", planted.value);
    sandbox.write_hf_file("stored_tokens", text);
    sandbox.hfd(["sync"]).end();
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    assert_eq!(mirror(&sandbox)["state"], "unreadable");
    fs::set_permissions(sandbox.hf_home(), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_hard_link_to_somewhere_else_is_not_read() {
    let sandbox = Sandbox::new();
    let [work, _] = two(&sandbox);
    let path = sandbox.hf_home().join("stored_tokens");
    fs::hard_link(&path, sandbox.hf_home().join("second")).unwrap();
    let planted = sandbox.unknown_token("planted");
    let text = format!("[work]\nhf_token = {}\n\n", planted.value);
    fs::write(&path, text).unwrap();
    sandbox.hfd(["sync"]).end();
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    fs::remove_file(sandbox.hf_home().join("second")).unwrap();
}

#[test]
fn a_logout_from_everything_by_a_tool_is_believed_after_five_quiet_seconds() {
    let sandbox = Sandbox::new();
    two(&sandbox);
    sandbox.hf(["auth", "logout"]).ok();
    sandbox.hfd(["sync"]).end();
    hfd_e2e::eventually("the tokens are logged out", || names(&sandbox).is_empty());
    let kept = sandbox.hfd(["restore", "--json"]).ok().json();
    assert_eq!(kept["kept"].as_array().unwrap().len(), 2, "{kept}");
    sandbox.hfd(["restore", "work"]).ok();
    assert_eq!(names(&sandbox), ["work"]);
}

#[test]
fn what_a_tool_does_is_followed_while_nobody_asks() {
    let sandbox = Sandbox::new();
    two(&sandbox);
    let events = sandbox.watch();
    let theirs = sandbox.token("theirs");
    sandbox.hf(["auth", "login", "--token", &theirs.value]).ok();
    events.wait_for(&["imported"]);
    events.wait_for(&["activated"]);
    let items = sandbox.items();
    assert_eq!(items.stdout.matches(&theirs.value).count(), 1, "{items}");
    sandbox.hf(["auth", "switch", "--token-name", "work"]).ok();
    events.wait_for(&["activated"]);
    sandbox
        .hf(["auth", "logout", "--token-name", "theirs"])
        .ok();
    events.wait_for(&["removed"]);
    assert_eq!(names(&sandbox), ["play", "work"]);
    let theirs = sandbox.hfd(["restore", "--json"]).ok().json();
    assert_eq!(theirs["kept"][0]["name"], "theirs", "{theirs}");
}

#[test]
fn a_directory_that_is_replaced_is_followed_on() {
    let sandbox = Sandbox::new();
    let [work, _] = two(&sandbox);
    let events = sandbox.watch();
    fs::rename(sandbox.hf_home(), sandbox.home().join("moved")).unwrap();
    let theirs = sandbox.token("theirs");
    sandbox.hf(["auth", "login", "--token", &theirs.value]).ok();
    events.wait_for(&["imported"]);
    fs::remove_dir_all(sandbox.home().join("moved")).unwrap();
    assert_both_are_there(&sandbox, &[work, theirs]);
}

#[test]
fn a_token_that_a_tool_is_rewriting_is_no_logout() {
    let sandbox = Sandbox::new();
    let [work, _] = two(&sandbox);
    let path = sandbox.hf_home().join("token");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // As Python's `open("w")` does, on a machine that has other things to do in between.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let mut file = fs::File::create(&path).unwrap();
                sleep(Duration::from_millis(20));
                file.write_all(work.value.as_bytes()).unwrap();
                drop(file);
                sleep(Duration::from_millis(120));
            }
        });
        let answers: Vec<_> = (0..100).map(|_| sandbox.hfd(["token"]).end()).collect();
        over.store(true, Ordering::Relaxed);
        for answer in answers {
            answer.prints(&work);
        }
    });
    // A file that stays empty is believed.
    sandbox.write_hf_file("token", "");
    sandbox.hfd(["token"]).exits(4);
}
