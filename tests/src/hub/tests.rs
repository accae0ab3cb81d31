//! The mock Hub as a client meets it: over a socket. That the real client agrees with it is
//! `tests/e2e/parts/oauth_upstream.rs`.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Account, Failure, Hub, Reason};

const CLIENT: &str = "client";
const POLL: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";

/// Status, head and body of an answer; `None` when there is none.
fn ask(hub: &Hub, method: &str, path: &str, bearer: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(hub.address()).unwrap();
    let authorization = match bearer {
        "" => String::new(),
        bearer => format!("authorization: Bearer {bearer}\r\n"),
    };
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\n{authorization}content-length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut text = Vec::new();
    // The Hub closes only what it does not answer.
    while !is_whole(&text) {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).unwrap() {
            0 => return None,
            read => text.extend_from_slice(&chunk[..read]),
        }
    }
    let text = String::from_utf8(text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    Some((status, text))
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        body.len() == length.unwrap().parse::<usize>().unwrap()
    })
}

fn json_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

/// A form's answer: its status, and its body as JSON.
fn post(hub: &Hub, path: &str, form: &str) -> (u16, Value) {
    let (status, text) = ask(hub, "POST", path, "", form).unwrap();
    (status, json_of(&text))
}

fn poll(hub: &Hub, device: &Value, client: &str) -> (u16, Value) {
    let code = device["device_code"].as_str().unwrap();
    let form = format!("grant_type={POLL}&device_code={code}&client_id={client}");
    post(hub, "/oauth/token", &form)
}

fn refresh(hub: &Hub, token: &str, client: &str) -> (u16, Value) {
    let form = format!("grant_type=refresh_token&refresh_token={token}&client_id={client}");
    post(hub, "/oauth/token", &form)
}

fn whoami(hub: &Hub, bearer: &str) -> (u16, Value) {
    let (status, text) = ask(hub, "GET", "/api/whoami-v2", bearer, "").unwrap();
    (status, json_of(&text))
}

fn begin(hub: &Hub) -> Value {
    let (status, device) = post(hub, "/oauth/device", "client_id=client");
    assert_eq!(status, 200, "{device}");
    device
}

/// A Hub that does not mind being polled, with a login that was fetched.
fn logged_in() -> (Hub, Value) {
    let hub = Hub::start().unwrap();
    hub.policy(|policy| policy.interval = Duration::ZERO);
    let device = begin(&hub);
    hub.approve(device["user_code"].as_str().unwrap());
    let (status, tokens) = poll(&hub, &device, CLIENT);
    assert_eq!(status, 200, "{tokens}");
    (hub, tokens)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

fn error(code: &str) -> Value {
    json!({ "error": code, "error_description": code.replace('_', " ") })
}

#[test]
fn a_login_waits_for_the_person_and_is_fetched_once() {
    let hub = Hub::start().unwrap();
    hub.policy(|policy| policy.interval = Duration::ZERO);
    let device = begin(&hub);
    assert_eq!(device["expires_in"], 900);
    let complete = format!(
        "{}/oauth/device?user_code={}",
        hub.endpoint(),
        text(&device, "user_code")
    );
    assert_eq!(device["verification_uri_complete"], complete);
    assert_eq!(
        poll(&hub, &device, CLIENT),
        (400, error("authorization_pending"))
    );
    assert_eq!(hub.pending()[0].user_code, text(&device, "user_code"));
    assert_eq!(hub.pending()[0].polls, 1);
    hub.approve_as(text(&device, "device_code"), Account::oauth("bob"));
    assert_eq!(hub.pending(), []);
    assert_eq!(
        poll(&hub, &device, "another"),
        (401, error("invalid_client"))
    );
    let (status, tokens) = poll(&hub, &device, CLIENT);
    assert_eq!(status, 200);
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"]),
        (&json!("bearer"), &json!(2_592_000))
    );
    let (status, identity) = whoami(&hub, text(&tokens, "access_token"));
    assert_eq!((status, &identity["name"]), (200, &json!("bob")));
    assert_eq!(identity["auth"]["type"], "oauth");
    assert!(text(&identity["auth"], "expiresAt").ends_with('Z'));
    assert_eq!(poll(&hub, &device, CLIENT), (400, error("invalid_grant")));
    let values: Vec<String> = hub
        .issued()
        .into_iter()
        .map(|secret| secret.value)
        .collect();
    for key in ["access_token", "refresh_token"] {
        assert!(values.contains(&text(&tokens, key).to_owned()), "{key}");
    }
    assert!(values.contains(&text(&device, "device_code").to_owned()));
}

#[test]
fn a_login_is_denied_expires_or_is_polled_too_fast() {
    let hub = Hub::start().unwrap();
    let hasty = begin(&hub);
    assert_eq!(poll(&hub, &hasty, CLIENT).1, error("authorization_pending"));
    assert_eq!(poll(&hub, &hasty, CLIENT).1, error("slow_down"));
    let denied = begin(&hub);
    hub.deny(text(&denied, "user_code"));
    assert_eq!(poll(&hub, &denied, CLIENT).1, error("access_denied"));
    hub.policy(|policy| policy.device_lifetime = Duration::ZERO);
    assert_eq!(poll(&hub, &begin(&hub), CLIENT).1, error("expired_token"));
    let unknown = json!({ "device_code": "nobody's" });
    assert_eq!(poll(&hub, &unknown, CLIENT).1, error("invalid_grant"));
    let other = post(&hub, "/oauth/token", "grant_type=password");
    assert_eq!(other, (400, error("unsupported_grant_type")));
    assert_eq!(
        post(&hub, "/oauth/device", ""),
        (400, error("invalid_request"))
    );
}

#[test]
fn a_refresh_token_works_once() {
    let (hub, tokens) = logged_in();
    let first = text(&tokens, "refresh_token");
    assert_eq!(
        refresh(&hub, first, "another"),
        (401, error("invalid_client"))
    );
    let (status, renewed) = refresh(&hub, first, CLIENT);
    assert_eq!(status, 200, "a wrong client did not use it up");
    assert_ne!(renewed["refresh_token"], tokens["refresh_token"]);
    assert_eq!(refresh(&hub, first, CLIENT), (400, error("invalid_grant")));
    assert_eq!(refresh(&hub, "x", CLIENT), (400, error("invalid_grant")));
    let second = text(&renewed, "refresh_token");
    assert_eq!(refresh(&hub, second, CLIENT).0, 200);
    let grant = &hub.grants()[0];
    assert_eq!((grant.generation, &grant.uses[..]), (3, &[2, 1, 0][..]));
    assert_eq!(hub.invalid_grants(), 2);
    for access in [&tokens, &renewed] {
        assert_eq!(whoami(&hub, text(access, "access_token")).0, 200);
    }
}

#[test]
fn without_rotation_a_refresh_token_stays() {
    let (hub, tokens) = logged_in();
    hub.policy(|policy| {
        policy.rotation = false;
        policy.refresh_revokes = true;
        policy.says_expiry = false;
    });
    for _ in 0..2 {
        let (status, renewed) = refresh(&hub, text(&tokens, "refresh_token"), CLIENT);
        assert_eq!(status, 200);
        assert_eq!(renewed["refresh_token"], Value::Null);
        assert_eq!(renewed["expires_in"], Value::Null);
    }
    assert_eq!(hub.grants()[0].uses, [1, 1, 0]);
    assert_eq!(whoami(&hub, text(&tokens, "access_token")).0, 401);
    assert_eq!(hub.refused(Reason::Revoked), 1);
}

#[test]
fn tokens_end_in_their_time_or_before() {
    let (hub, tokens) = logged_in();
    let access = text(&tokens, "access_token");
    let models = |bearer| {
        ask(&hub, "GET", "/api/models?limit=1", bearer, "")
            .unwrap()
            .0
    };
    assert_eq!((models(access), models("")), (200, 200));
    hub.expire(access);
    assert_eq!((models(access), models("x")), (401, 401));
    assert_eq!(whoami(&hub, access).0, 401);
    assert_eq!(hub.refused(Reason::Expired), 2);
    assert_eq!(hub.refused(Reason::Unknown), 1);
    let (_, renewed) = refresh(&hub, text(&tokens, "refresh_token"), CLIENT);
    let access = text(&renewed, "access_token");
    let body = json!({ "credentials": [access, "unknown"] }).to_string();
    let revoked = ask(&hub, "POST", "/api/credentials/revoke", "", &body);
    assert_eq!(revoked.unwrap().0, 202);
    assert_eq!(models(access), 401);
    let (status, renewed) = refresh(&hub, text(&renewed, "refresh_token"), CLIENT);
    assert_eq!(status, 200, "the refresh token was not named");
    hub.revoke(text(&renewed, "access_token"));
    assert_eq!(models(text(&renewed, "access_token")), 401);
    let ended = refresh(&hub, text(&renewed, "refresh_token"), CLIENT);
    assert_eq!(ended, (400, error("invalid_grant")));
}

#[test]
fn one_route_fails_and_only_as_often_as_said() {
    let (hub, tokens) = logged_in();
    let form =
        |token: &str| format!("grant_type=refresh_token&refresh_token={token}&client_id={CLIENT}");
    let refresh_with = |token: &str| ask(&hub, "POST", "/oauth/token", "", &form(token));
    hub.fail_at("/oauth/token", Failure::Later(503, 7));
    let (status, answer) = refresh_with("x").unwrap();
    assert_eq!(status, 503);
    assert!(answer.contains("retry-after: 7\r\n"), "{answer}");
    assert_eq!(whoami(&hub, text(&tokens, "access_token")).0, 200);
    hub.fail_at("/oauth/token", None);
    hub.fail_once("/oauth/token", Failure::Gateway(502));
    let (status, answer) = refresh_with("x").unwrap();
    assert_eq!(status, 502);
    assert!(answer.contains("<html>") && answer.contains("text/html"));
    hub.fail_once("/oauth/token", Failure::Lost);
    let first = text(&tokens, "refresh_token");
    assert_eq!(refresh_with(first), None);
    assert_eq!(hub.grants()[0].generation, 2, "it took effect");
    assert_eq!(refresh_with(first).unwrap().0, 400);
}

#[test]
fn a_hub_that_is_down_answers_nothing_and_forgets_nothing() {
    let (hub, tokens) = logged_in();
    hub.down(true);
    let seen = hub.seen().len();
    assert_eq!(ask(&hub, "GET", "/api/whoami-v2", "", ""), None);
    assert_eq!(hub.seen().len(), seen);
    hub.down(false);
    assert_eq!(whoami(&hub, text(&tokens, "access_token")).0, 200);
    assert_eq!(whoami(&hub, "x").0, 401);
    assert!(hub.refusals()[0].up_for < Duration::from_secs(5));
}

#[test]
fn every_answer_says_what_time_it_is_at_the_hub() {
    let hub = Hub::start().unwrap();
    let date = || {
        let (_, answer) = ask(&hub, "GET", "/", "", "").unwrap();
        let line = answer.lines().find(|line| line.starts_with("date: "));
        let time = line.unwrap().trim_start_matches("date: ").to_owned();
        jiff::fmt::rfc2822::parse(&time).unwrap().timestamp()
    };
    let before = date();
    hub.set_clock(86_400);
    let ahead = before.duration_until(date()).as_secs();
    assert!((86_400..86_420).contains(&ahead), "{ahead}");
}

#[test]
fn a_refresh_whose_client_was_ended_between_refreshes_is_not_done() {
    let (hub, tokens) = logged_in();
    let form = format!(
        "grant_type=refresh_token&refresh_token={}&client_id={CLIENT}",
        text(&tokens, "refresh_token")
    );
    let mut client = TcpStream::connect(hub.address()).unwrap();
    let seen = hub.seen().len();
    let free = hub.between_refreshes(Duration::ZERO, || {
        let length = form.len();
        let head = format!("POST /oauth/token HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
        client.write_all((head + &form).as_bytes()).unwrap();
        drop(client);
    });
    assert!(free);
    hub.wait_for_requests(seen + 1);
    assert_eq!(whoami(&hub, text(&tokens, "access_token")).0, 200);
    assert_eq!(hub.grants()[0].generation, 1);
    let (status, _) = refresh(&hub, text(&tokens, "refresh_token"), CLIENT);
    assert_eq!(status, 200);
    assert_eq!(hub.grants()[0].uses, [1, 0]);
    let soon = Duration::from_secs(60);
    assert!(!hub.between_refreshes(soon, || panic!("one has just been answered")));
}

#[test]
fn no_secret_is_printed_with_what_a_test_prints() {
    let (hub, _) = logged_in();
    begin(&hub);
    let printed = format!("{hub:?}{:?}{:?}", hub.grants(), hub.pending());
    for secret in hub.issued() {
        assert!(!printed.contains(&secret.value), "{}", secret.name);
    }
}
