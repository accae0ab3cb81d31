//! `hfd exec --live`: a program whose token stays fresh while it runs.

use hfd_e2e::hub::Account;
use hfd_e2e::{Running, Sandbox, processes};
use rustix::process::Signal;

/// Says its process id, and then what the token is whenever that has changed.
const WATCHER: &str = r#"
echo $$
last=
while :; do
  now=$(cat "$HF_TOKEN_PATH" 2>/dev/null) || now=gone
  [ "$now" = "$last" ] || echo "$now"
  last=$now
  sleep 0.01
done"#;

/// A watcher of the token in use, and its process id.
fn watcher<'s>(sandbox: &'s Sandbox, args: &[&str]) -> (Running<'s>, u32) {
    let args = [&["exec", "--live"], args, &["--", "sh", "-c", WATCHER]].concat();
    let mut running = sandbox.hfd(args).spawn();
    let pid = running.line().parse().unwrap();
    (running, pid)
}

/// How many programs have a directory.
fn directories(sandbox: &Sandbox) -> usize {
    let live = sandbox.runtime_dir().join("hfd/live");
    std::fs::read_dir(live).map_or(0, Iterator::count)
}

#[test]
fn a_program_sees_what_becomes_of_its_token() {
    let sandbox = Sandbox::new();
    let first = sandbox.logged_in("work");
    let (mut program, _) = watcher(&sandbox, &[]);
    assert_eq!(program.line(), first.value);
    let second = sandbox.logged_in("work");
    assert_eq!(program.line(), second.value);
    // Pinned by name: another active token is none of its business.
    let play = sandbox.logged_in("play");
    processes::kill9(sandbox.daemon_pid());
    let third = sandbox.logged_in("work");
    assert_eq!(program.line(), third.value);
    sandbox.hfd(["lock"]).ok();
    assert_eq!(program.line(), "gone");
    sandbox.hfd(["unlock"]).ok();
    assert_eq!(program.line(), third.value);
    sandbox.hfd(["logout", "work"]).ok();
    assert_eq!(program.line(), "gone");
    sandbox.hfd(["restore", "work"]).ok();
    assert_eq!(program.line(), third.value);
    // Under another name it is the same token, also for what comes later.
    sandbox.hfd(["rename", "work", "office"]).ok();
    let fourth = sandbox.token("work");
    let login = ["login", "--with-token", "--name", "office"];
    sandbox.hfd(login).stdin(&fourth).ok();
    assert_eq!(program.line(), fourth.value);
    sandbox.hfd(["rename", "office", "work"]).ok();
    // Another person's of that name, on the same Hub.
    let bob = sandbox.token_of(Account::new("work", "bob"));
    sandbox
        .hfd(["login", "--with-token", "--name", "work", "--force"])
        .stdin(&bob)
        .ok();
    assert_eq!(program.line(), bob.value);
    let outcome = program.terminate();
    assert_eq!(outcome.status, 128 + 15, "{outcome}");
    assert!(!outcome.stdout.contains(&play.value));
    assert_eq!(outcome.stderr, "");
    assert_eq!(directories(&sandbox), 0);
}

#[test]
fn the_real_client_and_hfd_itself_find_the_token() {
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
    sandbox
        .hfd(["exec", "--live", "--as", "work", "--", "hfd", "token"])
        .ok()
        .prints(&work);
}

#[test]
fn the_status_is_that_of_the_program() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let exec = |command: &[&str]| sandbox.hfd([&["exec", "--live", "--"], command].concat());
    exec(&["true"]).ok().prints_nothing();
    exec(&["sh", "-c", "exit 7"]).exits(7).prints_nothing();
    exec(&["sh", "-c", "kill -9 $$"]).exits(128 + 9);
    exec(&["/nowhere/at/all"]).exits(127).notes("cannot run");
    exec(&["/"]).exits(126).notes("cannot run");
    assert_eq!(directories(&sandbox), 0);
    exec(&["true"])
        .env("HF_TOKEN", &work)
        .exits(2)
        .notes("--as NAME");
    exec(&["true"])
        .env("HF_TOKEN", &work)
        .env("HF_HOME", "")
        .exits(2);
    sandbox.hfd(["logout"]).ok();
    exec(&["true"]).exits(4);
}

#[test]
fn a_killed_one_leaves_nothing_behind_for_long() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let (mut killed, orphan) = watcher(&sandbox, &[]);
    assert_eq!(killed.line(), work.value);
    processes::kill9(killed.pid());
    assert!(processes::is_alive(orphan), "the program goes on");
    processes::kill9(orphan);
    assert_eq!(directories(&sandbox), 1);
    let (mut other, _) = watcher(&sandbox, &["--as", "work"]);
    assert_eq!(other.line(), work.value);
    assert_eq!(directories(&sandbox), 1, "the leftover is gone");
    other.terminate();
    assert_eq!(directories(&sandbox), 0);
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
