//! `hfd doctor` finds what is wrong, names its mend, and is silent once that was done.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hfd_e2e::hub::Failure;
use hfd_e2e::{Sandbox, processes};
use serde_json::Value;

/// What it says: words, and mends.
fn report(sandbox: &Sandbox, more: &[&str]) -> Vec<(String, String)> {
    let words = [&["doctor", "--json"], more].concat();
    let outcome = sandbox.hfd(words).end();
    let report: Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome}"));
    let findings = report["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| (text(&finding["what"]), text(&finding["mend"])))
        .collect();
    assert_eq!(outcome.status, i32::from(!findings.is_empty()), "{outcome}");
    findings
}

/// Just this is wrong, and its mend names that.
#[track_caller]
fn finds(sandbox: &Sandbox, what: &str, mend: &str) {
    let found = report(sandbox, &[]);
    let words: Vec<&str> = found.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(words, [what], "{found:?}");
    assert!(found[0].1.contains(mend), "{found:?}");
}

#[track_caller]
fn is_silent(sandbox: &Sandbox) {
    assert_eq!(report(sandbox, &[]), []);
}

/// A person with two tokens, whose tools use the configured Hub.
fn healthy() -> Sandbox {
    let sandbox = Sandbox::new();
    at_home(&sandbox);
    sandbox.logged_in("work");
    sandbox.logged_in("play");
    is_silent(&sandbox);
    sandbox
}

fn at_home(sandbox: &Sandbox) {
    sandbox.configure(&format!("endpoint = \"{}\"\n", sandbox.hub().endpoint()));
}

/// The same with the encrypted file, behind a key file.
fn in_file() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::builder().no_bus().start();
    let endpoint = sandbox.hub().endpoint();
    sandbox.configure(&format!("endpoint = \"{endpoint}\"\nstore = \"file\"\n"));
    sandbox.logged_in("work");
    is_silent(&sandbox);
    let listed = sandbox.hfd(["store", "list", "--json"]).ok().json();
    let path = listed["stores"][0]["detail"].as_str().unwrap().into();
    (sandbox, path)
}

fn restart(sandbox: &Sandbox) {
    processes::kill9(sandbox.daemon_pid());
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn index(sandbox: &Sandbox) -> PathBuf {
    let entries = fs::read_dir(sandbox.home().join(".local/state/hfd")).unwrap();
    let mut machines = entries.map(|entry| entry.unwrap().path());
    let machine = machines.find(|path| path.join("index.json").exists());
    machine.expect("an index")
}

#[test]
fn a_healthy_session_is_told_to_be_so() {
    let sandbox = healthy();
    let told = sandbox.hfd(["doctor"]).ok();
    told.shows("Nothing is wrong.")
        .shows("secret-service, ready")
        .shows("write");
    // What is shown to others names no home.
    let outcome = sandbox.hfd(["doctor", "--json"]).ok();
    assert!(
        !outcome.stdout.contains(sandbox.home().to_str().unwrap()),
        "{outcome}"
    );
}

#[test]
fn the_daemon_is_frozen() {
    let sandbox = healthy();
    processes::freeze(sandbox.daemon_pid());
    finds(&sandbox, "daemon-unreachable", "hfd service restart");
    sandbox.hfd(["service", "restart"]).ok();
    is_silent(&sandbox);
}

#[test]
fn hfd_is_locked() {
    let sandbox = healthy();
    sandbox.hfd(["lock"]).ok();
    finds(&sandbox, "locked", "hfd unlock");
    sandbox.hfd(["unlock"]).ok();
    is_silent(&sandbox);
}

#[test]
fn the_keychain_is_locked() {
    let sandbox = healthy();
    sandbox.keyring().lock();
    finds(&sandbox, "store-locked", "unlock your keyring");
    sandbox.keyring().unlock();
    is_silent(&sandbox);
}

#[test]
fn the_keychain_is_frozen() {
    let sandbox = healthy();
    let frozen = sandbox.keyring().freeze();
    let found = report(&sandbox, &[]);
    assert!(
        found.iter().any(|(what, _)| what == "store-frozen"),
        "{found:?}"
    );
    frozen.thaw();
    hfd_e2e::eventually("the keychain answers", || report(&sandbox, &[]).is_empty());
}

#[test]
fn the_keychain_is_not_there() {
    let sandbox = Sandbox::builder().no_provider().start();
    at_home(&sandbox);
    finds(&sandbox, "store-unavailable", "--store file");
    sandbox.keyring().start();
    is_silent(&sandbox);
}

#[test]
fn the_encrypted_file_is_locked() {
    let (sandbox, _) = in_file();
    let rekey = ["store", "rekey", "--with-passphrase"];
    sandbox.hfd(rekey).stdin("open sesame").ok();
    restart(&sandbox);
    finds(&sandbox, "store-locked", "hfd unlock");
    sandbox
        .hfd(["unlock", "--with-passphrase"])
        .stdin("open sesame")
        .ok();
    is_silent(&sandbox);
}

#[test]
fn the_key_file_is_missing() {
    let (sandbox, file) = in_file();
    let key = file.with_extension("hfd.key");
    let away = key.with_extension("away");
    fs::rename(&key, &away).unwrap();
    finds(&sandbox, "store-unavailable", "restore the key file");
    fs::rename(&away, &key).unwrap();
    is_silent(&sandbox);
}

#[test]
fn the_encrypted_file_is_cut_short() {
    let (sandbox, file) = in_file();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..60]).unwrap();
    finds(&sandbox, "store-unavailable", "from a backup");
    fs::write(&file, whole).unwrap();
    is_silent(&sandbox);
}

#[test]
fn the_encrypted_file_is_open_to_others() {
    let (sandbox, file) = in_file();
    set_mode(&file, 0o644);
    finds(&sandbox, "store-unavailable", "chmod");
    set_mode(&file, 0o600);
    is_silent(&sandbox);
}

#[test]
fn the_index_is_gone() {
    let sandbox = healthy();
    let before = sandbox.hfd(["list", "--json"]).ok().json();
    let directory = index(&sandbox);
    fs::remove_file(directory.join("index.json")).unwrap();
    fs::remove_file(directory.join("journal")).unwrap();
    finds(&sandbox, "index-missing", "hfd doctor --repair");
    assert_eq!(report(&sandbox, &["--repair"]), []);
    is_silent(&sandbox);
    restart(&sandbox);
    assert_eq!(sandbox.hfd(["list", "--json"]).ok().json(), before);
}

#[test]
fn the_index_is_gone_and_nobody_remembers_it() {
    let sandbox = healthy();
    // Values that no file shows.
    sandbox.hfd(["mirror", "add", "--mode", "off"]).ok();
    let before = sandbox.hfd(["list", "--json"]).ok().json();
    let directory = index(&sandbox);
    restart(&sandbox);
    fs::remove_file(directory.join("index.json")).unwrap();
    fs::remove_file(directory.join("journal")).unwrap();
    assert_eq!(report(&sandbox, &["--repair"]), []);
    let after = sandbox.hfd(["list", "--json"]).ok().json();
    let rest = |list: &Value| -> Vec<[Value; 4]> {
        let each =
            |token: &Value| ["name", "kind", "endpoint", "store"].map(|key| token[key].clone());
        list.as_array().unwrap().iter().map(each).collect()
    };
    assert_eq!(rest(&after), rest(&before));
    is_silent(&sandbox);
}

#[test]
fn the_index_is_damaged() {
    let sandbox = healthy();
    let directory = index(&sandbox);
    restart(&sandbox);
    fs::write(directory.join("index.json"), "{\"version\":1,").unwrap();
    finds(&sandbox, "index-damaged", "hfd doctor --repair");
    assert_eq!(report(&sandbox, &["--repair"]), []);
    is_silent(&sandbox);
    assert!(directory.join("index.json.damaged").exists());
    sandbox.hfd(["token", "work"]).ok();
    sandbox.hfd(["token", "play"]).ok();
}

/// Which files were to show nothing was in the index.
#[test]
fn a_repair_writes_no_token_where_none_was() {
    let sandbox = healthy();
    let files = || {
        ["token", "stored_tokens"].map(|name| {
            fs::read_to_string(sandbox.hf_home().join(name)).is_ok_and(|text| text.contains("hf_"))
        })
    };
    sandbox.hfd(["mirror", "add", "--mode", "off"]).ok();
    // hfd's own commands go on with the active token.
    let active = sandbox.hfd(["token"]).ok().stdout;
    assert_eq!(active, sandbox.hfd(["token", "play"]).ok().stdout);
    assert_eq!(files(), [false, false]);
    sandbox.hfd(["service", "stop"]).ok();
    fs::write(index(&sandbox).join("index.json"), "{").unwrap();
    sandbox
        .hfd(["token", "work"])
        .exits(1)
        .notes("hfd doctor --repair");
    sandbox.hfd(["doctor", "--repair"]).ok();
    sandbox.hfd(["token", "work"]).ok();
    sandbox.hfd(["sync"]).ok();
    assert_eq!(files(), [false, false]);
    sandbox.hfd(["mirror", "add", "--mode", "files"]).ok();
    assert_eq!(files(), [false, true], "none of them is active");
}

#[test]
fn a_file_of_a_mirror_leads_to_another_users() {
    let sandbox = healthy();
    let token = sandbox.hf_home().join("token");
    fs::remove_file(&token).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &token).unwrap();
    finds(&sandbox, "mirror-owner", "rm ");
    sandbox.hfd(["sync"]).exits(1);
    fs::remove_file(&token).unwrap();
    sandbox.hfd(["sync"]).ok();
    is_silent(&sandbox);
}

#[test]
fn the_keychain_holds_what_the_index_does_not_know() {
    let sandbox = healthy();
    // The files of tools would tell it.
    sandbox.hfd(["mirror", "add", "--mode", "off"]).ok();
    let directory = index(&sandbox);
    let read = |name| (name, fs::read(directory.join(name)).unwrap());
    let before = ["index.json", "journal"].map(read);
    let later = sandbox.logged_in("later");
    restart(&sandbox);
    for (name, content) in before {
        fs::write(directory.join(name), content).unwrap();
    }
    finds(&sandbox, "tokens-unknown", "hfd doctor --repair");
    assert_eq!(report(&sandbox, &["--repair"]), []);
    is_silent(&sandbox);
    sandbox.hfd(["token", "later"]).ok().prints(&later);
}

#[test]
fn the_keychain_has_lost_a_token() {
    let sandbox = healthy();
    let endpoint = sandbox.hub().endpoint();
    let user = format!("{endpoint}|play");
    sandbox
        .secret_tool(["clear", "service", "hfd", "username", &user])
        .ok();
    finds(&sandbox, "token-missing", "hfd logout play");
    sandbox.hfd(["logout", "play"]).ok();
    is_silent(&sandbox);
}

#[test]
fn a_file_of_a_mirror_is_open_to_others() {
    let sandbox = healthy();
    sandbox.hfd(["mirror", "list"]).ok();
    let file = sandbox.hf_home().join("token");
    set_mode(&file, 0o640);
    finds(&sandbox, "mirror-mode", "chmod 600");
    set_mode(&file, 0o600);
    is_silent(&sandbox);
}

#[test]
fn a_file_of_a_mirror_has_another_name() {
    let sandbox = healthy();
    let file = sandbox.hf_home().join("stored_tokens");
    let elsewhere = sandbox.home().join("elsewhere");
    fs::hard_link(&file, &elsewhere).unwrap();
    finds(&sandbox, "mirror-hard-link", "cp -p");
    let own = sandbox.hf_home().join("stored_tokens.own");
    fs::copy(&file, &own).unwrap();
    fs::rename(&own, &file).unwrap();
    fs::remove_file(elsewhere).unwrap();
    sandbox.hfd(["sync"]).ok();
    is_silent(&sandbox);
}

#[test]
fn the_directory_of_a_mirror_can_be_written_by_others() {
    let sandbox = healthy();
    set_mode(&sandbox.hf_home(), 0o777);
    sandbox.hfd(["sync"]).end();
    finds(&sandbox, "mirror-writable", "chmod go-w");
    set_mode(&sandbox.hf_home(), 0o755);
    sandbox.hfd(["sync"]).ok();
    is_silent(&sandbox);
}

#[test]
fn the_directory_of_a_mirror_is_gone() {
    let sandbox = healthy();
    let other = sandbox.home().join("other");
    fs::create_dir(&other).unwrap();
    sandbox.hfd(["mirror", "add", "other"]).ok();
    is_silent(&sandbox);
    fs::remove_dir_all(&other).unwrap();
    finds(&sandbox, "mirror-gone", "hfd mirror remove");
    sandbox.hfd(["mirror", "remove", "other"]).ok();
    is_silent(&sandbox);
}

#[test]
fn another_tool_wrote_json() {
    let sandbox = healthy();
    let json = r#"{"tokens":{"a":{"token":"x"}},"active":"a"}"#;
    sandbox.write_hf_file("stored_tokens", json);
    sandbox.hfd(["sync"]).end();
    finds(&sandbox, "mirror-json", "hfd sync");
    let file = sandbox.hf_home().join("stored_tokens");
    fs::rename(&file, file.with_extension("json")).unwrap();
    sandbox.hfd(["sync"]).ok();
    hfd_e2e::eventually("the file is written anew", || {
        report(&sandbox, &[]).is_empty()
    });
}

#[test]
fn a_file_does_not_parse() {
    let sandbox = healthy();
    let good = sandbox.stored_tokens().unwrap();
    sandbox.write_hf_file("stored_tokens", "[work\nhf_token = half\n");
    sandbox.hfd(["sync"]).end();
    finds(&sandbox, "mirror-unreadable", "hfd sync");
    sandbox.write_hf_file("stored_tokens", good);
    sandbox.hfd(["sync"]).ok();
    is_silent(&sandbox);
}

#[test]
fn a_variable_beats_the_session() {
    let sandbox = healthy();
    let words = ["doctor", "--json"];
    let outcome = sandbox
        .hfd(words)
        .env("HF_TOKEN", "hf_of_somebody_else")
        .exits(1);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["findings"][0]["what"], "override");
    assert_eq!(report["findings"][0]["mend"], "unset HF_TOKEN");
    is_silent(&sandbox);
}

#[test]
fn tools_here_use_another_home() {
    let sandbox = healthy();
    let other = sandbox.home().join("other");
    fs::create_dir(&other).unwrap();
    let outcome = sandbox
        .hfd(["doctor", "--json"])
        .env("HF_HOME", &other)
        .exits(1);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["findings"][0]["what"], "other-home");
    sandbox.allow_mirror(&other);
    sandbox.hfd(["mirror", "add", "other"]).ok();
    sandbox.hfd(["doctor"]).env("HF_HOME", &other).ok();
}

#[test]
fn tools_here_use_another_hub() {
    let sandbox = healthy();
    let outcome = sandbox
        .hfd(["doctor", "--json"])
        .env("HF_ENDPOINT", "https://hub.example")
        .exits(1);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["findings"][0]["what"], "other-endpoint");
    is_silent(&sandbox);
}

#[test]
fn git_asks_a_program_that_is_gone() {
    let sandbox = healthy();
    let key = "credential.https://huggingface.co.helper";
    let gone = "/opt/old/git-credential-hfd";
    sandbox.git(["config", "--global", "--add", key, ""]).ok();
    sandbox.git(["config", "--global", "--add", key, gone]).ok();
    finds(&sandbox, "git-helper-gone", "hfd git setup");
    sandbox.hfd(["git", "setup"]).ok();
    is_silent(&sandbox);
}

#[test]
fn git_asks_others_beside_hfd() {
    let sandbox = healthy();
    sandbox.hfd(["git", "setup"]).ok();
    is_silent(&sandbox);
    let key = "credential.https://huggingface.co.helper";
    let add = ["config", "--global", "--add", key, "cache"];
    sandbox.git(add).ok();
    finds(&sandbox, "git-helper-shared", "hfd git setup");
    sandbox.hfd(["git", "setup"]).ok();
    is_silent(&sandbox);
}

#[test]
fn git_has_kept_a_token_in_the_clear() {
    let sandbox = healthy();
    let file = sandbox.home().join(".git-credentials");
    fs::write(
        &file,
        "https://hf_user:a-secret@huggingface.co\nhttps://me:x@example.com\n",
    )
    .unwrap();
    finds(
        &sandbox,
        "git-credentials",
        "take the lines of huggingface.co out",
    );
    fs::write(&file, "https://me:x@example.com\n").unwrap();
    is_silent(&sandbox);
}

#[test]
fn the_configuration_has_a_wrong_key() {
    let sandbox = healthy();
    let endpoint = sandbox.hub().endpoint();
    sandbox.configure(&format!("endpoint = \"{endpoint}\"\nsotre = \"file\"\n"));
    restart(&sandbox);
    let found = report(&sandbox, &[]);
    assert_eq!(found[0].0, "daemon-unreachable", "{found:?}");
    at_home(&sandbox);
    is_silent(&sandbox);
}

#[test]
fn the_hub_is_asked_on_request() {
    let sandbox = healthy();
    assert_eq!(report(&sandbox, &["--hub"]), []);
    sandbox.hub().fail(Failure::Hang);
    is_silent(&sandbox);
    sandbox.hub().fail(None);
    sandbox.hub().down(true);
    let found = report(&sandbox, &["--hub"]);
    assert_eq!(found[0].0, "hub-unreachable", "{found:?}");
    sandbox.hub().down(false);
    assert_eq!(report(&sandbox, &["--hub"]), []);
}

#[test]
fn a_token_that_the_hub_does_not_know_is_told_of() {
    let sandbox = healthy();
    let active = sandbox.token_file().unwrap();
    sandbox.hub().revoke(&active);
    let found = report(&sandbox, &["--hub"]);
    assert_eq!(found.len(), 1, "{found:?}");
    let told = |found: &[(String, String)]| {
        found
            .iter()
            .any(|(what, _)| what == "token-needs-attention")
    };
    hfd_e2e::eventually("it is remembered", || told(&report(&sandbox, &[])));
    sandbox.logged_in("play");
    is_silent(&sandbox);
}

#[test]
fn a_repair_raises_nobody_who_was_logged_out() {
    let (sandbox, file) = in_file();
    sandbox.logged_in("gone");
    let copy = fs::read(&file).unwrap();
    sandbox.hfd(["logout", "gone", "--purge"]).ok();
    // As a backup does that is put back.
    fs::write(&file, copy).unwrap();
    restart(&sandbox);
    is_silent(&sandbox);
    assert_eq!(report(&sandbox, &["--repair"]), []);
    sandbox.hfd(["token", "gone"]).exits(10);
}

#[test]
fn a_repair_of_the_journal_keeps_what_came_before() {
    let sandbox = healthy();
    let other = sandbox.home().join("other");
    fs::create_dir(&other).unwrap();
    sandbox.allow_mirror(&other);
    sandbox.hfd(["mirror", "add", "other"]).ok();
    sandbox.hfd(["lock"]).ok();
    let directory = index(&sandbox);
    restart(&sandbox);
    let journal = directory.join("journal");
    let mut content = fs::read(&journal).unwrap();
    content.extend(b"no line of ours\n");
    fs::write(&journal, content).unwrap();
    finds(&sandbox, "index-damaged", "hfd doctor --repair");
    let found = report(&sandbox, &["--repair"]);
    let words: Vec<&str> = found.iter().map(|(what, _)| what.as_str()).collect();
    assert!(words.contains(&"locked"), "{found:?}");
    sandbox.hfd(["token", "work"]).exits(11);
    sandbox.hfd(["unlock"]).ok();
    is_silent(&sandbox);
    sandbox.hfd(["mirror", "list"]).ok().shows("other");
    assert!(directory.join("journal.damaged").exists());
}
