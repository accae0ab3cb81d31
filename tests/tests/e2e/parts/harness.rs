//! The harness itself: what it starts is real, and what it checks can fail.

use std::fs;

use hfd_e2e::hub::{Account, Failure};
use hfd_e2e::{Sandbox, canary, eventually, processes};

#[test]
fn the_real_client_logs_in_at_the_mock_hub() {
    let sandbox = Sandbox::new();
    let work = sandbox.token_of(
        Account::new("work", "alice")
            .role("fineGrained")
            .orgs(&["acme"]),
    );
    sandbox
        .hf(["auth", "login", "--token", &work.value])
        .ok()
        .notes("permission: fineGrained");
    sandbox
        .hf(["auth", "list"])
        .ok()
        .shows("work")
        .shows(&work.masked());
    sandbox
        .hf(["auth", "whoami"])
        .ok()
        .shows("alice")
        .shows("acme");
    sandbox
        .python("import huggingface_hub as h; print(h.get_token())")
        .ok()
        .prints(&work);
    assert!(
        sandbox
            .hub()
            .bearers()
            .iter()
            .all(|bearer| *bearer == work.value)
    );
}

#[test]
fn the_mock_hub_refuses_what_it_does_not_know() {
    let sandbox = Sandbox::new();
    let unknown = sandbox.unknown_token("unknown");
    sandbox
        .hf(["auth", "login", "--token", &unknown.value])
        .exits(1)
        .notes("Invalid user token");
    sandbox.hub().fail(Failure::Status(500));
    sandbox
        .hf(["auth", "login", "--token", &unknown.value])
        .exits(1)
        .notes("500");
}

#[test]
fn the_keyring_locks_unlocks_and_comes_back() {
    let sandbox = Sandbox::new();
    let keyring = sandbox.keyring();
    let store = || {
        sandbox
            .secret_tool(["store", "--label=x", "service", "harness"])
            .stdin("not a token")
    };
    let lookup = || sandbox.secret_tool(["lookup", "service", "harness"]);
    store().ok();
    lookup().ok().shows("not a token");
    keyring.lock();
    keyring.unlock();
    lookup().ok().shows("not a token");
    keyring.restart();
    lookup().ok().shows("not a token");
    let frozen = keyring.freeze();
    let waiting = lookup().spawn();
    frozen.thaw();
    waiting.end().shows("not a token");
}

#[test]
fn a_planted_token_is_found_in_every_form() {
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    assert_eq!(sandbox.leaks(), []);
    let state = sandbox.home().join(".local/state/hfd");
    fs::create_dir_all(&state).unwrap();
    for (form, bytes) in canary::forms(&work.value) {
        fs::write(
            state.join("log"),
            [b"x: ".as_slice(), &bytes, b"\n"].concat(),
        )
        .unwrap();
        assert!(!sandbox.leaks().is_empty(), "{form}");
    }
    fs::write(state.join("log"), work.masked()).unwrap();
    assert_eq!(sandbox.leaks(), [], "a mask is none");
    fs::remove_dir_all(state).unwrap();
}

#[test]
fn a_token_in_a_command_line_is_found() {
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    let script = "echo ready; kill -STOP $$";
    let mut holding = sandbox.program("sh", ["-c", script, &work.value]).spawn();
    holding.line();
    let leaks = sandbox.leaks();
    assert!(
        leaks[0].place.starts_with("the command line of process"),
        "{leaks:?}"
    );
    holding.kill9();
}

#[test]
fn a_process_that_detached_itself_is_found() {
    let sandbox = Sandbox::new();
    let script = "setsid env -i sleep 600 >/dev/null 2>&1 </dev/null & echo $!";
    sandbox.sh(script).ok();
    let mut sleeping = None;
    eventually("it is found by its mark", || {
        let mut processes = sandbox.processes().into_iter();
        sleeping = processes.find(|process| process.command == "sleep 600");
        sleeping.is_some()
    });
    processes::kill9(sleeping.unwrap().pid);
}
