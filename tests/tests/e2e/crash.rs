//! The daemon is killed with -9 at any moment of a login or a switch.

use std::time::Duration;

use hfd_e2e::{Sandbox, Token, eventually, fault, processes};

/// Moments within a change, from its first step to after its last. A change takes some 20 ms in a
/// debug build.
fn moments() -> impl Iterator<Item = Duration> {
    (0..20).map(|step| Duration::from_millis(step * 2))
}

/// Kills the daemon, which runs, at this moment from now.
fn kill_at(sandbox: &Sandbox, moment: Duration) {
    let daemon = sandbox.daemon_pid();
    std::thread::sleep(moment); // the moment itself, not a wait for something
    processes::kill9(daemon);
}

/// List, lookup, files and the real client must tell the same story.
fn assert_consistent(sandbox: &Sandbox, tokens: &[&Token]) {
    sandbox.hfd(["list"]).ok();
    // What was cut off is settled while the daemon answers already.
    eventually("nothing is open any more", || {
        let state = sandbox.hfd(["status", "--json"]).ok().json();
        state["unsettled"] == 0 && state["mirrors"][0]["state"] == "in-sync"
    });
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    let file = sandbox.token_file().expect("there is a session");
    let active: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["active"] == true)
        .collect();
    let active = active
        .first()
        .unwrap_or_else(|| panic!("none active in {list}"));
    let name = active["name"].as_str().unwrap();
    let token = tokens.iter().find(|token| token.name == name).unwrap();
    assert_eq!(file, token.value, "the file holds the active token, {name}");
    sandbox.hfd(["token"]).ok().prints(token);
    for entry in list.as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let token = tokens.iter().find(|token| token.name == name).unwrap();
        sandbox.hfd(["token", name]).ok().prints(token);
        let stored = sandbox.stored_tokens().unwrap();
        assert!(stored.contains(&token.value), "{name} is in stored_tokens");
    }
}

#[test]
fn during_a_login() {
    let mut fault = fault!("daemon killed (-9) at any moment of a login");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.token("play");
    for moment in moments() {
        let waiting = sandbox.hfd(["login", "--with-token"]).stdin(&play).spawn();
        kill_at(&sandbox, moment);
        let status = waiting.end().status;
        assert_consistent(&sandbox, &[&work, &play]);
        if status == 0 {
            // What was reported as done is done.
            sandbox.hfd(["token", "play"]).ok().prints(&play);
        }
        sandbox.hfd(["switch", "work"]).ok();
        if sandbox.hfd(["token", "play"]).end().status == 0 {
            sandbox.hfd(["logout", "play"]).ok();
        }
    }
    fault.answers("list afterwards", sandbox.hfd(["list"]).end());
    sandbox.daemon_pid();
}

#[test]
fn during_a_switch() {
    let mut fault = fault!("daemon killed (-9) at any moment of a switch");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    for (moment, name) in moments().zip(["work", "play"].into_iter().cycle()) {
        let waiting = sandbox.hfd(["switch", name]).spawn();
        kill_at(&sandbox, moment);
        let status = waiting.end().status;
        assert_consistent(&sandbox, &[&work, &play]);
        if status == 0 {
            let now = if name == "work" { &work } else { &play };
            sandbox.hfd(["token"]).ok().prints(now);
        }
    }
    fault.answers("list afterwards", sandbox.hfd(["list"]).end());
    sandbox.daemon_pid();
}
