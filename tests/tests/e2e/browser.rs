//! `hfd login` with a browser: what is told, who may end it, and what stays.

use std::time::Duration;

use hfd_e2e::hub::{Account, Failure};
use hfd_e2e::{Running, Sandbox, eventually, processes};
use rustix::process::Signal;
use serde_json::Value;

/// A sandbox whose Hub is asked every second.
pub(crate) fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let second = Duration::from_secs(1);
    sandbox.hub().policy(|policy| policy.interval = second);
    sandbox
}

/// A login that was begun, and its code.
fn begin(sandbox: &Sandbox) -> (Running<'_>, String) {
    let login = sandbox.hfd(["login"]).spawn();
    let device = sandbox.hub().wait_for_pending();
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
        .shows("`oauth-alice` rests in secret-service and is the active token.");
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
    let sandbox = sandbox();
    let (login, code) = begin(&sandbox);
    sandbox.hub().deny(&code);
    let ended = login.end();
    assert_eq!(ended.status, 14, "{ended}");
    ended.notes("denied");
    assert_eq!(sandbox.stored_tokens(), None);
}

#[test]
fn a_code_that_nobody_used_expires() {
    let sandbox = sandbox();
    let brief = Duration::from_secs(2);
    sandbox
        .hub()
        .policy(|policy| policy.device_lifetime = brief);
    let ended = sandbox.hfd(["login"]).end();
    assert_eq!(ended.status, 14, "{ended}");
    ended.notes("repeat");
}

#[test]
fn gateways_and_lost_connections_do_not_end_it() {
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
    assert_eq!(login.end().status, 0);
}

#[test]
fn no_hub_is_said_at_once() {
    let sandbox = sandbox();
    sandbox.hub().down(true);
    sandbox.hfd(["login"]).exits(17);
    sandbox.hub().down(false);
    sandbox.hub().fail_at("/oauth/device", Failure::Status(404));
    sandbox.hfd(["login"]).exits(14).notes("--with-token");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let sandbox = sandbox();
    let (login, code) = begin(&sandbox);
    processes::signal(login.pid(), Signal::INT);
    let ended = login.end();
    assert_eq!(ended.status, 130, "{ended}");
    // The daemon does not ask any more.
    let asked = sandbox.hub().seen().len();
    sandbox.hub().approve(&code);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(sandbox.hub().seen().len(), asked);
    assert_eq!(sandbox.stored_tokens(), None);
}

#[test]
fn ctrl_c_after_the_login_was_granted_does_not_lose_it() {
    let sandbox = sandbox();
    let mut login = sandbox.hfd(["login", "--json"]).spawn();
    let code: Value = serde_json::from_str(&login.line()).unwrap();
    sandbox.keyring().lock();
    sandbox.hub().approve(code["code"].as_str().unwrap());
    let trouble: Value = serde_json::from_str(&login.line()).unwrap();
    assert_eq!(trouble["event"], "trouble");
    processes::signal(login.pid(), Signal::INT);
    let ended = login.end();
    assert_eq!(ended.status, 130, "{ended}");
    assert!(ended.stderr.contains("hfd keeps it"), "{ended}");
    sandbox.keyring().unlock();
    eventually("the token is stored", || sandbox.token_file().is_some());
    sandbox.hfd(["list"]).ok().shows("oauth-alice");
}

#[test]
fn a_client_that_is_gone_does_not_lose_a_login_that_is_granted() {
    let sandbox = sandbox();
    let (login, code) = begin(&sandbox);
    login.kill9();
    sandbox.hub().approve(&code);
    eventually("the token is stored", || sandbox.token_file().is_some());
    sandbox.hfd(["list"]).ok().shows("oauth-alice");
}

#[test]
fn a_daemon_that_is_killed_meanwhile_is_said() {
    let sandbox = sandbox();
    let mut login = sandbox.hfd(["login", "--json"]).spawn();
    // From this line on the daemon has said that the login waits.
    let code: Value = serde_json::from_str(&login.line()).unwrap();
    processes::kill9(sandbox.daemon_pid());
    let ended = login.end();
    assert_eq!(ended.status, 15, "{ended}");
    ended.notes("ended while the login waited");
    sandbox.hub().deny(code["code"].as_str().unwrap());
    log_in(&sandbox);
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
    let endpoint = sandbox.hub().endpoint();
    sandbox.configure(&format!(
        "endpoint = \"{endpoint}\"\nrefresh_tokens = \"withhold\"\n"
    ));
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
