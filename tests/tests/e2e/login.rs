//! The main path: log in once, and every Hugging Face tool uses it.

use hfd_e2e::hub::Account;
use hfd_e2e::{Sandbox, eventually};
use serde_json::{Value, json};

/// The words of `hfd exec` with these options, and this command.
pub(crate) fn exec(options: &[&str], command: Vec<String>) -> Vec<String> {
    let options = ["exec"].iter().chain(options).chain(&["--"]);
    options
        .map(|word| (*word).to_owned())
        .chain(command)
        .collect()
}

#[test]
fn one_login_is_seen_by_every_tool() {
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    sandbox
        .hfd(["login", "--with-token"])
        .stdin(&work)
        .ok()
        .shows("work")
        .shows("alice");
    sandbox.hfd(["token"]).ok().prints(&work);
    sandbox
        .python("import huggingface_hub as h; print(h.get_token())")
        .ok()
        .prints(&work);
    sandbox
        .hf(["auth", "list"])
        .ok()
        .shows("* work")
        .shows(&work.masked());
    sandbox.hf(["auth", "whoami"]).ok().shows("alice");
    let items = sandbox.items();
    assert_eq!(items.stdout.matches(&work.value).count(), 1, "{items}");
    assert_eq!(sandbox.token_file().as_deref(), Some(work.value.as_str()));
    // That it stands nowhere else is what the end of the sandbox checks.
}

#[test]
fn two_tokens_are_listed_switched_and_run_with() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    assert_eq!(list[0]["name"], "play");
    assert_eq!(
        list[1],
        json!({
            "name": "work", "active": false, "kind": "access-token", "role": "write",
            "user": "alice", "endpoint": sandbox.hub().endpoint(), "expires_at": null, "renews": false,
            "masked": work.masked(), "store": sandbox.store(),
        })
    );
    sandbox.hfd(["token"]).ok().prints(&play);
    sandbox.hfd(["switch", "work"]).ok();
    sandbox.hfd(["token"]).ok().prints(&work);
    sandbox.hfd(["token", "play"]).ok().prints(&play);
    sandbox
        .hf(["auth", "list"])
        .ok()
        .shows("* work")
        .shows("  play");
    sandbox
        .hfd(exec(&["--as", "play"], sandbox.prints(&["HF_TOKEN"])))
        .ok()
        .prints(&play);
    sandbox.hfd(exec(&[], sandbox.ends_with(7))).exits(7);
    sandbox.hfd(["exec", "--", "no-such-program"]).exits(127);
}

#[test]
fn after_a_switch_a_running_program_sends_the_new_token() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let program = "
import sys
from huggingface_hub import HfApi
api = HfApi()
api.whoami(); print('asked', flush=True)
sys.stdin.read()
api.whoami(); print('asked again', flush=True)
";
    // The first request goes out with one token, the second, after the switch, with the other.
    let fifo = sandbox.root().join("go");
    sandbox.program("mkfifo", [&fifo]).ok();
    let script = format!("exec python -c \"$PROGRAM\" <'{}'", fifo.display());
    let mut running = sandbox.sh(&script).env("PROGRAM", program).spawn();
    // Opening the pipe lets it start; closing it lets it go on.
    let go = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    assert_eq!(running.line(), "asked");
    sandbox.hfd(["switch", "work"]).ok();
    drop(go);
    assert_eq!(running.line(), "asked again");
    let bearers = sandbox.hub().bearers();
    assert_eq!(bearers[bearers.len() - 2..], [play.value, work.value]);
    assert_eq!(running.end().status, 0);
}

#[test]
fn a_logout_with_purge_leaves_nothing() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.logged_in("play");
    sandbox.hfd(["logout", "play", "--purge"]).ok();
    sandbox.hfd(["token"]).exits(4);
    sandbox.hfd(["token", "play"]).exits(10);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    sandbox.hfd(["logout", "--all", "--purge"]).ok();
    sandbox.hf(["auth", "list"]).ok().notes("").hides("work");
    let items = sandbox.items();
    assert_eq!(items.stdout, "", "the keychain is empty");
    assert_eq!(sandbox.token_file(), None);
    assert_eq!(sandbox.hfd(["list", "--json"]).ok().json(), json!([]));
}

#[test]
fn a_token_gets_another_name_everywhere() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.hfd(["rename", "work", "office"]).ok();
    sandbox.hfd(["token", "office"]).ok().prints(&work);
    sandbox.hfd(["token", "work"]).exits(10);
    sandbox
        .hf(["auth", "list"])
        .ok()
        .shows("* office")
        .hides("work");
    let items = sandbox.items();
    assert_eq!(
        items.stdout.matches(&work.value).count(),
        1,
        "one item: {items}"
    );
    sandbox.hfd(["rename", "work", "x"]).exits(10);
}

#[test]
fn a_login_need_not_switch_and_need_not_ask() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let ci = sandbox.unknown_token("ci");
    let asked = sandbox.hub().seen().len();
    sandbox
        .hfd([
            "login",
            "--with-token",
            "--offline",
            "--name",
            "ci",
            "--no-switch",
        ])
        .stdin(&ci)
        .ok();
    assert_eq!(sandbox.hub().seen().len(), asked, "the Hub was not asked");
    sandbox.hfd(["token"]).ok().prints(&work);
    sandbox.hfd(["token", "ci"]).ok().prints(&ci);
}

#[test]
fn tokens_outlive_the_daemon() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let first = sandbox.daemon_pid();
    sandbox.hfd(["service", "stop"]).ok();
    // Its lock is free; the process itself may be there for another moment.
    eventually("it has ended", || sandbox.daemons().is_empty());
    sandbox.hfd(["status"]).ok();
    sandbox.hfd(["service", "status"]).ok();
    assert!(
        sandbox.daemons().is_empty(),
        "asking for the state starts no daemon"
    );
    sandbox.hfd(["token"]).ok().prints(&work);
    assert_ne!(sandbox.daemon_pid(), first);
}

#[test]
fn many_clients_at_once_start_one_daemon() {
    let sandbox = Sandbox::new();
    let clients: Vec<_> = (0..20)
        .map(|_| sandbox.hfd(["list", "--json"]).spawn())
        .collect();
    let pids: Vec<_> = clients.into_iter().map(|client| client.end()).collect();
    assert!(pids.iter().all(|outcome| outcome.status == 0), "{pids:?}");
    sandbox.daemon_pid();
}

#[test]
fn events_tell_what_happens() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let mut watching = sandbox.hfd(["watch", "--json"]).spawn();
    let events = sandbox.watch();
    sandbox.logged_in("play");
    assert_eq!(events.wait_for(&["login"]).name.unwrap().as_str(), "play");
    sandbox.hfd(["switch", "work"]).ok();
    assert_eq!(events.wait_for(&["switch"]).name.unwrap().as_str(), "work");
    sandbox.hfd(["rename", "work", "office"]).ok();
    events.wait_for(&["rename"]);
    sandbox.hfd(["logout", "office"]).ok();
    events.wait_for(&["logout"]);
    // The command tells the same, from the moment when it was ready.
    let event: serde_json::Value = serde_json::from_str(&watching.line()).unwrap();
    assert!(event["event"].is_string(), "{event}");
    watching.kill9();
}

#[test]
fn the_encrypted_file_serves_where_there_is_no_keychain() {
    let sandbox = Sandbox::builder().no_bus().start();
    let work = sandbox.token("work");
    sandbox
        .hfd(["login", "--with-token", "--store", "file"])
        .stdin(&work)
        .ok()
        .shows("file");
    sandbox.hfd(["service", "stop"]).ok();
    sandbox.hfd(["token"]).ok().prints(&work);
    sandbox.hf(["auth", "list"]).ok().shows("* work");
    sandbox.hfd(["logout", "work"]).ok();
    sandbox.hfd(["token"]).exits(4);
}

#[test]
fn errors_are_one_json_document() {
    let sandbox = Sandbox::new();
    let refused = sandbox
        .hfd(["token", "nobody", "--json"])
        .exits(10)
        .prints_nothing();
    let error = refused.error();
    assert_eq!(error["kind"], "no-such-token");
    assert!(
        error["message"].as_str().unwrap().contains("nobody"),
        "{error}"
    );
}

#[test]
fn the_state_is_told_with_and_without_a_daemon() {
    let sandbox = Sandbox::new();
    let without = sandbox.hfd(["status", "--json"]).ok().json();
    assert!(without["daemon"].is_null(), "{without}");
    sandbox.logged_in("work");
    let with = sandbox.hfd(["status", "--json"]).ok().json();
    assert_eq!(with["daemon"]["pid"], sandbox.daemon_id());
    assert_eq!(with["store"]["id"], sandbox.store());
    assert_eq!(with["store"]["state"], "ready");
    assert_eq!(with["lock"], "none");
    assert_eq!(with["active"], "work");
    assert_eq!(with["tokens"], 1);
    assert_eq!(with["mirrors"][0]["state"], "in-sync");
    assert_eq!(
        with["mirrors"][0]["dir"],
        sandbox.shown(sandbox.hf_home()).to_str().unwrap()
    );
}

#[test]
fn hf_auth_is_spoken_too() {
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    let play = sandbox.logged_in("play");
    // The value is in the command line, as upstream has it; the person is warned.
    sandbox.hfd(["auth", "login", "--token", &work.value]).ok();
    sandbox
        .hfd(["auth", "list"])
        .ok()
        .shows("work")
        .shows("play");
    sandbox.hfd(["auth", "switch", "--token-name", "play"]).ok();
    sandbox.hfd(["auth", "token"]).ok().prints(&play);
    sandbox.hfd(["auth", "whoami"]).ok().shows("alice");
    sandbox.hfd(["auth", "logout"]).ok();
    assert_eq!(
        sandbox.hfd(["list", "--json"]).ok().json(),
        json!([]),
        "all, as upstream"
    );
}

/// The long options in what `hf auth COMMAND --help` prints, each with whether a value follows.
fn options(help: &str) -> Vec<(String, bool)> {
    let mut options = Vec::new();
    for line in help.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        // An explanation is no option, whatever it mentions.
        if !words.first().is_some_and(|word| word.starts_with('-')) {
            continue;
        }
        for (at, word) in words.iter().enumerate() {
            if word.starts_with("--") {
                let next = words.get(at + 1).copied().unwrap_or_default();
                let takes_value = next == "TEXT" || next.starts_with('[');
                options.push((word.trim_end_matches(',').to_owned(), takes_value));
            }
        }
    }
    options
}

#[test]
fn each_flag_of_hf_auth_is_one_of_hfd_auth() {
    let sandbox = Sandbox::new();
    let mut seen = 0;
    for command in ["login", "logout", "switch", "list", "ls", "token", "whoami"] {
        let help = sandbox.hf(["auth", command, "--help"]).env("NO_COLOR", "1");
        for (option, takes_value) in options(&help.ok().stdout) {
            let mut words = vec!["auth", command, &option];
            if takes_value {
                words.push(if option == "--format" { "json" } else { "x" });
            }
            // Help is printed where everything before it is understood.
            words.push("--help");
            sandbox.hfd(words).ok();
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} options");
}

#[test]
fn programs_are_told_of_a_person_as_hf_tells_them() {
    let sandbox = Sandbox::new();
    let account = Account::new("work", "alice").orgs(&["acme", "toys"]);
    let work = sandbox.token_of(account);
    sandbox.hfd(["login", "--with-token"]).stdin(&work).ok();
    for how in [&["--json"][..], &["--quiet"], &["--format", "agent"]] {
        let words = [&["auth", "whoami"], how].concat();
        let theirs = sandbox.hf(&words).ok().stdout;
        let ours = sandbox.hfd(&words).ok().stdout;
        match how {
            ["--json"] => {
                let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
                assert_eq!(parsed(&ours), parsed(&theirs));
            }
            _ => assert_eq!(ours, theirs),
        }
    }
}
