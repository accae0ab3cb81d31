//! Parsed names: what a token may be called and where it may be sent.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a token: any section header that Python's configparser round-trips, which is any
/// non-empty text without CR or LF except `DEFAULT`, at most 255 bytes.
///
/// A name comes from the Hub or from a file; it is printed only through
/// [`TokenName::escaped`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenName(String);

/// Why a text cannot name a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The empty name makes `stored_tokens` unreadable for every tool.
    #[error("a token name cannot be empty")]
    Empty,
    /// configparser's section of defaults.
    #[error("`DEFAULT` cannot name a token: stored_tokens gives that section another meaning")]
    Default,
    /// A line break would forge a section of `stored_tokens`.
    #[error("a token name cannot contain a line break")]
    LineBreak,
    /// Longer than 255 bytes.
    #[error("a token name cannot be longer than 255 bytes")]
    TooLong,
}

impl TokenName {
    /// Parses a name; nothing is trimmed, since configparser keeps spaces in a header.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        match text.as_str() {
            "" => Err(InvalidName::Empty),
            "DEFAULT" => Err(InvalidName::Default),
            _ if text.contains(['\r', '\n']) => Err(InvalidName::LineBreak),
            _ if text.len() > 255 => Err(InvalidName::TooLong),
            _ => Ok(Self(text)),
        }
    }

    /// The name as it stands in `stored_tokens` and in JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name for a terminal or a log: control, bidirectional and invisible characters are shown
    /// as `\u{…}`, so that a name cannot rewrite the screen.
    pub fn escaped(&self) -> String {
        escape(&self.0)
    }
}

impl fmt::Debug for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.escaped())
    }
}

impl Serialize for TokenName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TokenName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Shows text of the Hub, of a file or of another program on a terminal: C0, C1, DEL, bidirectional
/// controls, zero-width characters and line separators become `\u{…}`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// Characters that change how their neighbours are shown (Unicode's Bidi_Control), or that are not
/// shown themselves. ZWJ (U+200D) is left alone: emoji are made with it.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{61c}' | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A Hub: scheme, host and port. A token is sent to its own endpoint and to no other.
///
/// Kept as upstream writes it (`https://huggingface.co`): lower case, no path, no trailing slash,
/// the port only where it is not the scheme's own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint(String);

/// Why a text is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// Neither `https://` nor `http://`.
    #[error("an endpoint starts with https://")]
    Scheme,
    /// `http://` to a host that is not this machine would send tokens in the clear.
    #[error("http:// is accepted only for localhost, 127.0.0.1 and [::1]")]
    Cleartext,
    /// A user, a path, a query, or characters that no host has.
    #[error("an endpoint is https://HOST or https://HOST:PORT, without user, path or query")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port of an endpoint is a number from 1 to 65535")]
    Port,
}

/// The Hub, where none is named (huggingface_hub 2.4.0, `constants.py`).
const HUGGING_FACE: &str = "https://huggingface.co";

impl Endpoint {
    /// Parses an endpoint, trailing slashes allowed, as upstream's `HF_ENDPOINT` is.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        // Nearly every answer to a lookup names this one.
        if text == HUGGING_FACE {
            return Ok(Self::default());
        }
        let lower = text.trim().trim_end_matches('/').to_ascii_lowercase();
        let (scheme, rest) = lower.split_once("://").ok_or(InvalidEndpoint::Scheme)?;
        let own_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(InvalidEndpoint::Scheme),
        };
        let (host, port) = split_port(rest)?;
        if !is_host(host) {
            return Err(InvalidEndpoint::Host);
        }
        if scheme == "http" && !is_loopback(host) {
            return Err(InvalidEndpoint::Cleartext);
        }
        Ok(Self(match port {
            Some(port) if port != own_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        }))
    }

    /// `scheme://host[:port]`, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `https://huggingface.co`, which is not worth a mention on screen.
    pub fn is_default(&self) -> bool {
        self.0 == HUGGING_FACE
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self(HUGGING_FACE.to_owned())
    }
}

fn split_port(rest: &str) -> Result<(&str, Option<u16>), InvalidEndpoint> {
    // The colons of an IPv6 literal stand inside its brackets.
    let after_literal = rest.rfind(']').map_or(0, |end| end + 1);
    match rest[after_literal..].find(':') {
        None => Ok((rest, None)),
        Some(colon) => {
            let (host, port) = rest.split_at(after_literal + colon);
            match port[1..].parse::<u16>() {
                Ok(port) if port > 0 => Ok((host, Some(port))),
                _ => Err(InvalidEndpoint::Port),
            }
        }
    }
}

fn is_host(host: &str) -> bool {
    if let Some(literal) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return literal.parse::<std::net::Ipv6Addr>().is_ok();
    }
    !host.is_empty()
        && host.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "[::1]")
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_configparser_round_trips_are_accepted() {
        for name in [
            "a", " a ", "a]b", "[x]", "a=b", "a%b", "#h", "default", "\t", "\u{0}", "🤗",
        ] {
            assert_eq!(TokenName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(TokenName::parse(""), Err(InvalidName::Empty));
        assert_eq!(TokenName::parse("DEFAULT"), Err(InvalidName::Default));
        assert_eq!(TokenName::parse("a\n[b]"), Err(InvalidName::LineBreak));
        assert_eq!(TokenName::parse("é".repeat(128)), Err(InvalidName::TooLong));
    }

    #[test]
    fn names_cannot_rewrite_a_terminal() {
        let name = TokenName::parse("a\u{1b}[2J\u{9b}1m\u{202e}b\u{200b}").unwrap();
        assert_eq!(name.escaped(), "a\\u{1b}[2J\\u{9b}1m\\u{202e}b\\u{200b}");
    }

    #[test]
    fn endpoints_are_normalised() {
        for (given, kept) in [
            ("https://huggingface.co", "https://huggingface.co"),
            ("https://HuggingFace.co:443/", "https://huggingface.co"),
            ("https://hub.example:8443", "https://hub.example:8443"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(Endpoint::parse(given).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn endpoints_that_would_leak_are_refused() {
        for (given, why) in [
            ("huggingface.co", InvalidEndpoint::Scheme),
            ("ftp://huggingface.co", InvalidEndpoint::Scheme),
            ("http://huggingface.co", InvalidEndpoint::Cleartext),
            ("http://127.0.0.1.evil.example", InvalidEndpoint::Cleartext),
            ("http://localhost.evil.example", InvalidEndpoint::Cleartext),
            ("https://huggingface.co@evil.example", InvalidEndpoint::Host),
            ("https://huggingface.co/api", InvalidEndpoint::Host),
            ("https://huggingface.co?x", InvalidEndpoint::Host),
            ("https://", InvalidEndpoint::Scheme),
            ("https://:443", InvalidEndpoint::Host),
            ("https://a..b", InvalidEndpoint::Host),
            ("https://huggingface.co:0", InvalidEndpoint::Port),
            ("https://huggingface.co:99999", InvalidEndpoint::Port),
            ("https://user:pass@evil.example", InvalidEndpoint::Port),
        ] {
            assert_eq!(Endpoint::parse(given), Err(why), "{given}");
        }
    }
}
