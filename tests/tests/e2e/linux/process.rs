//! Processes, their files, signals and clocks, as Linux has them.

use std::fs;
use std::io::ErrorKind;

use hfd_e2e::{Sandbox, fault, processes};
use rustix::process::Signal;
use serde_json::Value;

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

#[test]
fn the_clock_set_back() {
    let mut fault = fault!("clock set back");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.hfd(["service", "stop"]).ok();
    let clock = sandbox.root().join("clock");
    std::fs::write(&clock, "+0").unwrap();
    let mut daemon = sandbox
        .hfdd()
        .env(
            "LD_PRELOAD",
            "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
        )
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .spawn();
    daemon.line();
    sandbox.logged_in("play");
    std::fs::write(&clock, "-30d").unwrap();
    let token = sandbox.hfd(["token", "work"]).end();
    fault.answers("token", token).prints(&work);
    fault.answers("switch", sandbox.hfd(["switch", "work"]).end());
    fault.answers("status", sandbox.hfd(["status", "--json"]).end());
    sandbox.logged_in("new");
    fault.answers("logout", sandbox.hfd(["logout", "play"]).end());
    let ended = daemon.terminate();
    assert_eq!(ended.status, 0, "{ended}");
    sandbox.hfd(["token", "work"]).ok().prints(&work);
}

#[test]
fn signals_go_on_to_the_program() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    for (name, signal) in [
        ("HUP", Signal::HUP),
        ("INT", Signal::INT),
        ("QUIT", Signal::QUIT),
        ("USR1", Signal::USR1),
        ("TERM", Signal::TERM),
    ] {
        let script =
            format!("trap 'echo {name}; exit 3' {name}; echo ready; while :; do sleep 0.01; done");
        let mut program = sandbox
            .hfd(["exec", "--live", "--", "sh", "-c", &script])
            .spawn();
        assert_eq!(program.line(), "ready");
        processes::signal(program.pid(), signal);
        assert_eq!(program.line(), name);
        assert_eq!(program.end().status, 3);
    }
    // nohup(1): what the caller ignores is ignored by both.
    let script = "trap '' HUP; exec hfd exec --live -- \
        sh -c 'echo ready; while [ ! -e over ]; do sleep 0.01; done; exit 4'";
    let mut program = sandbox.sh(script).spawn();
    assert_eq!(program.line(), "ready");
    processes::signal(program.pid(), Signal::HUP);
    std::fs::write(sandbox.home().join("over"), "").unwrap();
    assert_eq!(program.end().status, 4);
}

#[test]
fn the_real_client_finds_the_token_of_a_live_exec() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let look = "from huggingface_hub import get_token, whoami; import os
print(get_token(), whoami()['name'], 'HF_TOKEN' in os.environ)";
    sandbox
        .hfd(["exec", "--live", "--as", "work", "--", "python", "-c", look])
        .env("HF_TOKEN", &play)
        .ok()
        .prints(format!("{} alice False", work.value));
}

#[test]
fn a_program_that_a_signal_ended_is_told_as_a_shell_tells_it() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    sandbox
        .hfd(["exec", "--live", "--", "sh", "-c", "kill -9 $$"])
        .exits(128 + 9);
}

#[test]
fn who_asks_it_to_end_ends_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let sandbox = Sandbox::new();
        let mut daemon = sandbox.hfdd().spawn();
        let ready: Value = serde_json::from_str(&daemon.line()).unwrap();
        let socket = sandbox.runtime_dir().join("hfd/hfdd.sock");
        assert_eq!(ready["ok"]["socket"], socket.to_str().unwrap());
        processes::signal(daemon.pid(), signal);
        let ended = daemon.end();
        assert_eq!(ended.status, 0, "{ended}");
        assert!(!socket.exists(), "it takes its socket along");
    }
}
