//! Certificates and proxies.

use super::server::{Authority, Role, Server, answer};
use super::*;

/// A name that no resolver knows: only a proxy leads there.
const HUB: &str = "https://hub.invalid";

const TUNNEL: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn believing(authority: &Authority) -> hfd_proto::Network {
    hfd_proto::Network {
        ca_pem: Some(authority.pem.clone()),
        ..environment()
    }
}

/// The environment of a person behind `proxy`, whose address there is `user:canary@…`.
fn behind(proxy: &Server, authority: &Authority) -> hfd_proto::Network {
    hfd_proto::Network {
        https_proxy: Some(format!("http://user:canary@127.0.0.1:{}", proxy.port)),
        ..believing(authority)
    }
}

async fn proxy_to_hub(authority: &Authority, user: &str) -> Server {
    let identity = answer("200 OK", "", &format!(r#"{{"name":"{user}"}}"#));
    let hub = (authority.valid("hub.invalid"), identity);
    Server::start(Role::Proxy(TUNNEL.to_owned(), Some(hub))).await
}

async fn https_hub(acceptor: tokio_rustls::TlsAcceptor) -> (Server, Endpoint) {
    let server = Server::start(Role::Https(acceptor, answer("200 OK", "", ALICE))).await;
    let endpoint = endpoint(&format!("https://localhost:{}", server.port));
    (server, endpoint)
}

#[tokio::test]
async fn a_ca_of_the_clients_environment_serves_that_request_alone() {
    let authority = Authority::new();
    let (server, endpoint) = https_hub(authority.valid("localhost")).await;
    let hub = hub();
    let identity = ask(&hub, &endpoint, &believing(&authority)).await.unwrap();
    assert_eq!(identity.user, "alice");
    assert!(hub.lock().client.is_none(), "that client is not kept");
    let error = ask(&hub, &endpoint, &environment()).await.unwrap_err();
    assert_eq!(error.kind, Kind::HubUnreachable);
    assert_eq!(
        server.seen().iter().filter(|head| !head.is_empty()).count(),
        1
    );
}

#[tokio::test]
async fn a_bad_certificate_is_told_and_the_token_stays_here() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for (acceptor, words, hint) in [
        (theirs.valid("localhost"), "UnknownIssuer", "SSL_CERT_FILE"),
        (ours.acceptor("localhost", 2020), "expired", "clock"),
        (
            ours.valid("elsewhere.example"),
            "not valid for name",
            "SSL_CERT_FILE",
        ),
    ] {
        let (server, endpoint) = https_hub(acceptor).await;
        let error = ask(&hub(), &endpoint, &believing(&ours)).await.unwrap_err();
        assert_eq!(error.kind, Kind::HubUnreachable);
        let expected = format!("the certificate of the Hub at {endpoint} cannot be trusted");
        assert!(error.message.contains(&expected), "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(error.hint.unwrap().contains(hint), "{words}");
        assert!(server.seen().iter().all(String::is_empty));
    }
}

#[tokio::test]
async fn the_clients_ca_replaces_the_configured_one() {
    let (configured, asked) = (Authority::new(), Authority::new());
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("ca.pem");
    // A certificate that cannot be used spoils no other.
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&file, format!("# a comment\n{broken}{}", configured.pem)).unwrap();
    let config = config::Network {
        ca_file: Some(file),
        ..config::Network::default()
    };
    let hub = Hub::new(&of(&config));
    let (_server, endpoint) = https_hub(configured.valid("localhost")).await;
    assert!(ask(&hub, &endpoint, &environment()).await.is_ok());
    let error = ask(&hub, &endpoint, &believing(&asked)).await.unwrap_err();
    assert!(error.message.contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn a_bundle_that_cannot_be_used_is_named() {
    let nothing = hfd_proto::Network {
        ca_pem: Some("no certificates".to_owned()),
        ..environment()
    };
    let error = ask(&hub(), &endpoint(HUB), &nothing).await.unwrap_err();
    assert_eq!(error.kind, Kind::Usage);
    assert!(
        error.message.contains("the CA bundle of your environment"),
        "{error}"
    );
    let temp = tempfile::tempdir().unwrap();
    for path in [temp.path().join("none.pem"), temp.path().to_owned()] {
        // Unix opens directories, too.
        let opened = std::fs::File::open(&path).err();
        let words = opened.map_or("not a regular file".to_owned(), |error| error.to_string());
        let config = config::Network {
            ca_file: Some(path),
            ..config::Network::default()
        };
        let error = ask(&Hub::new(&of(&config)), &endpoint(HUB), &environment()).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert!(error.message.contains(&words), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_sees_a_tunnel_and_no_token() {
    let authority = Authority::new();
    let proxy = proxy_to_hub(&authority, "bob").await;
    let network = behind(&proxy, &authority);
    let identity = ask(&hub(), &endpoint(HUB), &network).await.unwrap();
    assert_eq!(identity.user, "bob");
    let seen = proxy.seen();
    assert!(
        seen[0].starts_with("CONNECT hub.invalid:443 HTTP/1.1\r\n"),
        "{}",
        seen[0]
    );
    // `user:canary`, as RFC 7617 writes it.
    assert!(seen[0].contains("Basic dXNlcjpjYW5hcnk="), "{}", seen[0]);
    assert!(!seen[0].contains(CANARY));
    assert!(
        seen[1].starts_with("GET /api/whoami-v2"),
        "inside the tunnel: {}",
        seen[1]
    );
}

#[tokio::test]
async fn the_configured_proxy_is_used_unless_the_client_names_another() {
    let authority = Authority::new();
    let configured = proxy_to_hub(&authority, "configured").await;
    let asked = proxy_to_hub(&authority, "asked").await;
    let config = config::Network {
        proxy: Some(format!("127.0.0.1:{}", configured.port)),
        ..config::Network::default()
    };
    let hub = Hub::new(&of(&config));
    let by_config = ask(&hub, &endpoint(HUB), &believing(&authority))
        .await
        .unwrap();
    assert_eq!(by_config.user, "configured");
    let all = hfd_proto::Network {
        https_proxy: Some(String::new()),
        all_proxy: Some(format!("http://127.0.0.1:{}", asked.port)),
        ..believing(&authority)
    };
    assert_eq!(ask(&hub, &endpoint(HUB), &all).await.unwrap().user, "asked");
}

#[tokio::test]
async fn two_requests_at_once_keep_to_their_own_ways() {
    let (one, two) = (Authority::new(), Authority::new());
    let (first, second) = (
        proxy_to_hub(&one, "one").await,
        proxy_to_hub(&two, "two").await,
    );
    let (hub, endpoint) = (hub(), endpoint(HUB));
    let (one, two) = (behind(&first, &one), behind(&second, &two));
    let (one, two) = tokio::join!(ask(&hub, &endpoint, &one), ask(&hub, &endpoint, &two));
    assert_eq!(
        (one.unwrap().user, two.unwrap().user),
        ("one".into(), "two".into())
    );
    assert_eq!((first.seen().len(), second.seen().len()), (2, 2));
}

#[tokio::test]
async fn loopback_is_never_reached_through_a_proxy() {
    let authority = Authority::new();
    let proxy = proxy_to_hub(&authority, "astray").await;
    let (_tls, over_tls) = https_hub(authority.valid("localhost")).await;
    let plain = Server::start(Role::Http(answer("200 OK", "", ALICE))).await;
    let url = Some(format!("http://127.0.0.1:{}", proxy.port));
    let network = hfd_proto::Network {
        http_proxy: url.clone(),
        all_proxy: url,
        ..behind(&proxy, &authority)
    };
    let named = endpoint(&format!("http://localhost:{}", plain.port));
    for endpoint in [over_tls, at(&plain), named] {
        let identity = ask(&hub(), &endpoint, &network).await.unwrap();
        assert_eq!(identity.user, "alice", "{endpoint}");
    }
    assert_eq!(proxy.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn no_proxy_names_hosts_networks_and_everything() {
    let authority = Authority::new();
    let proxy = proxy_to_hub(&authority, "astray").await;
    // RFC 5737: nobody has these addresses.
    let (name, address) = (endpoint(HUB), endpoint("https://192.0.2.1"));
    for (endpoint, no_proxy) in [
        (&name, "hub.invalid"),
        (&name, "other.example, .invalid"),
        (&name, "*"),
        (&address, "192.0.2.0/24"),
    ] {
        let network = hfd_proto::Network {
            no_proxy: Some(no_proxy.to_owned()),
            ..behind(&proxy, &authority)
        };
        let error = ask(&impatient(), endpoint, &network).await.unwrap_err();
        assert_eq!(error.kind, Kind::HubUnreachable);
    }
    assert_eq!(proxy.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_proxy_does_wrong_is_told_without_its_password() {
    let authority = Authority::new();
    for (says, words) in [
        (
            "HTTP/1.1 407 Who are you\r\n\r\n",
            "wants a user and a password (407)",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "does not connect to https://hub.invalid",
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            "does not connect to https://hub.invalid",
        ),
        ("", "does not connect to https://hub.invalid"),
    ] {
        let proxy = Server::start(Role::Proxy(says.to_owned(), None)).await;
        let network = behind(&proxy, &authority);
        let error = ask(&hub(), &endpoint(HUB), &network).await.unwrap_err();
        assert_eq!(error.kind, Kind::HubUnreachable);
        let named = format!("the proxy http://127.0.0.1:{}", proxy.port);
        assert!(error.message.contains(&named), "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_says_nothing_is_named() {
    let authority = Authority::new();
    let silent = Server::start(Role::Silent).await;
    let name = format!("http://127.0.0.1:{}", silent.port);
    let network = behind(&silent, &authority);
    let error = ask(&impatient(), &endpoint(HUB), &network)
        .await
        .unwrap_err();
    assert!(error.message.contains("did not answer in time"), "{error}");
    assert!(error.hint.unwrap().contains(&name));
    for scheme in ["http", "https", "socks5h"] {
        let network = hfd_proto::Network {
            // Nobody listens on port 1.
            https_proxy: Some(format!("{scheme}://user:canary@127.0.0.1:1")),
            ..environment()
        };
        let error = ask(&hub(), &endpoint(HUB), &network).await.unwrap_err();
        let expected = format!("the proxy {scheme}://127.0.0.1:1 cannot be reached");
        assert!(error.message.contains(&expected), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

/// Going out without it would be worse than not going.
#[tokio::test]
async fn what_is_no_proxy_is_an_error_instead_of_being_ignored() {
    for proxy in [
        "ftp://user:canary@proxy.example",
        "http://",
        "http://canary host",
        "http://proxy:99999",
        "file:///etc/canary",
    ] {
        let network = hfd_proto::Network {
            https_proxy: Some(proxy.to_owned()),
            ..environment()
        };
        let error = ask(&hub(), &endpoint(HUB), &network).await.unwrap_err();
        assert_eq!(error.kind, Kind::Usage, "{proxy}: {error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}
