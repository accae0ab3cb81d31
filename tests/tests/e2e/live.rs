//! `hfd exec --live`: a program whose token stays fresh while it runs.

use hfd_e2e::hub::Account;
use hfd_e2e::{Running, Sandbox, processes};

use crate::login::exec;

/// A watcher of the token in use, and its process id.
fn watcher<'s>(sandbox: &'s Sandbox, args: &[&str]) -> (Running<'s>, u32) {
    let watcher = sandbox.watches_file("HF_TOKEN_PATH");
    let words = exec(&[&["--live"], args].concat(), watcher);
    let mut running = sandbox.hfd(words).spawn();
    let pid = running.line().parse().unwrap();
    (running, pid)
}

/// How many programs have a directory.
fn directories(sandbox: &Sandbox) -> usize {
    let live = match sandbox.is_windows() {
        true => sandbox.state_dir().join("live"),
        false => sandbox.runtime_dir().join("hfd/live"),
    };
    let entries = std::fs::read_dir(live).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_dir()).count()
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
    if sandbox.is_windows() {
        // A program there is ended, and not asked to. The next one tidies up after it.
        program.kill9();
        sandbox.hfd(exec(&["--live"], sandbox.ends_with(0))).ok();
        assert_eq!(directories(&sandbox), 0);
        return;
    }
    let outcome = program.terminate();
    assert_eq!(outcome.status, 128 + 15, "{outcome}");
    assert!(!outcome.stdout.contains(&play.value));
    assert_eq!(outcome.stderr, "");
    assert_eq!(directories(&sandbox), 0);
}

#[test]
fn hfd_itself_finds_the_token() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let token = exec(
        &["--live", "--as", "work"],
        vec![sandbox.program_hfd(), "token".to_owned()],
    );
    sandbox.hfd(&token).ok().prints(&work);
    // A token in the environment would go before the file's.
    let print = exec(&["--live", "--as", "work"], sandbox.prints(&["HF_TOKEN"]));
    sandbox.hfd(print).env("HF_TOKEN", &play).ok().prints("");
}

#[test]
fn the_status_is_that_of_the_program() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let run = |command: Vec<String>| sandbox.hfd(exec(&["--live"], command));
    let program = |path: &str| vec![path.to_owned()];
    let nothing = || run(sandbox.ends_with(0));
    nothing().ok().prints_nothing();
    run(sandbox.ends_with(7)).exits(7).prints_nothing();
    let nowhere = run(program("/nowhere/at/all")).exits(127);
    nowhere.notes("cannot run");
    let directory = run(program(sandbox.home().to_str().unwrap())).exits(126);
    directory.notes("cannot run");
    assert_eq!(directories(&sandbox), 0);
    nothing().env("HF_TOKEN", &work).exits(2).notes("--as NAME");
    nothing().env("HF_TOKEN", &work).env("HF_HOME", "").exits(2);
    sandbox.hfd(["logout"]).ok();
    nothing().exits(4);
}

#[test]
fn a_killed_one_leaves_nothing_behind_for_long() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let (mut killed, orphan) = watcher(&sandbox, &[]);
    assert_eq!(killed.line(), work.value);
    killed.kill9();
    if !sandbox.is_windows() {
        assert!(processes::is_alive(orphan), "the program goes on");
        processes::kill9(orphan);
    }
    assert_eq!(directories(&sandbox), 1);
    let (mut other, _) = watcher(&sandbox, &["--as", "work"]);
    assert_eq!(other.line(), work.value);
    assert_eq!(directories(&sandbox), 1, "the leftover is gone");
    if sandbox.is_windows() {
        other.kill9();
        sandbox.hfd(exec(&["--live"], sandbox.ends_with(0))).ok();
    } else {
        other.terminate();
    }
    assert_eq!(directories(&sandbox), 0);
}
