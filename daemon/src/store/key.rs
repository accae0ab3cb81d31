//! What a secret is filed under.

use std::borrow::Cow;

use hfd_proto::{Endpoint, TokenName};

/// Which secret of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The token itself.
    Access,
    /// What a new one is got with.
    Refresh,
    /// A token that was logged out or replaced, and can be brought back; the number tells apart
    /// several of one name.
    KeptAccess(u64),
    /// What came with it.
    KeptRefresh(u64),
    /// No secret: that a renewal was begun, and with which refresh token. Written first, it proves
    /// that the store takes what the Hub is about to answer.
    Renewing,
    /// No secret: whether the store takes and gives back anything at all.
    Probe,
}

impl Part {
    /// The value of the attribute `hfd`.
    pub fn attribute(self) -> Cow<'static, str> {
        match self {
            Self::Access => "access".into(),
            Self::Refresh => "refresh".into(),
            Self::Renewing => "renewing".into(),
            Self::Probe => "probe".into(),
            Self::KeptAccess(number) => format!("restore-{number:016x}").into(),
            Self::KeptRefresh(number) => format!("restore-{number:016x}-refresh").into(),
        }
    }

    /// The inverse of [`Part::attribute`].
    pub fn parse(text: &str) -> Option<Self> {
        let part = match text {
            "access" => Self::Access,
            "refresh" => Self::Refresh,
            "renewing" => Self::Renewing,
            "probe" => Self::Probe,
            _ => {
                let number = text.strip_prefix("restore-")?;
                let (digits, refresh) = match number.strip_suffix("-refresh") {
                    Some(digits) => (digits, true),
                    None => (number, false),
                };
                let number = u64::from_str_radix(digits, 16).ok()?;
                match refresh {
                    true => Self::KeptRefresh(number),
                    false => Self::KeptAccess(number),
                }
            }
        };
        (part.attribute() == text).then_some(part)
    }
}

/// What a secret is filed under: whose Hub, which name, which secret of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The Hub.
    pub endpoint: Endpoint,
    /// The token's name.
    pub name: TokenName,
    /// The token or its refresh token.
    pub part: Part,
}

impl Key {
    /// The attribute `username`: `ENDPOINT|NAME`.
    ///
    /// D-Bus strings cannot carry a NUL, which a name may hold. Such a name, and no other, is
    /// written `ENDPOINT%|NAME` with `%` as `%25` and NUL as `%00`; no endpoint holds a `%`, so the
    /// two shapes cannot be confused.
    pub fn username(&self) -> String {
        let (endpoint, name) = (&self.endpoint, self.name.as_str());
        if name.contains('\0') {
            let name = name.replace('%', "%25").replace('\0', "%00");
            format!("{endpoint}%|{name}")
        } else {
            format!("{endpoint}|{name}")
        }
    }

    /// The inverse of [`Key::username`]; `None` for what hfd did not write.
    pub fn parse(username: &str, part: &str) -> Option<Self> {
        let (endpoint, name) = username.split_once('|')?;
        let (endpoint, name) = match endpoint.strip_suffix('%') {
            Some(endpoint) => (endpoint, name.replace("%00", "\0").replace("%25", "%")),
            None => (endpoint, name.to_owned()),
        };
        let key = Self {
            endpoint: Endpoint::parse(endpoint).ok()?,
            name: TokenName::parse(name).ok()?,
            part: Part::parse(part)?,
        };
        // Another spelling of an endpoint would be an item that no lookup finds.
        (key.username() == username).then_some(key)
    }

    /// What a keychain's own window shows for it.
    pub fn label(&self) -> String {
        let (name, endpoint) = (self.name.escaped(), self.endpoint.as_str());
        let host = endpoint.strip_prefix("https://").unwrap_or(endpoint);
        match self.part {
            Part::Access => format!("hfd: {name} ({host})"),
            Part::Refresh => format!("hfd: {name}, refresh token ({host})"),
            Part::Renewing => format!("hfd: {name}, being renewed ({host})"),
            Part::Probe => String::from("hfd: whether this keychain works"),
            Part::KeptAccess(_) => format!("hfd: {name}, kept for `hfd restore` ({host})"),
            Part::KeptRefresh(_) => {
                format!("hfd: {name}, refresh token kept for `hfd restore` ({host})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(endpoint: &str, name: &str, part: Part) -> Key {
        Key {
            endpoint: Endpoint::parse(endpoint).unwrap(),
            name: TokenName::parse(name).unwrap(),
            part,
        }
    }

    #[test]
    fn attributes_and_labels_read_like_this() {
        let access = key("https://huggingface.co", "work", Part::Access);
        assert_eq!(access.username(), "https://huggingface.co|work");
        assert_eq!(access.label(), "hfd: work (huggingface.co)");
        let refresh = key("http://[::1]:8080", "a|b%\u{1b}", Part::Refresh);
        assert_eq!(refresh.username(), "http://[::1]:8080|a|b%\u{1b}");
        assert_eq!(
            refresh.label(),
            "hfd: a|b%\\u{1b}, refresh token (http://[::1]:8080)"
        );
    }

    #[test]
    fn a_name_with_nul_has_a_spelling_without() {
        let nul = key("https://huggingface.co", "a\0%00|", Part::Access);
        assert_eq!(nul.username(), "https://huggingface.co%|a%00%2500|");
        assert_eq!(Key::parse(&nul.username(), "access"), Some(nul));
    }

    #[test]
    fn what_hfd_did_not_write_is_no_key() {
        for (username, part) in [
            ("https://huggingface.co|a", "other"),
            ("https://huggingface.co|", "access"),
            ("https://huggingface.co", "access"),
            ("https://huggingface.co/|a", "access"),
            ("HTTPS://huggingface.co|a", "access"),
            ("https://huggingface.co%|a", "access"),
            ("nonsense|a", "access"),
        ] {
            assert_eq!(Key::parse(username, part), None, "{username}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "[^\r\n]{1,40}", part in 0..4, number in any::<u64>()) {
            prop_assume!(name != "DEFAULT" && name.len() <= 255);
            let part = match part {
                0 => Part::Access,
                1 => Part::Refresh,
                2 => Part::KeptAccess(number),
                _ => Part::KeptRefresh(number),
            };
            let key = key("https://hub.example:8443", &name, part);
            let username = key.username();
            prop_assert!(!username.contains('\0'));
            prop_assert_eq!(Key::parse(&username, &part.attribute()), Some(key));
        }

        #[test]
        fn no_text_makes_the_reader_panic(username in ".*", part in ".*") {
            let _ = Key::parse(&username, &part);
        }
    }
}
