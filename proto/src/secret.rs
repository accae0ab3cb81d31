//! Secrets that do not print themselves and are wiped when they are dropped.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// The longest token accepted, in bytes. OAuth tokens of the Hub are JWTs of one to two KiB; the
/// rest is room to grow without ever threatening the line limit of the wire.
pub const MAX_SECRET: usize = 16 * 1024;

/// An access or refresh token: non-empty printable ASCII without spaces, at most [`MAX_SECRET`]
/// bytes, which is what an HTTP header and every reader of the `token` file can carry.
///
/// It has no `Display`, its `Debug` is redacted, and its memory is wiped on drop. Serialising one
/// writes the value: the wire is the only place where that is meant to happen.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// Why a string is no token. Says nothing about the string itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Nothing is left after surrounding white space was removed.
    #[error("the token is empty")]
    Empty,
    /// Longer than [`MAX_SECRET`].
    #[error("the token is longer than {MAX_SECRET} bytes")]
    TooLong,
    /// White space inside, a control character, or a character outside ASCII.
    #[error("the token contains a space, a control character or a character outside ASCII")]
    BadCharacter,
}

impl Secret {
    /// Parses a token as huggingface_hub reads one: surrounding white space is removed
    /// (`utils/_auth.py`, `_clean_token`), but a line break inside is an error here where upstream
    /// glues the lines together.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        if text.len() > MAX_SECRET {
            return Err(InvalidSecret::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidSecret::BadCharacter);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The value. Each call marks a place where a secret leaves this type.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first three and last four characters with `****` between, as `hf auth list` shows a
    /// token; `None` where that would show most of it (shorter than 12).
    pub fn masked(&self) -> Option<String> {
        let value = self.expose();
        // ASCII was checked at parsing, so byte positions are characters.
        (value.len() >= 12).then(|| format!("{}****{}", &value[..3], &value[value.len() - 4..]))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // The message of `InvalidSecret` never quotes the value.
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The longest passphrase, in bytes.
pub const MAX_PASSPHRASE: usize = 1024;

/// What opens an encrypted token file: a line of any text, at most [`MAX_PASSPHRASE`] bytes.
///
/// Spaces count, at its ends as well. Like a [`Secret`] it does not print itself and is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

/// Why a string is no passphrase. Says nothing about the string itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassphrase {
    /// There is nothing.
    #[error("the passphrase is empty")]
    Empty,
    /// Longer than [`MAX_PASSPHRASE`].
    #[error("the passphrase is longer than {MAX_PASSPHRASE} bytes")]
    TooLong,
    /// A line break or another control character, which no prompt takes, or what is no UTF-8.
    #[error("the passphrase contains a control character, or is not UTF-8")]
    BadCharacter,
}

impl Passphrase {
    /// Takes a line as it was typed, without its line break.
    pub fn parse(line: &str) -> Result<Self, InvalidPassphrase> {
        if line.is_empty() {
            return Err(InvalidPassphrase::Empty);
        }
        if line.len() > MAX_PASSPHRASE {
            return Err(InvalidPassphrase::TooLong);
        }
        // A terminal of another encoding leaves this for what it could not tell.
        if line
            .chars()
            .any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER)
        {
            return Err(InvalidPassphrase::BadCharacter);
        }
        Ok(Self(Zeroizing::new(line.to_owned())))
    }

    /// The text. Each call marks a place where it leaves this type.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(****)")
    }
}

impl Serialize for Passphrase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Passphrase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // The message of `InvalidPassphrase` never quotes the text.
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_redacted() {
        let secret = Secret::parse("hf_canary_debug").unwrap();
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "Secret(****) Some(Secret(****))"
        );
    }

    #[test]
    fn parsing_trims_and_refuses() {
        assert_eq!(Secret::parse(" hf_a\n").unwrap().expose(), "hf_a");
        assert_eq!(Secret::parse(" \n"), Err(InvalidSecret::Empty));
        for bad in [
            "hf_a b",
            "hf_a\nhf_b",
            "hf_\u{1b}[0m",
            "hf_ü",
            "\u{feff}hf_a",
        ] {
            assert_eq!(
                Secret::parse(bad),
                Err(InvalidSecret::BadCharacter),
                "{bad:?}"
            );
        }
        assert_eq!(
            Secret::parse(&"x".repeat(MAX_SECRET + 1)),
            Err(InvalidSecret::TooLong)
        );
        assert!(Secret::parse(&"x".repeat(MAX_SECRET)).is_ok());
    }

    #[test]
    fn a_passphrase_is_any_line_and_does_not_print_itself() {
        let passphrase = Passphrase::parse(" correct horse \u{1f40e} ").unwrap();
        assert_eq!(passphrase.expose(), " correct horse \u{1f40e} ");
        assert_eq!(format!("{passphrase:?}"), "Passphrase(****)");
        for (bad, why) in [
            ("", InvalidPassphrase::Empty),
            ("a\n", InvalidPassphrase::BadCharacter),
            ("a\0", InvalidPassphrase::BadCharacter),
        ] {
            assert_eq!(Passphrase::parse(bad), Err(why), "{bad:?}");
        }
        let long = "x".repeat(MAX_PASSPHRASE + 1);
        assert_eq!(Passphrase::parse(&long), Err(InvalidPassphrase::TooLong));
    }

    #[test]
    fn masks_as_upstream_but_never_a_short_one() {
        assert_eq!(
            Secret::parse("hf_abcdefXYZ1").unwrap().masked().unwrap(),
            "hf_****XYZ1"
        );
        assert_eq!(Secret::parse("hf_abcdef12").unwrap().masked(), None);
    }
}
