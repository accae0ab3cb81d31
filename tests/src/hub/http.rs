use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// No client of ours sends a request head or a body of this size, what the tests push included; it bounds what a broken one can
/// make us hold.
const LIMIT: usize = 1024 * 1024;

/// A request as it arrived, without its body, which may hold what nobody should print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `GET`, `POST`, `CONNECT`.
    pub method: String,
    /// The path, or a whole URL in a request to a proxy.
    pub target: String,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Seen {
    /// The token in `Authorization: Bearer …`.
    pub fn bearer(&self) -> Option<&str> {
        self.headers.get("authorization")?.strip_prefix("Bearer ")
    }

    /// The password of Basic authentication: git's token.
    pub fn password(&self) -> Option<String> {
        let encoded = self.headers.get("authorization")?.strip_prefix("Basic ")?;
        let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        Some(pair.split_once(':')?.1.to_owned())
    }

    /// The token, however it is carried.
    pub fn token(&self) -> Option<String> {
        self.bearer().map(str::to_owned).or_else(|| self.password())
    }
}

/// Reads one request and its body; `None` when the client has closed the connection between two.
pub(super) fn read_request(stream: &mut impl Read) -> io::Result<Option<(Seen, Vec<u8>)>> {
    let Some(head) = read_head(stream)? else {
        return Ok(None);
    };
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::Error::other("the request line is malformed"));
    };
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = read_body(stream, &headers)?;
    let seen = Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
    };
    Ok(Some((seen, body)))
}

/// Everything up to the blank line, byte by byte, so that nothing of a tunnelled connection that
/// follows is swallowed.
fn read_head(stream: &mut impl Read) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return match head.is_empty() {
                true => Ok(None),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        head.push(byte[0]);
        if head.len() > LIMIT {
            return Err(io::Error::other("the request head is too long"));
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

fn read_body(stream: &mut impl Read, headers: &BTreeMap<String, String>) -> io::Result<Vec<u8>> {
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse::<usize>().ok())
        .unwrap_or(0)
        .min(LIMIT);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// What is answered to a request.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// A body that says it is JSON.
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::typed(status, "application/json; charset=utf-8", body)
    }

    /// A body of another type.
    pub(super) fn typed(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type", media_type.to_owned())],
            body: body.into(),
        }
    }

    /// The same with one header more.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Writes it whole, leaving the connection open.
    pub(super) fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(&self.body)?;
        stream.flush()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Answer",
    }
}
