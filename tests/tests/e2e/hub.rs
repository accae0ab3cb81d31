//! The Hub says no, says nonsense, or says nothing.

use std::time::Duration;

use hfd_e2e::hub::{Certificate, Failure, Hub, Proxy};
use hfd_e2e::{Outcome, Sandbox, fault};

fn login(sandbox: &Sandbox) -> Outcome {
    let token = sandbox.token("work");
    let outcome = sandbox.hfd(["login", "--with-token"]).stdin(&token).end();
    if outcome.status != 0 {
        assert_eq!(sandbox.token_file(), None, "nothing is half done");
        let items = sandbox.items();
        assert_eq!(items.stdout, "");
    }
    outcome
}

fn failing(failure: Failure) -> Outcome {
    let sandbox = Sandbox::new();
    sandbox.hub().fail(failure);
    login(&sandbox)
}

#[test]
fn invalid_token() {
    fault!("Hub: 401").answers("login", failing(Failure::Status(401)));
}

#[test]
fn forbidden() {
    let mut fault = fault!("Hub: 403");
    fault
        .answers("login", failing(Failure::Status(403)))
        .notes("organisation");
}

#[test]
fn rate_limit() {
    let mut fault = fault!("Hub: 429");
    fault
        .answers("login", failing(Failure::RateLimited(77)))
        .notes("77");
}

#[test]
fn server_error() {
    fault!("Hub: 500").answers("login", failing(Failure::Status(500)));
}

#[test]
fn garbage() {
    let mut fault = fault!("Hub: no HTTP");
    fault.answers("login", failing(Failure::Garbage));
    fault.answers(
        "login with no JSON",
        failing(Failure::Body("<html>".to_owned())),
    );
    fault.answers(
        "login with other JSON",
        failing(Failure::Body("[1]".to_owned())),
    );
}

#[test]
fn endless_answer() {
    fault!("Hub: an answer of 64 MiB").answers("login", failing(Failure::Endless(64 << 20)));
}

#[test]
fn closed_connection() {
    fault!("Hub: connection closed").answers("login", failing(Failure::Close));
}

#[test]
fn a_silent_hub() {
    let outcome = failing(Failure::Hang).within(Duration::from_secs(40));
    fault!("Hub: no answer").answers("login", outcome);
}

#[test]
fn no_network() {
    let mut fault = fault!("no network");
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    // A port where nobody listens any more.
    let gone = Hub::start().unwrap().endpoint();
    let login = sandbox
        .hfd(["login", "--with-token"])
        .stdin(&work)
        .env("HF_ENDPOINT", gone)
        .end();
    fault.answers("login", login);
}

#[test]
fn a_redirect_gets_no_credential() {
    let mut fault = fault!("Hub: redirect to another origin");
    let elsewhere = Hub::start().unwrap();
    let url = format!("{}/api/whoami-v2", elsewhere.endpoint());
    fault.answers("login", failing(Failure::Redirect(url)));
    assert_eq!(elsewhere.seen(), [], "nobody followed");
}

#[test]
fn a_bad_certificate() {
    let mut fault = fault!("bad certificate");
    let certificate = Certificate::self_signed();
    let pem = certificate.pem().to_owned();
    let sandbox = Sandbox::builder().https(certificate).start();
    fault
        .answers("login", login(&sandbox))
        .notes("certificate")
        .notes("SSL_CERT_FILE");
    assert_eq!(sandbox.hub().bearers(), [""; 0], "no token was sent");
    let bundle = sandbox.root().join("ca.pem");
    std::fs::write(&bundle, pem).unwrap();
    for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"] {
        let work = sandbox.token("work");
        let trusting = sandbox.hfd(["login", "--with-token"]).stdin(&work);
        let trusting = trusting.env(variable, &bundle).end();
        fault.answers(&format!("login with {variable}"), trusting);
    }
    // The bundle of one command is no other's.
    fault.answers("whoami without it", sandbox.hfd(["whoami"]).end());
}

#[test]
fn a_proxy() {
    let mut fault = fault!("proxy");
    let certificate = Certificate::self_signed();
    let pem = certificate.pem().to_owned();
    let sandbox = Sandbox::builder().https(certificate).start();
    let bundle = sandbox.root().join("ca.pem");
    std::fs::write(&bundle, pem).unwrap();
    let proxy = Proxy::start(sandbox.hub()).unwrap();
    let through = |url: &str| {
        let work = sandbox.token("work");
        let login = sandbox.hfd(["login", "--with-token"]).stdin(&work);
        let login = login
            .env("HF_ENDPOINT", "https://hub.test")
            .env("SSL_CERT_FILE", &bundle);
        login.env("HTTPS_PROXY", url).end()
    };
    fault.answers("login through it", through(&proxy.url()));
    let seen = proxy.seen();
    assert_eq!(seen[0].method, "CONNECT");
    assert_eq!(seen[0].target, "hub.test:443");
    assert_eq!(seen[0].bearer(), None, "it sees a tunnel, no token");
    let url = proxy.url();
    drop(proxy);
    fault
        .answers("login through one that is gone", through(&url))
        .notes("proxy");
    // A proxy serves the one command that names it.
    let direct = sandbox
        .hfd(["whoami"])
        .env("HF_ENDPOINT", "https://hub.test")
        .end();
    fault.answers("whoami without it", direct);
}
