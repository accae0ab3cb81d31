//! The daemon as a process: how it starts, what it shows of itself, how it ends.

use std::fs;
use std::io::ErrorKind;

use hfd_e2e::{Sandbox, processes};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn in_the_foreground_it_says_when_it_is_ready() {
    let sandbox = Sandbox::new();
    let mut daemon = sandbox.hfdd().spawn();
    let ready: Value = serde_json::from_str(&daemon.line()).unwrap();
    assert_eq!(ready["ok"]["pid"], daemon.pid(), "{ready}");
    let socket = sandbox.runtime_dir().join("hfd/hfdd.sock");
    assert_eq!(ready["ok"]["socket"], socket.to_str().unwrap());
    sandbox.hfd(["list"]).ok();
    assert_eq!(
        sandbox.daemon_pid(),
        daemon.pid(),
        "it is the one that answers"
    );
    let second: Value = sandbox.hfdd().ok().json();
    assert_eq!(
        second["ok"]["pid"],
        daemon.pid(),
        "another one says who serves: {second}"
    );
    let ended = daemon.terminate();
    assert_eq!(ended.status, 0, "{ended}");
    assert!(!socket.exists(), "it takes its socket along");
}

#[test]
fn an_interrupt_ends_it_as_cleanly() {
    let sandbox = Sandbox::new();
    let mut daemon = sandbox.hfdd().spawn();
    daemon.line();
    processes::signal(daemon.pid(), Signal::INT);
    let ended = daemon.end();
    assert_eq!(ended.status, 0, "{ended}");
}

#[test]
fn nobody_reads_its_memory_or_its_environment() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let daemon = sandbox.daemon_pid();
    for file in ["environ", "maps", "mem", "io"] {
        let read = fs::read(format!("/proc/{daemon}/{file}"));
        let error = read.expect_err(file);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{file}: {error}");
    }
    let limits = fs::read_to_string(format!("/proc/{daemon}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let limits: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(limits, ["0", "0"], "it leaves no core: {core}");
}

#[test]
fn one_that_was_started_on_demand_is_nobodys_child() {
    let sandbox = Sandbox::new();
    sandbox.hfd(["service", "start"]).ok();
    let daemon = sandbox.daemon_pid();
    let stat = fs::read_to_string(format!("/proc/{daemon}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = rest.split(' ').collect();
    // proc(5): state, parent, process group, session, terminal.
    assert_ne!(
        fields[1],
        std::process::id().to_string(),
        "its parent is not the client's"
    );
    assert_eq!(fields[4], "0", "it has no terminal");
    assert_ne!(fields[3], session_of("self"), "it has a session of its own");
}

fn session_of(process: &str) -> String {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(3).unwrap().to_owned()
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
    fs::remove_dir_all(sandbox.place().state_dir()).unwrap();
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

#[test]
fn its_files_are_its_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let state = sandbox.place().state_dir();
    assert_eq!(mode(&state), 0o700);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    let socket = sandbox.runtime_dir().join("hfd/hfdd.sock");
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
    assert_eq!(mode(&socket), 0o600);
    for name in ["token", "stored_tokens"] {
        assert_eq!(mode(&sandbox.hf_home().join(name)), 0o600);
    }
}
