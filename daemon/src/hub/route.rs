//! By which way a request goes out, and which certificates it believes.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hfd_proto::os::open_without_waiting;
use hfd_proto::{Error, Kind, escape};
use reqwest::{Client, NoProxy, Proxy, Url};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Limits;
use crate::config;

/// Never reached through a proxy: on the proxy's machine these names mean another host.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// The largest bundle read. Debian's is 220 KiB.
const MAX_BUNDLE: u64 = 4 * 1024 * 1024;

/// A route decides a client; equal routes may share one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// For `https` only: a token in the clear never leaves the machine.
    proxy: Option<Url>,
    no_proxy: String,
    authorities: Authorities,
}

#[derive(Clone, PartialEq, Eq)]
enum Authorities {
    System,
    /// Instead of the system's, as `SSL_CERT_FILE` means it to OpenSSL and `REQUESTS_CA_BUNDLE`
    /// to requests.
    File(PathBuf),
    Pem(String),
}

impl fmt::Debug for Route {
    /// The proxy's password stays hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({:?})", self.proxy_name())
    }
}

impl Route {
    /// The way for one request: what its client's environment says, else the configuration.
    pub(super) fn of(config: &config::Network, asked: &hfd_proto::Network) -> Result<Self, Error> {
        let set = |value: &Option<String>| value.clone().filter(|value| !value.trim().is_empty());
        let proxy = match set(&asked.https_proxy).or_else(|| set(&asked.all_proxy)) {
            Some(text) => Some(parse_proxy(&text, "the proxy of your environment")?),
            None => match set(&config.proxy) {
                Some(text) => Some(parse_proxy(&text, "network.proxy of config.toml")?),
                None => None,
            },
        };
        let no_proxy = set(&asked.no_proxy).or_else(|| set(&config.no_proxy));
        Ok(Self {
            proxy,
            no_proxy: no_proxy.unwrap_or_default(),
            authorities: match (set(&asked.ca_pem), &config.ca_file) {
                (Some(pem), _) => Authorities::Pem(pem),
                (None, Some(file)) => Authorities::File(file.clone()),
                (None, None) => Authorities::System,
            },
        })
    }

    /// The proxy for an error text: scheme, host and port, without user and password.
    pub(super) fn proxy_name(&self) -> Option<String> {
        let proxy = self.proxy.as_ref()?;
        let port = proxy
            .port()
            .map_or(String::new(), |port| format!(":{port}"));
        Some(escape(&format!(
            "{}://{}{port}",
            proxy.scheme(),
            proxy.host_str().unwrap_or_default()
        )))
    }

    /// Builds the client. Reads files: call it where waiting does no harm.
    pub(super) fn build(&self, limits: Limits) -> Result<Client, Error> {
        // The first call decides for the process; that a later one fails is what is wanted.
        let _ = ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("hfd/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(limits.connect)
            .timeout(limits.total)
            .pool_max_idle_per_host(1)
            // Switches off what the library would read from the environment and the system.
            .no_proxy();
        if let Some(url) = &self.proxy {
            let bypassed = format!("{LOOPBACK},{}", self.no_proxy);
            let proxy = Proxy::https(url.clone()).map_err(|_| not_a_proxy("the proxy"))?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&bypassed)));
        }
        if let Some(roots) = self.authorities.roots()? {
            builder = builder.tls_backend_preconfigured(tls(roots)?);
        }
        builder.build().map_err(|error| {
            let cause = escape(&super::failure::root_cause(&error));
            Error::new(
                Kind::HubUnreachable,
                format!("HTTPS cannot be used here: {cause}"),
            )
            .hint("install the system's CA certificates (ca-certificates), or set SSL_CERT_FILE")
        })
    }
}

/// Reads a proxy as curl does: a URL, or a host and port that means `http`. Whatever the library
/// would ignore in silence, and so go out without the proxy, is an error here.
fn parse_proxy(text: &str, whose: &str) -> Result<Url, Error> {
    let text = text.trim();
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    let mut url = url.map_err(|_| not_a_proxy(whose))?;
    let socks = matches!(url.scheme(), "socks4" | "socks4a" | "socks5" | "socks5h");
    let plain_host = url.host_str().is_some_and(|host| {
        !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
    });
    if !plain_host || !(socks || matches!(url.scheme(), "http" | "https")) {
        return Err(not_a_proxy(whose));
    }
    if socks && url.port().is_none() {
        url.set_port(Some(1080)).map_err(|()| not_a_proxy(whose))?;
    }
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn not_a_proxy(whose: &str) -> Error {
    Error::new(
        Kind::Usage,
        format!("{whose} is not the address of a proxy"),
    )
    .hint("write http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT")
}

impl Authorities {
    /// The certificates to believe; none where the system's are meant.
    fn roots(&self) -> Result<Option<rustls::RootCertStore>, Error> {
        let (pem, whose) = match self {
            Self::System => return Ok(None),
            Self::Pem(pem) => (
                pem.clone().into_bytes(),
                "the CA bundle of your environment".to_owned(),
            ),
            Self::File(path) => (
                read_bundle(path)?,
                format!("network.ca_file {}", path.display()),
            ),
        };
        let mut roots = rustls::RootCertStore::empty();
        // As OpenSSL does, a certificate that cannot be used spoils no other.
        let parsed = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
        roots.add_parsable_certificates(parsed);
        if roots.is_empty() {
            return Err(Error::new(
                Kind::Usage,
                format!("{whose} holds no certificate that can be read"),
            )
            .hint("it should be a file of PEM certificates (-----BEGIN CERTIFICATE-----)"));
        }
        Ok(Some(roots))
    }
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, Error> {
    let cannot = |why: String| {
        Error::new(
            Kind::Usage,
            format!("network.ca_file {} cannot be read: {why}", path.display()),
        )
        .hint("name a file of PEM certificates in config.toml, or remove the key")
    };
    // A FIFO would wait for its writer for ever.
    let file = open_without_waiting(path).map_err(|error| cannot(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| cannot(error.to_string()))?;
    if !metadata.is_file() {
        return Err(cannot("it is not a regular file".to_owned()));
    }
    let mut pem = Vec::new();
    file.take(MAX_BUNDLE + 1)
        .read_to_end(&mut pem)
        .map_err(|error| cannot(error.to_string()))?;
    if pem.len() as u64 > MAX_BUNDLE {
        return Err(cannot(format!("it is larger than {MAX_BUNDLE} bytes")));
    }
    Ok(pem)
}

fn tls(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, Error> {
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Kind::Other, format!("TLS cannot be used: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}
