//! Tokens that can be found again, and the search for them.
//!
//! Every token of a test is random enough to be recognised anywhere. When a sandbox ends, each file
//! below it, each captured output and each command line is searched for each token, in the
//! encodings that programs use when they write a secret where it does not belong.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem::Finder;

/// A token of a test, and the name that it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What the Hub calls it.
    pub name: String,
    /// Its value, as long as the Hub's (37 characters).
    pub value: String,
}

impl Token {
    /// A new token, unlike any other.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn mint(name: &str) -> Self {
        let value = format!("hf_{}", random_letters(34));
        Self {
            name: name.to_owned(),
            value,
        }
    }

    /// A new token as long as a browser login may hand out: 8 KiB.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn long(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: format!("hf_oauth_{}", random_letters(8 * 1024 - "hf_oauth_".len())),
        }
    }

    /// `hf_****` and the last four characters, as lists show it.
    pub fn masked(&self) -> String {
        let value = &self.value;
        format!("{}****{}", &value[..3], &value[value.len() - 4..])
    }
}

pub(crate) fn random_letters(length: usize) -> String {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = |byte: &u8| letters[usize::from(*byte) % letters.len()] as char;
    bytes.iter().map(letter).collect()
}

/// Where a token was found, and how it was written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The name of the token.
    pub token: String,
    /// `plain`, `hex`, `base64`, …
    pub form: &'static str,
    /// A file, or what else was searched.
    pub place: String,
}

/// The search for a set of tokens.
#[derive(Debug)]
pub struct Search {
    needles: Vec<(String, &'static str, Finder<'static>)>,
}

impl Search {
    /// A search for these tokens, whole or cut in half.
    pub fn new<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> Self {
        let mut needles = Vec::new();
        for token in tokens {
            for half in halves(&token.value) {
                for (form, bytes) in forms(half) {
                    needles.push((token.name.clone(), form, Finder::new(&bytes).into_owned()));
                }
            }
        }
        Self { needles }
    }

    /// What is found in some bytes.
    pub fn bytes(&self, place: &str, haystack: &[u8]) -> Vec<Leak> {
        let mut leaks: Vec<Leak> = Vec::new();
        for (token, form, finder) in &self.needles {
            if finder.find(haystack).is_some() {
                leaks.push(Leak {
                    token: token.clone(),
                    form,
                    place: place.to_owned(),
                });
            }
        }
        leaks.dedup();
        leaks
    }

    /// What is found in the regular files below a directory (and in their names), except in those
    /// that `allowed` says.
    ///
    /// # Errors
    /// When a directory or a file cannot be read: what was not searched is not clean.
    pub fn tree(&self, top: &Path, allowed: &dyn Fn(&Path) -> bool) -> io::Result<Vec<Leak>> {
        let mut leaks = Vec::new();
        let mut directories = vec![top.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                let path = entry.path();
                leaks.extend(self.name(&path));
                let kind = entry.file_type()?;
                if allowed(&path) {
                    continue;
                }
                if kind.is_dir() {
                    directories.push(path);
                } else if kind.is_file() {
                    leaks.extend(self.bytes(&path.display().to_string(), &fs::read(&path)?));
                }
            }
        }
        Ok(leaks)
    }

    fn name(&self, path: &Path) -> Vec<Leak> {
        let name = path.file_name().unwrap_or_default();
        self.bytes("the name of a file", name.as_encoded_bytes())
    }
}

/// Both halves of what distinguishes a token (its prefix does not): a leak that was cut off is one.
fn halves(value: &str) -> [&str; 2] {
    let core = value.strip_prefix("hf_").unwrap_or(value);
    let (first, second) = core.split_at(core.len() / 2);
    [first, second]
}

/// The ways in which programs write text.
pub fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let per_char = |write: &dyn Fn(u8) -> String| -> Vec<u8> {
        bytes
            .iter()
            .flat_map(|byte| write(*byte).into_bytes())
            .collect()
    };
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("hex", hex.clone().into_bytes()),
        ("HEX", hex.to_uppercase().into_bytes()),
        (
            "UTF-16LE",
            bytes.iter().flat_map(|byte| [*byte, 0]).collect(),
        ),
        (
            "UTF-16BE",
            bytes.iter().flat_map(|byte| [0, *byte]).collect(),
        ),
        ("JSON-escaped", per_char(&|byte| format!("\\u{byte:04x}"))),
        ("JSON-ESCAPED", per_char(&|byte| format!("\\u{byte:04X}"))),
        ("URL-encoded", per_char(&|byte| format!("%{byte:02x}"))),
        ("URL-ENCODED", per_char(&|byte| format!("%{byte:02X}"))),
        // A list of numbers, as `{:?}` of a byte string shows it and serde_json writes one.
        ("numbers", numbers(bytes, ", ")),
        ("numbers, tight", numbers(bytes, ",")),
    ];
    forms.extend((0..3).map(|offset| ("base64", base64_at(bytes, offset))));
    forms
}

fn numbers(bytes: &[u8], between: &str) -> Vec<u8> {
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    numbers.join(between).into_bytes()
}

/// The characters of base64 that depend on `bytes` alone, when they stand `offset` bytes after a
/// multiple of three.
fn base64_at(bytes: &[u8], offset: usize) -> Vec<u8> {
    let padded = [&b"\0\0"[..offset], bytes].concat();
    let whole = padded.len() / 3 * 3;
    let text = STANDARD_NO_PAD.encode(&padded[..whole]);
    // Of the first group, the characters that also carry bits of what stands before are left out.
    let skip = [0, 2, 3][offset];
    text.as_bytes()[skip..].to_vec()
}

/// Whether a path is one where tokens belong: the keychain's own files, or a mirror's two.
pub(crate) fn belongs(path: &Path, mirrors: &[PathBuf]) -> bool {
    let in_keychain = path.ends_with(".local/share/keyrings");
    let in_mirror = path
        .parent()
        .is_some_and(|dir| mirrors.iter().any(|mirror| mirror == dir))
        && path
            .file_name()
            .is_some_and(|name| name == "token" || name == "stored_tokens");
    in_keychain || in_mirror
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_planted_token_is_found() {
        let token = Token::mint("planted");
        let search = Search::new([&token]);
        for (form, bytes) in forms(&token.value) {
            for before in ["", "x", "xy", "log: "] {
                let planted = [before.as_bytes(), &bytes, b" and more"].concat();
                let found = search.bytes("here", &planted);
                assert!(!found.is_empty(), "{form} after {before:?}");
            }
        }
    }

    #[test]
    fn base64_is_found_at_every_alignment() {
        let token = Token::mint("planted");
        let search = Search::new([&token]);
        for before in ["", "a", "ab", "Bearer ", "{\"token\":\""] {
            let text = STANDARD_NO_PAD.encode(format!("{before}{}\"}}", token.value));
            assert_eq!(search.bytes("here", text.as_bytes())[0].form, "base64");
        }
    }

    #[test]
    fn half_a_token_is_a_leak_and_a_mask_is_none() {
        let token = Token::mint("planted");
        let search = Search::new([&token]);
        assert!(
            !search
                .bytes("here", &token.value.as_bytes()[..22])
                .is_empty()
        );
        assert!(
            !search
                .bytes("here", &token.value.as_bytes()[18..])
                .is_empty()
        );
        assert!(search.bytes("here", token.masked().as_bytes()).is_empty());
        assert!(
            search
                .bytes("here", Token::mint("other").value.as_bytes())
                .is_empty()
        );
    }

    #[test]
    fn files_and_their_names_are_searched_except_where_tokens_belong() {
        let token = Token::mint("planted");
        let search = Search::new([&token]);
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path().join("home/.cache/huggingface");
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join("token"), &token.value).unwrap();
        let belongs = |path: &Path| belongs(path, std::slice::from_ref(&home));
        assert_eq!(search.tree(temp.path(), &belongs).unwrap(), []);
        fs::write(home.join("token.bak"), &token.value).unwrap();
        assert_eq!(search.tree(temp.path(), &belongs).unwrap().len(), 1);
        fs::remove_file(home.join("token.bak")).unwrap();
        fs::write(home.join(&token.value), "").unwrap();
        let leaks = search.tree(temp.path(), &belongs).unwrap();
        assert_eq!(leaks[0].place, "the name of a file");
    }
}
