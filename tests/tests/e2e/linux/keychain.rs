//! The keychain is missing, locked, killed, restarted, or stands still.

use std::time::Duration;

use hfd_e2e::{Outcome, Sandbox, Token, eventually, fault, processes};
use rustix::process::Signal;
use serde_json::Value;

use crate::browser;
use crate::renewal::session;

/// What the issue promises of calls that need a keychain that does not answer: 5 s, and a second
/// for processes to start on a busy machine.
const SOON: Duration = Duration::from_secs(6);

/// What does not need the keychain answers at once; a second for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

fn login(sandbox: &Sandbox, token: &Token) -> Outcome {
    sandbox.hfd(["login", "--with-token"]).stdin(token).end()
}

fn status(sandbox: &Sandbox) -> Outcome {
    sandbox.hfd(["status", "--json"]).end().within(AT_ONCE)
}

#[test]
fn no_bus() {
    let mut fault = fault!("no D-Bus");
    let sandbox = Sandbox::builder().no_bus().start();
    let work = sandbox.token("work");
    fault
        .answers("login", login(&sandbox, &work))
        .within(SOON)
        .notes("--store file");
    fault.answers("status", status(&sandbox));
    fault.answers("token", sandbox.hfd(["token"]).end());
    assert_eq!(sandbox.token_file(), None, "nothing half done");
}

#[test]
fn no_provider() {
    let mut fault = fault!("no Secret Service provider");
    let sandbox = Sandbox::builder().no_provider().start();
    let work = sandbox.token("work");
    fault.answers("login", login(&sandbox, &work)).within(SOON);
    fault.answers("status", status(&sandbox));
    // Once there is one, it is used without a restart of the daemon.
    sandbox.keyring().start();
    fault.answers("login afterwards", login(&sandbox, &work));
}

#[test]
fn no_default_collection() {
    let mut fault = fault!("no default collection");
    let sandbox = Sandbox::builder().no_default_collection().start();
    let work = sandbox.token("work");
    fault.answers("login", login(&sandbox, &work)).within(SOON);
    fault.answers("status", status(&sandbox));
}

#[test]
fn locked() {
    let mut fault = fault!("locked keychain");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.token("play");
    sandbox.hfd(["token"]).ok().prints(&work);
    sandbox.keyring().lock();
    fault
        .answers("login", login(&sandbox, &play))
        .within(SOON)
        .notes("unlock");
    fault
        .answers("cached token", sandbox.hfd(["token"]).end())
        .within(AT_ONCE)
        .prints(&work);
    let state = fault.answers("status", status(&sandbox)).json();
    assert_eq!(state["lock"], "keychain", "{state}");
    // A daemon that has not seen the value yet, and no file that holds it.
    let aside = sandbox.home().join("aside");
    std::fs::rename(sandbox.hf_home(), &aside).unwrap();
    sandbox.hfd(["service", "restart"]).ok();
    fault
        .answers("token", sandbox.hfd(["token", "work"]).end())
        .within(SOON);
    std::fs::rename(&aside, sandbox.hf_home()).unwrap();
    sandbox.keyring().unlock();
    fault.answers("login afterwards", login(&sandbox, &play));
    sandbox.hfd(["token", "work"]).ok().prints(&work);
}

#[test]
fn killed() {
    let mut fault = fault!("provider killed in the middle of a call");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.token("play");
    let frozen = sandbox.keyring().freeze();
    let waiting = sandbox.hfd(["login", "--with-token"]).stdin(&play).spawn();
    sandbox.hub().wait_for_requests(2);
    sandbox.keyring().kill();
    drop(frozen);
    fault.answers("login", waiting.end()).within(SOON);
    fault
        .answers("cached token", sandbox.hfd(["token"]).end())
        .within(AT_ONCE)
        .prints(&work);
    fault.answers("status", status(&sandbox));
    sandbox.keyring().start();
    fault.answers("login afterwards", login(&sandbox, &play));
    sandbox.hfd(["token"]).ok().prints(&play);
}

#[test]
fn restarted() {
    let mut fault = fault!("provider restarted");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.keyring().restart();
    let play = sandbox.token("play");
    fault.answers("login", login(&sandbox, &play));
    fault
        .answers("token", sandbox.hfd(["token", "work"]).end())
        .prints(&work);
}

#[test]
fn frozen() {
    let mut fault = fault!("provider frozen (SIGSTOP) in the middle of a call");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.token("play");
    let events = sandbox.watch();
    let frozen = sandbox.keyring().freeze();
    let waiting = sandbox.hfd(["login", "--with-token"]).stdin(&play).spawn();
    sandbox.hub().wait_for_requests(2);
    fault.answers("status", status(&sandbox));
    fault
        .answers("cached token", sandbox.hfd(["token"]).end())
        .within(AT_ONCE)
        .prints(&work);
    fault
        .answers("login", waiting.end())
        .within(SOON)
        .notes("may still take effect");
    frozen.thaw();
    // What timed out is read back, and completed or undone; either is told.
    let event = events.wait_for(&["settled", "undone"]).event;
    let list = fault
        .answers("list afterwards", sandbox.hfd(["list", "--json"]).end())
        .json();
    let there = list
        .as_array()
        .unwrap()
        .iter()
        .any(|entry| entry["name"] == "play");
    assert_eq!(there, event == "settled", "{event} {list}");
    let state = status(&sandbox).json();
    assert_eq!(state["unsettled"], 0, "{state}");
    fault.answers("login afterwards", login(&sandbox, &play));
    sandbox.hfd(["token"]).ok().prints(&play);
}

#[test]
fn prompts_are_never_waited_for() {
    let mut fault = fault!("a prompt that nobody answers");
    let sandbox = Sandbox::builder().no_default_collection().start();
    let prompter = "--name=org.gnome.keyring.SystemPrompter";
    let hole = sandbox
        .program("dbus-test-tool", ["black-hole", "--session", prompter])
        .spawn();
    hfd_e2e::eventually("the prompter is there", || {
        sandbox
            .bus()
            .owner("org.gnome.keyring.SystemPrompter")
            .is_some()
    });
    let work = sandbox.token("work");
    fault.answers("login", login(&sandbox, &work)).within(SOON);
    hole.kill9();
}

#[test]
fn an_item_says_what_it_is_to_whoever_looks_at_the_keychain() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    sandbox
        .secret_tool(["search", "--all", "service", "hfd"])
        .ok()
        .shows("label = ")
        .notes("attribute.username = ")
        .notes("attribute.hfd = access");
}

#[test]
fn a_locked_keychain_keeps_the_hub_from_being_asked() {
    let mut fault = fault!("renewal while the keychain is locked");
    let sandbox = session(600);
    sandbox.keyring().lock();
    let asked = sandbox.hub().seen().len();
    fault.answers("refresh", sandbox.hfd(["refresh"]).end());
    assert_eq!(sandbox.hub().seen().len(), asked);
    sandbox.keyring().unlock();
    fault.answers("refresh afterwards", sandbox.hfd(["refresh"]).end());
}

#[test]
fn ctrl_c_after_the_login_was_granted_does_not_lose_it() {
    let sandbox = browser::sandbox();
    let mut login = sandbox.hfd(["login", "--json"]).spawn();
    let code: Value = serde_json::from_str(&login.line()).unwrap();
    sandbox.keyring().lock();
    sandbox.hub().approve(code["code"].as_str().unwrap());
    let trouble: Value = serde_json::from_str(&login.line()).unwrap();
    assert_eq!(trouble["event"], "trouble");
    processes::signal(login.pid(), Signal::INT);
    let ended = login.end();
    assert_eq!(ended.status, 130, "{ended}");
    assert!(ended.stderr.contains("it is kept"), "{ended}");
    sandbox.keyring().unlock();
    eventually("the token is stored", || sandbox.token_file().is_some());
    sandbox.hfd(["list"]).ok().shows("oauth-alice");
}

/// In the keychain's own window, or with its tools.
#[test]
fn changed_by_another_program() {
    let mut fault = fault!("items changed and removed in the keychain by another program");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let (play, pasted) = (sandbox.logged_in("play"), sandbox.token("pasted"));
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    let item = |name: &str| {
        let username = format!("{}|{name}", sandbox.hub().endpoint());
        ["service", "hfd", "username", &username, "hfd", "access"].map(str::to_owned)
    };
    let mut store = vec![String::from("store"), String::from("--label=pasted")];
    store.extend(item("play"));
    sandbox.secret_tool(&store).stdin(&pasted).ok();
    // Without a call that reads it: the file of other tools has it first.
    eventually("the file to follow the keychain", || {
        sandbox.token_file().as_ref() == Some(&pasted.value)
    });
    let token = sandbox.hfd(["token", "play"]).end();
    fault
        .answers("token that was changed", token.within(AT_ONCE))
        .prints(&pasted);
    sandbox.hfd(["restore", "play"]).ok();
    sandbox.hfd(["token", "play"]).ok().prints(&play);
    let mut clear = vec![String::from("clear")];
    clear.extend(item("work"));
    sandbox.secret_tool(&clear).ok();
    // What was in memory, and in no active mirror, is dropped.
    eventually("the removed token to be dropped", || {
        sandbox.hfd(["token", "work"]).end().status == 12
    });
    let token = sandbox.hfd(["token", "work"]).end();
    fault.answers("token that was removed", token.within(AT_ONCE));
    sandbox.finish();
}
