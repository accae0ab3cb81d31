//! Browser logins and renewals: what is a verdict, what is not, and that no field costs a token.

use super::*;
use crate::hub::oauth::{DeviceCode, Granted, NotRenewed, Poll};

const LIMITED: &str = r#"{"error":"We had to rate limit you"}"#;

async fn renew(answer: String) -> Result<Granted, NotRenewed> {
    let server = Server::start(Role::Http(answer)).await;
    let patience = Duration::from_secs(30);
    hub()
        .renew(&at(&server), "client", &token(), patience)
        .await
}

/// Why not, after what time, and whether the answer may have been lost.
async fn later(answer: String) -> (Error, Option<u64>, bool) {
    match renew(answer).await {
        Err(NotRenewed::Later { error, after, lost }) => {
            let text = format!("{error:?} {error}").to_lowercase();
            assert!(!text.contains("canary"), "{text}");
            assert!(error.hint.is_some(), "{text}");
            (error, after.map(|after| after.as_secs()), lost)
        }
        other => panic!("{other:?}"),
    }
}

async fn poll(answer: String) -> Result<Poll, Error> {
    let server = Server::start(Role::Http(answer)).await;
    let device = DeviceCode {
        code: token(),
        user_code: "AB-CD".to_owned(),
        url: String::new(),
        complete_url: String::new(),
        lives: Duration::from_secs(900),
        interval: Duration::from_secs(5),
    };
    hub()
        .poll_login(&at(&server), "client", &device, &environment())
        .await
}

#[tokio::test]
async fn a_field_that_makes_no_sense_costs_no_token() {
    for (expires_in, wanted) in [
        ("3600", Some(3600)),
        ("3600.0", Some(3600)),
        (r#""3600""#, Some(3600)),
        (r#""soon""#, None),
        ("null", None),
        ("[]", None),
    ] {
        let body = format!(
            r#"{{"access_token":"hf_new","refresh_token":"hf_r_new","expires_in":{expires_in},
                "error_description":7,"error":{{}},"scope":["a"]}}"#
        );
        let granted = renew(answer("200 OK", "", &body)).await.unwrap();
        assert_eq!(granted.access.expose(), "hf_new");
        assert_eq!(granted.refresh.unwrap().expose(), "hf_r_new");
        assert_eq!(granted.expires_in, wanted, "{expires_in}");
    }
    let body = r#"{"access_token":"hf_new","refresh_token":7}"#;
    let granted = renew(answer("200 OK", "", body)).await.unwrap();
    assert!(granted.refresh.is_none());
}

#[tokio::test]
async fn only_the_token_endpoints_own_word_ends_a_session() {
    let refusal = r#"{"error":"invalid_grant"}"#;
    for status in ["400 Bad Request", "401 Unauthorized"] {
        let refused = renew(answer(status, "", refusal)).await;
        assert!(matches!(refused, Err(NotRenewed::Refused(_))), "{status}");
    }
    for status in [
        "403 Forbidden",
        "429 Too Many Requests",
        "503 Service Unavailable",
    ] {
        later(answer(status, "", refusal)).await;
    }
    later(answer(
        "400 Bad Request",
        "",
        r#"{"error":"invalid_grants"}"#,
    ))
    .await;
}

#[tokio::test]
async fn a_hub_that_limits_is_left_alone_for_as_long_as_it_says() {
    let limited = |headers| answer("429 Too Many Requests", headers, LIMITED);
    let (error, after, lost) = later(limited("Retry-After: 7\r\n")).await;
    assert!(error.message.contains("429"), "{error}");
    assert_eq!((after, lost), (Some(7), false));
    assert_eq!(later(limited("")).await.1, None);
    let client = r#"{"error":"invalid_client"}"#;
    let (error, after, lost) = later(answer("401 Unauthorized", "", client)).await;
    assert!(error.hint.unwrap().contains("client_id"));
    assert_eq!((after, lost), (Some(3600), false));
}

#[tokio::test]
async fn it_is_known_whether_an_answer_was_lost() {
    for (status, lost) in [
        ("503 Service Unavailable", false),
        ("408 Request Timeout", false),
        ("404 Not Found", false),
        ("500 Internal Server Error", true),
        ("502 Bad Gateway", true),
        ("504 Gateway Timeout", true),
        ("200 OK", true),
    ] {
        assert_eq!(
            later(answer(status, "", "<html>")).await.2,
            lost,
            "{status}"
        );
    }
    // Nobody listens on port 1.
    let nobody = endpoint("http://127.0.0.1:1");
    let unreached = hub()
        .renew(&nobody, "client", &token(), Duration::from_secs(30))
        .await;
    assert!(matches!(
        unreached,
        Err(NotRenewed::Later { lost: false, .. })
    ));
    let silent = Server::start(Role::Silent).await;
    let (hub, place) = (impatient(), at(&silent));
    let (token, patience) = (token(), Duration::from_millis(300));
    assert!(matches!(
        hub.renew(&place, "client", &token, patience).await,
        Err(NotRenewed::Later { lost: true, .. })
    ));
}

#[tokio::test]
async fn what_is_no_verdict_does_not_end_a_login() {
    for (status, headers, wanted) in [
        ("429 Too Many Requests", "Retry-After: 9\r\n", Some(9)),
        ("429 Too Many Requests", "", None),
        ("408 Request Timeout", "", None),
        ("502 Bad Gateway", "Retry-After: 2\r\n", Some(2)),
        ("400 Bad Request", "", None),
    ] {
        let polled = poll(answer(status, headers, LIMITED)).await.unwrap();
        let Poll::Pending(after) = polled else {
            panic!("{status}: {polled:?}")
        };
        assert_eq!(after.map(|after| after.as_secs()), wanted, "{status}");
    }
    let slower = r#"{"error":"slow_down"}"#;
    let polled = poll(answer("400 Bad Request", "", slower)).await.unwrap();
    assert!(matches!(polled, Poll::SlowDown));
    for error in ["access_denied", "expired_token", "invalid_client"] {
        let body = format!(r#"{{"error":"{error}"}}"#);
        let error = poll(answer("400 Bad Request", "", &body))
            .await
            .unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.hint.is_some());
    }
}

#[test]
fn an_alias_has_its_hubs_client_and_certificates() {
    let (own, alias) = (
        endpoint("https://hub.example"),
        endpoint("https://mirror.example"),
    );
    let at_hub = config::AtHub {
        aliases: vec![alias.clone()],
        client_id: Some("ours".to_owned()),
        ca_file: Some("/etc/hub.pem".into()),
    };
    let with_more = config::AtHub {
        client_id: Some("its own".to_owned()),
        ..config::AtHub::default()
    };
    let mut config = Config::default();
    config.hub.insert(own.clone(), at_hub);
    let hub = Hub::new(&config);
    assert_eq!(hub.client_id(&alias), "ours");
    let route = |hub: &Hub, at| hub.route(at, &environment()).unwrap();
    assert_eq!(route(&hub, &alias), route(&hub, &own));
    config.hub.insert(alias.clone(), with_more);
    let hub = Hub::new(&config);
    assert_eq!(hub.client_id(&alias), "its own");
    assert_eq!(route(&hub, &alias), route(&hub, &own));
    assert_eq!(hub.client_id(&endpoint("https://other.example")), CLIENT_ID);
}
