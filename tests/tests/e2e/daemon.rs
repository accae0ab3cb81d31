//! The daemon as a process: how it starts, what it shows of itself, how it ends.

use std::fs;

use hfd_e2e::Sandbox;
use serde_json::Value;

#[test]
fn in_the_foreground_it_says_when_it_is_ready() {
    let sandbox = Sandbox::new();
    let mut daemon = sandbox.hfdd().spawn();
    let ready: Value = serde_json::from_str(&daemon.line()).unwrap();
    let pid = sandbox.daemon_id();
    assert_eq!(ready["ok"]["pid"], pid, "{ready}");
    sandbox.hfd(["list"]).ok();
    assert_eq!(
        sandbox.daemon_pid(),
        daemon.pid(),
        "it is the one that answers"
    );
    let second: Value = sandbox.hfdd().ok().json();
    assert_eq!(
        second["ok"]["pid"], pid,
        "another one says who serves: {second}"
    );
}

#[test]
fn what_starts_no_daemon() {
    let sandbox = Sandbox::new();
    sandbox.hfd(["completions", "bash"]).ok().shows("hfd");
    let pages = sandbox.home().join("man");
    fs::create_dir(&pages).unwrap();
    sandbox.hfd(["man".as_ref(), pages.as_os_str()]).ok();
    assert!(pages.join("hfd.1").is_file());
    sandbox.hfd(["--help"]).ok().shows("login");
    sandbox.hfd(["--version"]).ok();
    sandbox.hfd(["status"]).ok();
    sandbox.hfd(["service", "stop"]).ok();
    assert!(sandbox.daemons().is_empty());
}

#[test]
fn names_kinds_and_endpoints_are_rebuilt_from_the_keychain() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    sandbox.hfd(["service", "stop"]).ok();
    fs::remove_dir_all(sandbox.state_dir()).unwrap();
    fs::remove_dir_all(sandbox.hf_home()).unwrap();
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    let names: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["name"].clone())
        .collect();
    assert_eq!(names, ["play", "work"]);
    for entry in list.as_array().unwrap() {
        assert_eq!(entry["kind"], "access-token");
        assert_eq!(entry["endpoint"], sandbox.hub().endpoint());
    }
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    sandbox.hfd(["token", "play"]).ok().prints(&play);
}
