//! A session that does not expire: renewed in time, after an outage, after a kill; and what is said
//! when it ends all the same.

use std::time::Duration;

use hfd_e2e::hub::Failure;
use hfd_e2e::{Sandbox, eventually, fault, processes};

use crate::browser;

/// A session whose access tokens live so many seconds, and whose refresh token no file holds.
pub(crate) fn session(lifetime: u64) -> Sandbox {
    let sandbox = browser::sandbox();
    sandbox.configure("refresh_tokens = \"withhold\"\n");
    sandbox.hub().set_lifetime(Duration::from_secs(lifetime));
    browser::log_in(&sandbox);
    sandbox
}

fn attention(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.hfd(["status", "--json"]).ok().json();
    let attention = status["attention"].as_array().unwrap().clone();
    let word = |attention: &serde_json::Value| attention["what"].as_str().unwrap().to_owned();
    attention.iter().map(word).collect()
}

#[test]
fn a_token_is_renewed_before_it_ends_though_nobody_asks() {
    let sandbox = session(6);
    let grant = sandbox.hub().wait_for_generation(3);
    assert_eq!(grant.uses[..2], [1, 1], "each refresh token is used once");
    eventually("the file follows", || {
        let grant = &sandbox.hub().grants()[0];
        sandbox.token_file().as_ref() == Some(&grant.access)
    });
    assert!(!sandbox.stored_tokens().unwrap().contains("refresh_token"));
    sandbox.hf(["auth", "whoami"]).ok().shows("alice");
    assert!(attention(&sandbox).is_empty());
    sandbox.finish();
}

#[test]
fn who_needs_a_token_for_longer_gets_one() {
    let sandbox = session(600);
    sandbox.hfd(["token", "--min-ttl", "60"]).ok();
    assert_eq!(sandbox.hub().grants()[0].generation, 1);
    sandbox.hub().set_lifetime(Duration::from_secs(1200));
    let token = sandbox.hfd(["token", "--min-ttl", "900"]).ok();
    let grant = &sandbox.hub().grants()[0];
    assert_eq!(grant.generation, 2);
    token.prints(&grant.access);
    // The Hub gives none that lives so long.
    sandbox.hfd(["token", "--min-ttl", "1300"]).exits(14);
}

#[test]
fn a_hub_that_takes_its_time_is_no_reason_to_doubt_the_daemon() {
    let mut fault = fault!("renewal that the Hub takes its time for");
    let sandbox = session(600);
    sandbox.hub().set_lifetime(Duration::from_secs(1200));
    let late = Failure::Delay(Duration::from_secs(12));
    sandbox.hub().fail_once("/oauth/token", late);
    let asked = sandbox.hfd(["token", "--min-ttl", "900"]).end();
    fault
        .answers("token with --min-ttl", asked)
        .notes("still being renewed");
    sandbox.hub().wait_for_generation(2);
    fault.answers("refresh afterwards", sandbox.hfd(["refresh"]).end());
    assert_eq!(sandbox.hub().invalid_grants(), 0);
}

#[test]
fn a_daemon_that_is_stopped_meanwhile_waits_for_the_answer() {
    let sandbox = session(600);
    let late = Failure::Delay(Duration::from_secs(8));
    sandbox.hub().fail_once("/oauth/token", late);
    let asked = sandbox.hub().seen().len();
    let refresh = sandbox.hfd(["refresh"]).spawn();
    sandbox.hub().wait_for_requests(asked + 1);
    sandbox.hfd(["service", "stop"]).ok();
    let ended = refresh.end();
    assert_eq!(ended.status, 0, "{ended}");
    assert_eq!(
        sandbox.token_file().as_ref(),
        Some(&sandbox.hub().grants()[0].access)
    );
    sandbox.hfd(["refresh"]).ok();
    assert_eq!(sandbox.hub().invalid_grants(), 0);
    sandbox.finish();
}

#[test]
fn a_hub_that_was_too_busy_cut_nothing_off() {
    let sandbox = session(600);
    sandbox
        .hub()
        .fail_once("/oauth/token", Failure::Later(503, 1));
    sandbox.hfd(["refresh"]).exits(17);
    let refusal = Failure::OAuth(400, "invalid_grant".to_owned());
    sandbox.hub().fail_once("/oauth/token", refusal);
    sandbox
        .hfd(["refresh"])
        .exits(14)
        .notes("its session has ended");
}

#[test]
fn a_machine_that_was_off_for_longer_than_a_token_lives_recovers_by_itself() {
    let mut fault = fault!("session that ran out while the machine was off");
    let sandbox = session(20);
    sandbox.hfd(["service", "stop"]).ok();
    let before = sandbox.token_file().unwrap();
    let end = sandbox.hfd(["list", "--json"]).ok().json()[0]["expires_at"].as_i64();
    sandbox.hfd(["service", "stop"]).ok();
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs() as i64
    };
    while now() <= end.unwrap() {
        std::thread::sleep(Duration::from_millis(200));
    }
    let token = fault.answers("token", sandbox.hfd(["token"]).end());
    assert_ne!(token.stdout.trim_end(), before);
    token.prints(&sandbox.hub().grants()[0].access);
    sandbox.hf(["auth", "whoami"]).ok();
}

#[test]
fn a_hub_that_is_down_is_asked_again_and_one_that_says_when_not_before() {
    let mut fault = fault!("renewal while the Hub is down");
    let sandbox = session(600);
    sandbox.hub().down(true);
    fault.answers("refresh", sandbox.hfd(["refresh"]).end());
    assert_eq!(attention(&sandbox), ["not-renewed"]);
    sandbox.hub().down(false);
    sandbox
        .hub()
        .fail_once("/oauth/token", Failure::Later(503, 3600));
    sandbox.hfd(["refresh"]).exits(17).notes("3600 seconds");
    fault.answers("refresh afterwards", sandbox.hfd(["refresh"]).end());
    assert!(attention(&sandbox).is_empty());
    assert_eq!(sandbox.hub().invalid_grants(), 0);
}

#[test]
fn a_session_that_the_hub_has_ended_is_said_and_not_asked_about_again() {
    let mut fault = fault!("session that the Hub has ended");
    let sandbox = session(600);
    let refusal = Failure::OAuth(400, "invalid_grant".to_owned());
    sandbox.hub().fail_once("/oauth/token", refusal);
    let refused = fault.answers("refresh", sandbox.hfd(["refresh"]).end());
    refused.notes("its session has ended").notes("hfd login");
    assert_eq!(attention(&sandbox), ["session-ended"]);
    let asked = sandbox.hub().seen().len();
    for asks in [&["refresh"][..], &["token", "--min-ttl", "900"]] {
        sandbox.hfd(asks).exits(14).notes("its session has ended");
    }
    assert_eq!(sandbox.hub().seen().len(), asked);
    let status = fault.answers("status", sandbox.hfd(["status"]).end());
    status.shows("log in again: hfd login");
    browser::log_in(&sandbox);
    assert!(attention(&sandbox).is_empty());
}

#[test]
fn another_client_id_is_no_end_of_the_session() {
    let mut fault = fault!("renewal as a client that the Hub does not know");
    let sandbox = session(600);
    let refusal = Failure::OAuth(401, "invalid_client".to_owned());
    sandbox.hub().fail_once("/oauth/token", refusal);
    let refused = fault.answers("refresh", sandbox.hfd(["refresh"]).end());
    refused.notes("client_id");
    assert_eq!(attention(&sandbox), ["not-renewed"]);
    fault.answers("refresh afterwards", sandbox.hfd(["refresh"]).end());
}

#[test]
fn a_daemon_killed_between_the_request_and_its_answer_says_so() {
    let mut fault = fault!("daemon killed (-9) between a renewal's request and its answer");
    let sandbox = session(600);
    sandbox.hub().fail_once("/oauth/token", Failure::Held);
    let refresh = sandbox.hfd(["refresh"]).spawn();
    sandbox.hub().wait_for_generation(2);
    processes::kill9(sandbox.daemon_pid());
    fault.answers("refresh", refresh.end());
    // The next daemon asks once more, and learns that the Hub has replaced what it had.
    eventually("it is known", || {
        attention_if_running(&sandbox) == ["session-ended"]
    });
    fault
        .answers("status afterwards", sandbox.hfd(["status"]).end())
        .shows("cut off from the Hub's answer")
        .shows("hfd login");
    // The access token lives until it ends, and a login makes everything good.
    browser::log_in(&sandbox);
    assert!(attention(&sandbox).is_empty());
    fault.answers("refresh after a login", sandbox.hfd(["refresh"]).end());
    sandbox.finish();
}

fn attention_if_running(sandbox: &Sandbox) -> Vec<String> {
    sandbox.hfd(["list"]).ok();
    attention(sandbox)
}

#[test]
fn a_token_that_the_hub_does_not_know_is_asked_about_once() {
    let mut fault = fault!("token that the Hub does not know any more");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.hub().revoke(&work.value);
    let asked = sandbox.hub().seen().len();
    fault.answers("whoami", sandbox.hfd(["whoami"]).end());
    fault.answers("whoami again", sandbox.hfd(["whoami"]).end());
    assert_eq!(sandbox.hub().seen().len(), asked + 1);
    eventually("status tells", || attention(&sandbox) == ["rejected"]);
}

#[test]
fn an_access_token_that_was_revoked_is_renewed_by_asking_whose_it_is() {
    let sandbox = session(600);
    let access = sandbox.token_file().unwrap();
    sandbox.hub().expire(&access);
    sandbox.hfd(["whoami"]).ok().shows("alice");
    assert_ne!(sandbox.token_file().unwrap(), access);
}
