//! `hfd login` with a browser: what is told, who may end it, and what stays.

use std::time::Duration;

use hfd_e2e::hub::{Account, Failure};
use hfd_e2e::{Running, Sandbox, eventually, fault, processes};
use rustix::process::Signal;
use serde_json::Value;

/// A sandbox whose Hub is asked every second.
pub(crate) fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let second = Duration::from_secs(1);
    sandbox.hub().policy(|policy| policy.interval = second);
    sandbox
}

/// The line of the configuration that says whose tokens other tools write into the files.
pub(crate) fn your_hub(sandbox: &Sandbox) -> String {
    format!("endpoint = \"{}\"\n", sandbox.hub().endpoint())
}

/// A login that was begun, and its code.
fn begin(sandbox: &Sandbox) -> (Running<'_>, String) {
    // One of a daemon that is gone waits at the Hub until it expires.
    let before = sandbox.hub().pending();
    let login = sandbox.hfd(["login"]).spawn();
    let device = sandbox.hub().wait_for_pending_beside(&before);
    (login, device.user_code)
}

/// A login by alice, to its end.
pub(crate) fn log_in(sandbox: &Sandbox) {
    let (login, code) = begin(sandbox);
    sandbox.hub().approve(&code);
    let ended = login.end();
    assert_eq!(ended.status, 0, "{ended}");
}

#[test]
fn a_login_without_a_terminal_says_where_to_go_and_ends_with_the_token_in_the_keychain() {
    let sandbox = sandbox();
    let (login, code) = begin(&sandbox);
    sandbox.hub().approve(&code);
    let ended = login.end();
    assert_eq!(ended.status, 0, "{ended}");
    ended
        .notes("Open this URL in your browser:")
        .notes(&code)
        .shows(" as alice.")
        .shows(&format!(
            "`oauth-alice` rests in {} and is the active token.",
            sandbox.store()
        ));
    let grant = &sandbox.hub().grants()[0];
    sandbox.hfd(["token"]).ok().prints(&grant.access);
    assert_eq!(sandbox.token_file().as_ref(), Some(&grant.access));
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    assert_eq!(list[0]["kind"], "oauth");
    assert_eq!(list[0]["renews"], true);
    assert_eq!(list[0]["user"], "alice");
    // Nobody runs it as a service, so that huggingface_hub may renew, too.
    assert!(sandbox.stored_tokens().unwrap().contains("refresh_token"));
    sandbox.hf(["auth", "list"]).ok().shows("* oauth-alice");
    sandbox.finish();
}

#[test]
fn a_program_gets_an_event_a_line() {
    let sandbox = sandbox();
    let mut login = sandbox.hfd(["login", "--json", "--name", "work"]).spawn();
    let code: Value = serde_json::from_str(&login.line()).unwrap();
    assert_eq!(code["event"], "code");
    assert_eq!(code["joined"], false);
    let url = code["complete_url"].as_str().unwrap();
    assert!(url.contains(code["code"].as_str().unwrap()), "{url}");
    sandbox.hub().approve(code["code"].as_str().unwrap());
    let done: Value = serde_json::from_str(&login.line()).unwrap();
    assert_eq!(done["event"], "done");
    assert_eq!(done["name"], "work");
    assert_eq!(done["user"], "alice");
    let ended = login.end();
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
    sandbox.finish();
}

#[test]
fn a_no_in_the_browser_ends_it() {
    let mut fault = fault!("browser login denied in the browser");
    let sandbox = sandbox();
    let (login, code) = begin(&sandbox);
    sandbox.hub().deny(&code);
    fault.answers("login", login.end()).notes("denied");
    assert_eq!(sandbox.stored_tokens(), None);
}

#[test]
fn a_code_that_nobody_used_expires() {
    let mut fault = fault!("browser login that nobody grants");
    let sandbox = sandbox();
    let brief = Duration::from_secs(2);
    sandbox
        .hub()
        .policy(|policy| policy.device_lifetime = brief);
    let ended = sandbox.hfd(["login"]).end();
    fault.answers("login", ended).notes("repeat");
}

#[test]
fn gateways_and_lost_connections_do_not_end_it() {
    let mut fault = fault!("browser login while the Hub answers with 502, 500, 429, or not at all");
    let sandbox = sandbox();
    let (login, code) = begin(&sandbox);
    for failure in [
        Failure::Gateway(502),
        Failure::Close,
        Failure::Status(500),
        Failure::Later(429, 1),
    ] {
        let asked = sandbox.hub().seen().len();
        sandbox.hub().fail_once("/oauth/token", failure);
        sandbox.hub().wait_for_requests(asked + 1);
    }
    sandbox.hub().approve(&code);
    fault.answers("login", login.end());
}

#[test]
fn no_hub_is_said_at_once() {
    let mut fault = fault!("browser login without a Hub");
    let sandbox = sandbox();
    sandbox.hub().down(true);
    fault.answers("login", sandbox.hfd(["login"]).end());
    sandbox.hub().down(false);
    sandbox.hub().fail_at("/oauth/device", Failure::Status(404));
    let ended = sandbox.hfd(["login"]).end();
    let asked = "login at a Hub without browser logins";
    fault.answers(asked, ended).notes("--with-token");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let mut fault = fault!("browser login interrupted (Ctrl-C)");
    let sandbox = sandbox();
    let (login, code) = begin(&sandbox);
    processes::signal(login.pid(), Signal::INT);
    fault.answers("login", login.end());
    assert_eq!(sandbox.stored_tokens(), None);
    // The daemon does not ask any more: what is granted now nobody fetches, while a login that
    // begins later, and asks as often, ends.
    sandbox.hub().approve(&code);
    let (login, code) = begin(&sandbox);
    sandbox.hub().approve(&code);
    assert_eq!(login.end().status, 0);
    assert_eq!(sandbox.hub().grants().len(), 1);
}

#[test]
fn ctrl_c_after_the_person_has_granted_it_says_that_the_login_is_kept() {
    let mut fault = fault!("browser login interrupted when it had been granted");
    let sandbox = sandbox();
    // Granted and fetched, and the Hub does not say whose it is: it is not stored yet.
    let late = Failure::Delay(Duration::from_secs(3));
    sandbox.hub().fail_once("/api/whoami-v2", late);
    let (login, code) = begin(&sandbox);
    sandbox.hub().approve(&code);
    eventually("it was fetched", || !sandbox.hub().grants().is_empty());
    eventually("the Hub is asked whose it is", || {
        let seen = sandbox.hub().seen();
        seen.iter().any(|seen| seen.target.ends_with("whoami-v2"))
    });
    processes::signal(login.pid(), Signal::INT);
    let ended = fault.answers("login", login.end());
    ended.notes("it is kept").notes("hfd logout");
    let grant = &sandbox.hub().grants()[0];
    eventually("it is stored", || {
        sandbox.token_file().as_ref() == Some(&grant.access)
    });
    let list = sandbox.hfd(["list"]).end();
    fault.answers("list afterwards", list).shows("oauth-alice");
}

#[test]
fn ctrl_c_is_heard_while_the_hub_has_not_answered_and_while_the_daemon_hangs() {
    let mut fault = fault!("browser login interrupted while nothing answers");
    let sandbox = sandbox();
    sandbox.hfd(["list"]).ok();
    sandbox.hub().fail_once("/oauth/device", Failure::Hang);
    let login = sandbox.hfd(["login"]).spawn();
    sandbox.hub().wait_for_requests(1);
    processes::signal(login.pid(), Signal::INT);
    fault.answers("login while the Hub hangs", login.end());
    let mut login = sandbox.hfd(["login", "--json"]).spawn();
    assert!(login.line().contains("\"code\""));
    processes::freeze(sandbox.daemon_pid());
    processes::signal(login.pid(), Signal::INT);
    let ended = login.end();
    processes::thaw(sandbox.daemon_pid());
    let ended = fault.answers("login while the daemon hangs", ended);
    let message = ended.error()["message"].to_string();
    assert!(message.contains("may still be granted"), "{message}");
}

#[test]
fn a_client_that_is_gone_does_not_lose_a_login_that_is_granted() {
    let mut fault = fault!("browser login whose client is killed (-9)");
    let sandbox = sandbox();
    let (login, code) = begin(&sandbox);
    login.kill9();
    sandbox.hub().approve(&code);
    eventually("the token is stored", || sandbox.token_file().is_some());
    let list = sandbox.hfd(["list"]).end();
    fault
        .answers("list after the grant", list)
        .shows("oauth-alice");
}

#[test]
fn a_daemon_that_is_killed_meanwhile_is_said() {
    let mut fault = fault!("browser login whose daemon is killed (-9)");
    let sandbox = sandbox();
    let mut login = sandbox.hfd(["login", "--json"]).spawn();
    // From this line on the daemon has said that the login waits.
    assert!(login.line().contains("code"));
    processes::kill9(sandbox.daemon_pid());
    let ended = fault.answers("login", login.end());
    ended.notes("ended while the login waited");
    let (login, code) = begin(&sandbox);
    sandbox.hub().approve(&code);
    fault.answers("login afterwards", login.end());
}

#[test]
fn a_second_login_joins_the_first_or_takes_its_place() {
    let sandbox = sandbox();
    let (first, code) = begin(&sandbox);
    let mut second = sandbox.hfd(["login", "--json"]).spawn();
    let told: Value = serde_json::from_str(&second.line()).unwrap();
    assert_eq!(
        (&told["joined"], &told["code"]),
        (&true.into(), &code.clone().into())
    );
    let forced = sandbox.hfd(["login", "--force"]).spawn();
    for replaced in [first, second] {
        let ended = replaced.end();
        assert_eq!(ended.status, 14, "{ended}");
        assert!(ended.stderr.contains("called off"), "{ended}");
    }
    let pending = sandbox.hub().pending();
    let other = pending.iter().find(|device| device.user_code != code);
    sandbox.hub().approve(&other.unwrap().user_code);
    assert_eq!(forced.end().status, 0);
}

#[test]
fn two_accounts_are_kept_apart() {
    let sandbox = sandbox();
    log_in(&sandbox);
    let (login, code) = begin(&sandbox);
    sandbox.hub().approve_as(&code, Account::oauth("bob"));
    assert_eq!(login.end().status, 0);
    sandbox
        .hfd(["list"])
        .ok()
        .shows("oauth-alice")
        .shows("oauth-bob");
}

#[test]
fn a_login_of_hf_is_taken_over_whole() {
    let sandbox = sandbox();
    let hub = your_hub(&sandbox);
    sandbox.configure(&format!("{hub}refresh_tokens = \"withhold\"\n"));
    sandbox.hfd(["sync"]).ok();
    let login = sandbox.hf(["auth", "login"]).spawn();
    let device = sandbox.hub().wait_for_pending();
    sandbox.hub().approve(&device.user_code);
    let ended = login.end();
    assert_eq!(ended.status, 0, "{ended}");
    let grant = &sandbox.hub().grants()[0];
    eventually("the refresh token leaves the file", || {
        let stored = sandbox.stored_tokens().unwrap_or_default();
        stored.contains(&grant.access) && !stored.contains("refresh_token")
    });
    assert!(sandbox.stored_tokens().unwrap().contains("expires_at"));
    sandbox.hfd(["refresh"]).ok().shows("is renewed");
    let grant = &sandbox.hub().grants()[0];
    assert_eq!(sandbox.token_file().as_ref(), Some(&grant.access));
    sandbox.hf(["auth", "whoami"]).ok().shows("alice");
    sandbox.finish();
}
