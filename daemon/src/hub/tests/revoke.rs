//! Revoking: what is sent, and that nothing but a plain yes is one.

use super::*;

const REFRESH: &str = "refresh-Canary.0815";

async fn revoke(server: &Server) -> Result<(), Error> {
    let credentials = [token(), Secret::parse(REFRESH).unwrap()];
    let result = impatient()
        .revoke(&at(server), &credentials, &environment())
        .await;
    if let Err(error) = &result {
        let text = format!("{error:?} {error}").to_lowercase();
        assert!(!text.contains("canary"), "{text}");
        assert!(error.hint.is_some(), "{text}");
    }
    result
}

#[tokio::test]
async fn both_tokens_are_sent_and_nobody_is_authorised() {
    let server = Server::start(Role::Http(answer("202 Accepted", "", ""))).await;
    revoke(&server).await.unwrap();
    let seen = server.seen().concat();
    assert!(
        seen.starts_with("POST /api/credentials/revoke HTTP/1.1\r\n"),
        "{seen}"
    );
    assert!(!seen.to_lowercase().contains("authorization"), "{seen}");
    assert!(
        seen.contains("content-type: application/json\r\n"),
        "{seen}"
    );
    let body = format!(r#"{{"credentials":["{CANARY}","{REFRESH}"]}}"#);
    assert!(seen.ends_with(&body), "{seen}");
}

#[tokio::test]
async fn anything_else_is_no() {
    for (status, headers, body, kind) in [
        (
            "200 OK",
            String::new(),
            "<html>log in here</html>".to_owned(),
            Kind::HubUnreachable,
        ),
        (
            "204 No Content",
            String::new(),
            String::new(),
            Kind::HubUnreachable,
        ),
        (
            "400 Bad",
            String::new(),
            format!(r#"{{"error":"{REFRESH} {CANARY}"}}"#),
            Kind::Refused,
        ),
        (
            "404 Not Found",
            String::new(),
            "<html>".to_owned(),
            Kind::Refused,
        ),
        (
            "429 Too Many",
            format!("Retry-After: {REFRESH}\r\n"),
            String::new(),
            Kind::Refused,
        ),
        (
            "302 Found",
            format!("Location: https://{REFRESH}/\r\n"),
            String::new(),
            Kind::Refused,
        ),
        (
            "503 Oops",
            String::new(),
            String::new(),
            Kind::HubUnreachable,
        ),
    ] {
        let server = Server::start(Role::Http(answer(status, &headers, &body))).await;
        let error = revoke(&server).await.unwrap_err();
        assert_eq!(error.kind, kind, "{status}: {error}");
    }
}

#[tokio::test]
async fn no_answer_is_no_answer() {
    let error = revoke(&Server::start(Role::Silent).await)
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::HubUnreachable);
}
