//! What is said when no answer came.

use std::error::Error as StdError;

use hfd_proto::{Endpoint, Error, Kind, escape};

use super::route::Route;
use crate::scrub::scrub;

/// The longest foreign text that an error quotes, in characters.
const MAX_QUOTE: usize = 300;

/// Foreign text for an error: without credentials, without control characters, not endless.
pub(super) fn quote(text: &str) -> String {
    let text = escape(scrub(text).trim());
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Says why a request got no answer. Always [`Kind::HubUnreachable`]: repeat later.
pub(super) fn explain(error: &reqwest::Error, endpoint: &Endpoint, route: &Route) -> Error {
    let proxied = at_proxy(error).zip(route.proxy_name());
    let unreachable = |message: String| Error::new(Kind::HubUnreachable, message);
    if let Some(tls) = rustls_error(error) {
        let whose = match &proxied {
            Some((_, proxy)) => format!("the proxy {proxy}"),
            None => format!("the Hub at {endpoint}"),
        };
        return unreachable(format!(
            "the certificate of {whose} cannot be trusted: {}",
            quote(&tls.to_string())
        ))
        .hint(certificate_hint(tls));
    }
    if error.is_timeout() {
        return match route.proxy_name() {
            Some(proxy) => unreachable(format!("the Hub at {endpoint} did not answer in time"))
                .hint(format!("repeat it later, or check the proxy {proxy}")),
            None => unreachable(format!("the Hub at {endpoint} did not answer in time"))
                .hint("check the network and repeat it later"),
        };
    }
    let cause = quote(&root_cause(error));
    match proxied {
        Some((AtProxy::Password, proxy)) => unreachable(format!(
            "the proxy {proxy} wants a user and a password (407)"
        ))
        .hint("write them into its address: http://USER:PASSWORD@HOST:PORT"),
        Some((AtProxy::Connecting, proxy)) => {
            unreachable(format!("the proxy {proxy} cannot be reached: {cause}"))
                .hint("check HTTPS_PROXY, or network.proxy in config.toml")
        }
        Some((AtProxy::Tunnel, proxy)) => unreachable(format!(
            "the proxy {proxy} does not connect to {endpoint}: {cause}"
        ))
        .hint("ask who runs the proxy, or name the host in NO_PROXY"),
        None => unreachable(format!("the Hub at {endpoint} cannot be reached: {cause}"))
            .hint("check the network; behind a proxy set network.proxy in config.toml, or HTTPS_PROXY for a request of your own"),
    }
}

fn certificate_hint(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    match error {
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => "check this machine's clock",
        _ => {
            "where a proxy opens TLS, point ca_file in config.toml, or SSL_CERT_FILE for a request of your own, at a bundle that holds its certificate"
        }
    }
}

/// Where on the way through a proxy a request ended.
#[derive(Clone, Copy)]
enum AtProxy {
    Connecting,
    Password,
    Tunnel,
}

/// The types of these errors are private to hyper-util 0.1 (`proxy/tunnel.rs`) and reqwest 0.13
/// (`connect.rs`), so their words are read; the tests meet each of them.
fn at_proxy(error: &reqwest::Error) -> Option<AtProxy> {
    chain(error).find_map(|error| match error.to_string().as_str() {
        "tunnel error: proxy authorization required" => Some(AtProxy::Password),
        "tunnel error: failed to create underlying connection"
        | "error connecting to socks proxy" => Some(AtProxy::Connecting),
        text if text.starts_with("tunnel error: ") => Some(AtProxy::Tunnel),
        _ => None,
    })
}

fn rustls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// The innermost error's own words; those around it only say that there is one.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    chain(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

/// An error and all that it wraps. `source` of an `io::Error` skips the very error that it was
/// made from, which is where TLS puts its own.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(
        Some(error as &(dyn StdError + 'static)),
        |&error| match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => error.source(),
        },
    )
}
