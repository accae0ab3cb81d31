//! Servers on loopback that play the Hub and its proxies, and remember what they were sent.

use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A server for as long as it lives; every connection gets the same treatment.
pub(super) struct Server {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a server does with a connection.
#[derive(Clone)]
pub(super) enum Role {
    /// Answers each request with these bytes; closes when they say so.
    Http(String),
    /// The same inside TLS.
    Https(TlsAcceptor, String),
    /// Answers a CONNECT with the first, then plays the Hub inside the tunnel.
    Proxy(String, Option<(TlsAcceptor, String)>),
    /// Reads and says nothing.
    Silent,
}

impl Server {
    pub(super) async fn start(role: Role) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(play(stream, role.clone(), Arc::clone(&log)));
            }
        });
        Self { port, seen, task }
    }

    /// The requests so far, or an empty text for a connection without one.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

type Log = Arc<Mutex<Vec<String>>>;

async fn play(stream: TcpStream, role: Role, log: Log) {
    match role {
        Role::Http(answer) => serve(stream, &answer, &log).await,
        Role::Https(acceptor, answer) => serve_tls(stream, &acceptor, &answer, &log).await,
        Role::Silent => {
            let mut stream = stream;
            let request = request(&mut stream).await;
            log.lock().unwrap().push(request);
            std::future::pending().await
        }
        Role::Proxy(answer, hub) => {
            let mut stream = stream;
            let request = request(&mut stream).await;
            log.lock().unwrap().push(request);
            let _ = stream.write_all(answer.as_bytes()).await;
            if let Some((acceptor, answer)) = hub {
                serve_tls(stream, &acceptor, &answer, &log).await;
            }
        }
    }
}

async fn serve_tls(stream: TcpStream, acceptor: &TlsAcceptor, answer: &str, log: &Log) {
    match acceptor.accept(stream).await {
        Ok(stream) => serve(stream, answer, log).await,
        Err(_) => log.lock().unwrap().push(String::new()),
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str, log: &Log) {
    loop {
        let request = request(&mut stream).await;
        if request.is_empty() {
            return;
        }
        log.lock().unwrap().push(request);
        let sent = stream.write_all(answer.as_bytes()).await;
        if sent.is_err() || answer.contains("Connection: close") {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// Reads to the empty line, one byte at a time so that a TLS handshake behind it stays, and as much
/// more as the head says.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return String::new(),
        }
    }
    let mut request = String::from_utf8(request).unwrap();
    let length = request
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    request.push_str(&String::from_utf8(body).unwrap());
    request
}

/// An HTTP answer; `headers` are whole lines.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A certificate authority of the test's own.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What one who believes in it holds.
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Authorities of one name would be taken for one another.
        let name = format!("{:?}", key.public_key_raw());
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// TLS with a certificate for `host` that ends in this year.
    pub(super) fn acceptor(&self, host: &str, last_year: i32) -> TlsAcceptor {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    pub(super) fn valid(&self, host: &str) -> TlsAcceptor {
        self.acceptor(host, 2999)
    }
}
