//! What git wants a password for: lines of `key=value` (git-credential(1), "INPUT/OUTPUT FORMAT").

use std::io::{self, Read};

use hfd_proto::Endpoint;
use zeroize::Zeroizing;

/// More than git sends: a value has at most 64 KiB, and only a password or a challenge of a server is
/// long.
const MAX_INPUT: u64 = 256 * 1024;

/// Those attributes that matter here. What else there is (`capability[]`, `wwwauth[]`, whatever a git to
/// come has) is passed over, as git wants it.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Attributes {
    protocol: String,
    host: String,
    pub(super) path: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
}

impl Attributes {
    /// Reads them; `None` where it is not what git writes, or too much.
    pub(super) fn read(input: impl Read) -> io::Result<Option<Self>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        input.take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
        let whole = bytes.len() as u64 <= MAX_INPUT;
        let text = std::str::from_utf8(&bytes).ok();
        Ok(text.filter(|_| whole).and_then(Self::parse))
    }

    /// A value with NUL or CR is the attempt to have one helper read what another does not
    /// (CVE-2024-52006, `credential.protectProtocol`): nothing of it is believed.
    fn parse(text: &str) -> Option<Self> {
        let mut attributes = Self::default();
        for line in text.split('\n') {
            if line.is_empty() {
                break;
            }
            if line.contains(['\0', '\r']) {
                return None;
            }
            let (key, value) = line.split_once('=')?;
            match key {
                "protocol" => attributes.protocol = value.to_owned(),
                "host" => attributes.host = value.to_owned(),
                "path" => attributes.path = some(value),
                "username" => attributes.username = some(value),
                "password" => {
                    attributes.password = some(value).map(Zeroizing::new);
                }
                _ => {}
            }
        }
        Some(attributes)
    }

    /// The Hub that it could be. Only the characters of a host and a port are looked at any further:
    /// `Endpoint::parse` is kinder to what a person types than an address of somebody else's deserves. A host
    /// that ends in a dot is another one to git, and is no Hub here; one of other letters (IDN) comes as its
    /// ASCII form or is none.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        let of_a_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
        if !matches!(self.protocol.as_str(), "https" | "http") || !self.host.bytes().all(of_a_host)
        {
            return None;
        }
        Endpoint::parse(&format!("{}://{}", self.protocol, self.host)).ok()
    }
}

fn some(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: impl AsRef<[u8]>) -> Option<Attributes> {
        Attributes::read(text.as_ref()).unwrap()
    }

    fn endpoint(protocol: &str, host: &str) -> Option<String> {
        let attributes = read(format!("protocol={protocol}\nhost={host}\n")).unwrap();
        attributes.endpoint().map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn what_git_writes() {
        let text = "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=huggingface.co\n\
                    path=acme/x.git\nusername=alice\npassword=a=b\npassword_expiry_utc=1\n\
                    wwwauth[]=Basic realm=\"x\"\nnew=thing\n\nhost=evil.example\n";
        let read = read(text).unwrap();
        assert_eq!(read.endpoint(), Some(Endpoint::default()));
        assert_eq!(read.path.as_deref(), Some("acme/x.git"));
        assert_eq!(read.username.as_deref(), Some("alice"));
        assert_eq!(read.password.as_deref().map(String::as_str), Some("a=b"));
    }

    #[test]
    fn what_git_does_not_write() {
        for text in [
            &b"protocol=https\r\nhost=huggingface.co\r\n"[..],
            b"protocol=https\nhost=huggingface.co\0.evil.example\n",
            b"protocol=https\nhost=huggingface.co\nunknown=a\rb\n",
            b"protocol=https\nhuggingface.co\n",
            b"protocol=https\nhost=\xff\n",
        ] {
            assert!(read(text).is_none(), "{}", text.escape_ascii());
        }
        let long = format!("wwwauth[]={}\n", "x".repeat(MAX_INPUT as usize));
        assert!(read(long).is_none());
        assert!(read("").unwrap().endpoint().is_none());
    }

    #[test]
    fn a_host_is_a_hub_or_is_none() {
        for (protocol, host, hub) in [
            ("https", "huggingface.co", "https://huggingface.co"),
            ("https", "HuggingFace.CO:443", "https://huggingface.co"),
            ("https", "hf.co", "https://hf.co"),
            ("http", "127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https", "hub.example:8443", "https://hub.example:8443"),
            (
                "https",
                "xn--hggingface-8db.co",
                "https://xn--hggingface-8db.co",
            ),
            (
                "https",
                "huggingface.co.evil.example",
                "https://huggingface.co.evil.example",
            ),
        ] {
            assert_eq!(endpoint(protocol, host).as_deref(), Some(hub), "{host}");
        }
        for (protocol, host) in [
            ("http", "huggingface.co"),
            ("https", "huggingface.co."),
            ("https", "huggingface.co@evil"),
            ("https", "alice@huggingface.co"),
            ("https", "huggingface.co/"),
            ("https", " huggingface.co"),
            ("https", "huggingface.co:"),
            ("https", "huggingface.co:+443"),
            ("https", "huggingface.co:443:443"),
            ("https", "huggingfac\u{435}.co"),
            ("https", "huggingface\u{3002}co"),
            ("https", "%68uggingface.co"),
            ("https", ""),
            ("HTTPS", "huggingface.co"),
            ("ssh", "huggingface.co"),
            ("", "huggingface.co"),
        ] {
            assert_eq!(endpoint(protocol, host), None, "{protocol} {host}");
        }
    }
}
