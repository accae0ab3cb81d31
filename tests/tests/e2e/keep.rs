//! What goes can come back; what is locked is hidden; directories as a person manages them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use hfd_e2e::{Sandbox, processes};

#[test]
fn what_was_logged_out_is_listed_and_brought_back() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox
        .hfd(["logout", "work"])
        .ok()
        .shows("Removed")
        .notes("hfd restore");
    sandbox.hfd(["token", "work"]).exits(10);
    let kept = sandbox.hfd(["restore", "--json"]).ok().json();
    let entry = &kept["kept"][0];
    assert_eq!(
        (&entry["name"], &entry["by"], &entry["replaced"]),
        (&"work".into(), &"hfd".into(), &false.into()),
        "{kept}"
    );
    sandbox
        .hfd(["restore"])
        .ok()
        .shows("work")
        .shows("logged out");
    sandbox
        .hfd(["restore", "work"])
        .ok()
        .shows("`work` is back");
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    sandbox.hf(["auth", "list"]).ok().shows("work");
    sandbox.hfd(["restore"]).ok().shows("nothing");
    sandbox.hfd(["restore", "work"]).exits(10);
}

#[test]
fn what_is_purged_leaves_nothing_in_the_keychain() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    sandbox.hfd(["logout", "work", "--purge"]).ok();
    let items = sandbox.items();
    assert!(!items.stdout.contains("secret"), "{items}");
    sandbox.hfd(["restore"]).ok().shows("nothing");
}

#[test]
fn a_tools_login_over_a_name_can_be_taken_back() {
    let sandbox = Sandbox::new();
    let ours = sandbox.logged_in("work");
    let theirs = sandbox.token("work");
    sandbox
        .hf(["auth", "login", "--token", &theirs.value, "--force"])
        .ok();
    sandbox.hfd(["sync"]).ok();
    sandbox.hfd(["token", "work"]).ok().prints(&theirs);
    sandbox.hfd(["restore"]).ok().shows("replaced");
    sandbox.hfd(["restore", "work"]).ok();
    sandbox.hfd(["token", "work"]).ok().prints(&ours);
    sandbox
        .python("import huggingface_hub as h; print(h.get_token())")
        .ok()
        .prints(&ours);
}

#[test]
fn a_lock_hides_every_token_also_after_a_crash() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.hfd(["lock"]).ok();
    let nothing_is_told = || {
        sandbox.hfd(["token"]).exits(11);
        sandbox.hfd(["token", "work"]).exits(11);
        sandbox.hfd(["switch", "work"]).exits(11);
        assert_eq!(sandbox.token_file(), None);
        assert!(!sandbox.stored_tokens().unwrap().contains(&work.value));
        let list = sandbox.hfd(["list", "--json"]).ok().json();
        assert_eq!(list[0]["masked"], serde_json::Value::Null);
        let status = sandbox.hfd(["status", "--json"]).ok().json();
        assert_eq!(status["lock"], "session", "{status}");
    };
    nothing_is_told();
    processes::kill9(sandbox.daemon_pid());
    nothing_is_told();
    sandbox.hfd(["unlock"]).ok();
    sandbox.hfd(["token"]).ok().prints(&work);
    assert_eq!(sandbox.token_file().as_deref(), Some(work.value.as_str()));
}

#[test]
fn what_hfd_writes_and_takes_out_is_told_with_its_cause() {
    let sandbox = Sandbox::new();
    for name in ["work", "play"] {
        sandbox.logged_in(name);
    }
    let told = |name: &str| {
        let status = sandbox.hfd(["status", "--json"]).ok().json();
        let recent = status["mirrors"][0]["recent"].as_array().unwrap().clone();
        let change = recent.iter().find(|change| change["name"] == name);
        let change = change.unwrap_or_else(|| panic!("`{name}` in {status}"));
        ["what", "why"].map(|field| change[field].as_str().unwrap().to_owned())
    };
    assert_eq!(told("play"), ["written", "it is the active token"]);
    sandbox.hfd(["lock"]).ok();
    for name in ["work", "play"] {
        assert_eq!(told(name), ["taken-out", "hfd is locked"]);
    }
    sandbox.hfd(["unlock"]).ok();
    assert_eq!(
        told("work"),
        ["written", "hfd has it, and the file had not"]
    );
    sandbox.hfd(["mirror", "add", "--mode", "active-only"]).ok();
    assert_eq!(told("work"), ["taken-out", "the mode does not show it"]);
    sandbox.hfd(["logout", "play"]).ok();
    assert_eq!(told("play"), ["taken-out", "it is logged out"]);
}

#[test]
fn directories_are_added_and_left_alone() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.logged_in("play");
    let other = sandbox.home().join("other");
    sandbox.allow_mirror(&other);
    let shown = sandbox.shown(&other).into_string().unwrap();
    let dir = shown.as_str();
    sandbox.hfd(["mirror", "add", dir]).ok().shows("all tokens");
    sandbox.hfd(["switch", "work"]).env("HF_HOME", dir).ok();
    let stored = || std::fs::read_to_string(other.join("stored_tokens")).unwrap();
    assert!(stored().contains("[play]") && stored().contains("[work]"));
    assert_eq!(
        std::fs::read_to_string(other.join("token")).unwrap(),
        work.value
    );
    sandbox.hfd(["mirror", "list"]).ok().shows(dir);
    sandbox
        .hfd(["mirror", "add", dir, "--mode", "active-only"])
        .ok();
    assert!(!stored().contains("[play]") && stored().contains("[work]"));
    sandbox.hfd(["mirror", "add", dir, "--mode", "off"]).ok();
    assert!(!stored().contains(&work.value) && !other.join("token").exists());
    sandbox.hfd(["mirror", "remove", dir]).ok();
    sandbox.hfd(["mirror", "remove", dir]).exits(14);
    sandbox.hfd(["mirror", "list"]).ok().hides(dir);
}

#[test]
fn a_login_in_another_home_makes_it_a_mirror_of_that_token_and_says_so() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let other = sandbox.home().join("other");
    sandbox.allow_mirror(&other);
    let shown = sandbox.shown(&other).into_string().unwrap();
    let dir = shown.as_str();
    let play = sandbox.token("play");
    // Only stored, it concerns no home.
    let login = |words: &[&str]| {
        let words = ["login", "--with-token"].iter().chain(words);
        sandbox.hfd(words).stdin(&play).env("HF_HOME", dir)
    };
    login(&["--no-switch"]).ok().hides("mirror");
    assert!(!other.exists());
    sandbox.hfd(["mirror", "list"]).ok().hides(dir);
    login(&[]).ok().notes("kept in step from now on");
    assert_eq!(
        std::fs::read_to_string(other.join("token")).unwrap(),
        play.value
    );
    let stored = std::fs::read_to_string(other.join("stored_tokens")).unwrap();
    assert!(stored.contains("[play]") && !stored.contains("[work]"));
    let list = sandbox.hfd(["mirror", "list", "--json"]).ok().json();
    let mirrors = list.as_array().unwrap();
    let mode = mirrors.iter().find(|mirror| mirror["dir"] == dir).unwrap();
    assert_eq!(mode["mode"], "active-only", "{list}");
    // It is one now, and the first home is as it was.
    let again = login(&["--json"]).ok();
    assert_eq!(again.json().get("managed"), None);
    assert_eq!(sandbox.token_file().as_deref(), Some(work.value.as_str()));
}

#[test]
fn a_login_in_another_home_that_others_can_write_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let shared = sandbox.home().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
    let play = sandbox.token("play");
    let login = sandbox.hfd(["login", "--with-token"]).stdin(&play);
    login
        .env("HF_HOME", &shared)
        .exits(14)
        .notes("can be written by others");
    assert_eq!(std::fs::read_dir(&shared).unwrap().count(), 0);
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
}
