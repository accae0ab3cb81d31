//! Each answer and each failure, from real sockets.

mod network;
mod oauth;
mod revoke;
mod server;

use super::*;
use server::{Role, Server, answer};

/// No test may print it; it looks like no Hub token, so that the shape alone does not save us.
const CANARY: &str = "canary-Token.4711";

const ALICE: &str = r#"{"type":"user","name":"alice","orgs":[{"name":"acme"},{"name":"umbrella"}],
    "auth":{"type":"access_token","accessToken":{"displayName":"work","role":"write"}}}"#;

fn token() -> Secret {
    Secret::parse(CANARY).unwrap()
}

/// A configuration with this network.
fn of(network: &config::Network) -> Config {
    Config {
        network: network.clone(),
        ..Config::default()
    }
}

fn hub() -> Hub {
    Hub::new(&Config::default())
}

/// For those that never answer; where an answer is expected, a busy machine may take its time.
fn impatient() -> Hub {
    Hub {
        limits: Limits {
            connect: Duration::from_millis(300),
            total: Duration::from_secs(1),
            ..Limits::default()
        },
        ..hub()
    }
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap()
}

fn at(server: &Server) -> Endpoint {
    endpoint(&format!("http://127.0.0.1:{}", server.port))
}

fn environment() -> hfd_proto::Network {
    hfd_proto::Network::default()
}

/// Asks, and checks what holds for every error: a hint, one line, and no token.
async fn ask(
    hub: &Hub,
    endpoint: &Endpoint,
    network: &hfd_proto::Network,
) -> Result<Identity, Error> {
    let result = hub
        .whoami(endpoint, &token(), network)
        .await
        .map_err(Error::from);
    if let Err(error) = &result {
        let text = format!("{error:?} {error}");
        assert!(
            !text.to_lowercase().contains(&CANARY.to_lowercase()),
            "{text}"
        );
        assert!(!error.message.contains(['\n', '\u{1b}']), "{text}");
        assert!(error.hint.is_some(), "{text}");
    }
    result
}

async fn failure_at(hub: &Hub, server: &Server) -> Error {
    ask(hub, &at(server), &environment()).await.unwrap_err()
}

async fn failure(answer: String) -> Error {
    failure_at(&hub(), &Server::start(Role::Http(answer)).await).await
}

#[tokio::test]
async fn the_hub_says_whose_token_it_is() {
    let server = Server::start(Role::Http(answer("200 OK", "", ALICE))).await;
    let identity = ask(&hub(), &at(&server), &environment()).await.unwrap();
    assert_eq!(identity.user, "alice");
    assert_eq!(identity.orgs, ["acme", "umbrella"]);
    assert_eq!(identity.role.as_deref(), Some("write"));
    assert_eq!(identity.display_name.as_deref(), Some("work"));
    let seen = server.seen().concat();
    assert!(
        seen.starts_with("GET /api/whoami-v2 HTTP/1.1\r\n"),
        "{seen}"
    );
    assert!(
        seen.contains(&format!("authorization: Bearer {CANARY}\r\n")),
        "{seen}"
    );
    let agent = format!("user-agent: hfd/{}\r\n", hfd_proto::VERSION);
    assert!(seen.contains(&agent), "{seen}");
}

/// The test above again, in a process whose environment would lead every request astray.
#[test]
fn the_daemons_own_environment_is_not_read() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hub::tests::the_hub_says_whose_token_it_is"])
        .envs(
            [
                "HTTP_PROXY",
                "http_proxy",
                "HTTPS_PROXY",
                "ALL_PROXY",
                "all_proxy",
            ]
            .map(
                // Nobody listens on port 1.
                |name| (name, "http://127.0.0.1:1"),
            ),
        )
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test]
async fn an_organisation_token_is_refused_before_it_is_sent() {
    let server = Server::start(Role::Http(answer("200 OK", "", ALICE))).await;
    let token = Secret::parse("api_org_canarycanary").unwrap();
    let error = hub()
        .whoami(&at(&server), &token, &environment())
        .await
        .unwrap_err()
        .error;
    assert_eq!(error.kind, Kind::Refused);
    assert!(
        error
            .message
            .contains("personal account token, not an organization token")
    );
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn each_refusal_has_its_own_words() {
    let said = r#"{"error":"Invalid user token. \u001b[31mhf_abcdefgh\nX"}"#;
    for (status, headers, body, kind, words) in [
        (
            "401 Unauthorized",
            "",
            said,
            Kind::Refused,
            "does not know this token: Invalid user",
        ),
        (
            "403 Forbidden",
            "",
            r#"{"error":"IP not allowed"}"#,
            Kind::Refused,
            "IP not allowed",
        ),
        (
            "403 Forbidden",
            "X-Error-Message: by a rule\r\n",
            "",
            Kind::Refused,
            "by a rule",
        ),
        (
            "429 Too Many",
            "Retry-After: 7\r\n",
            "",
            Kind::Refused,
            "too often (429)",
        ),
        (
            "404 Not Found",
            "",
            "<html>",
            Kind::Refused,
            "refuses the request (404)",
        ),
        (
            "500 Oops",
            "",
            "<html>",
            Kind::HubUnreachable,
            "has trouble (500)",
        ),
        (
            "503 Oops",
            "Retry-After: 9\r\n",
            "",
            Kind::HubUnreachable,
            "has trouble (503)",
        ),
        (
            "200 OK",
            "",
            "<html>log in here</html>",
            Kind::HubUnreachable,
            "not a Hugging Face Hub",
        ),
        (
            "200 OK",
            "",
            "{\"name\":",
            Kind::HubUnreachable,
            "not a Hugging Face Hub",
        ),
        (
            "204 No Content",
            "",
            "",
            Kind::HubUnreachable,
            "not a Hugging Face Hub",
        ),
    ] {
        let error = failure(answer(status, headers, body)).await;
        assert_eq!(error.kind, kind, "{status}: {error}");
        assert!(error.message.contains(words), "{status}: {error}");
    }
}

#[tokio::test]
async fn the_hub_says_when_to_ask_again() {
    for (header, words) in [
        ("Retry-After: 7\r\n", "repeat it in 7 seconds"),
        ("Retry-After: 1\r\n", "repeat it in a second"),
        (
            "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n",
            "after Wed, 21 Oct 2026 07:28:00 GMT",
        ),
        ("Retry-After: -1\r\n", "repeat it after -1"),
        ("", "repeat it later"),
    ] {
        let error = failure(answer("429 Too Many", header, "")).await;
        assert!(error.hint.unwrap().contains(words), "{header}");
    }
}

/// `ask` checks each error for the token.
#[tokio::test]
async fn a_token_that_the_hub_sends_back_is_not_shown() {
    for (status, headers, body) in [
        (
            "401 Unauthorized",
            String::new(),
            format!(r#"{{"error":"bad {CANARY}!"}}"#),
        ),
        (
            "403 Forbidden",
            format!("X-Error-Message: bad {CANARY}!\r\n"),
            String::new(),
        ),
        (
            "500 Oops",
            String::new(),
            format!(r#"{{"error":"c\u0061nary-Token.4711 {CANARY}"}}"#),
        ),
        (
            "429 Too Many",
            format!("Retry-After: {CANARY}\r\n"),
            String::new(),
        ),
        (
            "302 Found",
            format!("Location: https://{CANARY}/{CANARY}\r\n"),
            String::new(),
        ),
        ("200 OK", String::new(), format!(r#"{{"name":"{CANARY}"}}"#)),
    ] {
        let error = failure(answer(status, &headers, &body)).await;
        assert!(
            matches!(error.kind, Kind::Refused | Kind::HubUnreachable),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let other = Server::start(Role::Http(answer("200 OK", "", ALICE))).await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let location = format!(
            "Location: http://127.0.0.1:{}/api/whoami-v2\r\n",
            other.port
        );
        let error = failure(answer(status, &location, "")).await;
        assert_eq!(error.kind, Kind::Refused);
        let origin = format!(
            "redirects to http://127.0.0.1:{}; the token was not",
            other.port
        );
        assert!(error.message.contains(&origin), "{error}");
    }
    assert_eq!(other.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_not_followed_either() {
    let server = Server::start(Role::Http(answer("302 Found", "Location: /login\r\n", ""))).await;
    let error = failure_at(&hub(), &server).await;
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.message.contains("answers with a redirect"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn no_answer_is_an_answer_within_the_deadline() {
    let silent = Server::start(Role::Silent).await;
    let error = failure_at(&impatient(), &silent).await;
    assert_eq!(error.kind, Kind::HubUnreachable);
    assert!(error.message.contains("did not answer in time"), "{error}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_never_ends_is_an_error() {
    for (answer, words) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{",
            "connection was lost",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
            "it took too long",
        ),
        (
            "SSH-2.0-OpenSSH_9.2 Connection: close\r\n",
            "cannot be reached",
        ),
    ] {
        let server = Server::start(Role::Http(answer.to_owned())).await;
        let error = failure_at(&impatient(), &server).await;
        assert_eq!(error.kind, Kind::HubUnreachable);
        assert!(error.message.contains(words), "{error}");
    }
    let endless = answer("200 OK", "", &" ".repeat(1024 * 1024 + 1));
    let error = failure(endless).await;
    assert!(error.message.contains("not a Hugging Face Hub"), "{error}");
}

#[tokio::test]
async fn nobody_listens() {
    let server = Server::start(Role::Silent).await;
    let endpoint = at(&server);
    drop(server);
    // The port is free once the server's task has gone.
    tokio::task::yield_now().await;
    let error = ask(&hub(), &endpoint, &environment()).await.unwrap_err();
    assert_eq!(error.kind, Kind::HubUnreachable);
    assert!(error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let endpoint = endpoint("https://hub.invalid");
    let error = ask(&impatient(), &endpoint, &environment())
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::HubUnreachable);
    assert!(
        error.message.contains("the Hub at https://hub.invalid"),
        "{error}"
    );
}

#[tokio::test]
async fn the_client_is_kept_for_a_burst_and_dropped_when_idle() {
    let server = Server::start(Role::Http(answer("200 OK", "", ALICE))).await;
    let hub = hub();
    assert!(
        hub.lock().client.is_none(),
        "nothing is built before the first request"
    );
    for _ in 0..3 {
        ask(&hub, &at(&server), &environment()).await.unwrap();
    }
    assert!(hub.lock().client.is_some());
    tokio::time::pause();
    tokio::time::advance(hub.limits.keep / 2).await;
    tokio::task::yield_now().await;
    assert!(hub.lock().client.is_some());
    tokio::time::advance(hub.limits.keep).await;
    tokio::task::yield_now().await;
    assert!(hub.lock().client.is_none());
}

#[test]
fn debug_shows_no_password() {
    let config = config::Network {
        proxy: Some("http://user:canary@proxy.example".to_owned()),
        ..config::Network::default()
    };
    let route = Route::of(&config, &environment()).unwrap();
    assert!(!format!("{:?} {route:?}", Hub::new(&of(&config))).contains("canary"));
}
