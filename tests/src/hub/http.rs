use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// No client of ours sends a request head or a body of this size; it bounds what a broken one can
/// make us hold.
const LIMIT: usize = 64 * 1024;

/// A request as it arrived.
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
}

/// Reads one request; `None` when the client has closed the connection between two.
pub(crate) fn read_request(stream: &mut impl Read) -> io::Result<Option<Seen>> {
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
    skip_body(stream, &headers)?;
    Ok(Some(Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
    }))
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

fn skip_body(stream: &mut impl Read, headers: &BTreeMap<String, String>) -> io::Result<()> {
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse::<usize>().ok())
        .unwrap_or(0)
        .min(LIMIT);
    stream.read_exact(&mut vec![0; length])
}

/// Writes a whole answer, leaving the connection open.
pub(crate) fn answer(
    stream: &mut impl Write,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    head.push_str("content-type: application/json; charset=utf-8\r\n");
    head.push_str(&format!("content-length: {}\r\n", body.len()));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.flush()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Answer",
    }
}
