//! What was found in a mirror's two files, parsed as huggingface_hub would.

use std::fmt;
use std::path::Path;

use hfd_proto::{Secret, TokenName, escape};

use crate::ini::Document;
use crate::text::Encoding;

/// Both files of a mirror, read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// `stored_tokens`.
    pub stored: Stored,
    /// `token`.
    pub token: TokenFile,
}

/// `stored_tokens` as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// There is no such file.
    Absent,
    /// Its sections, in file order.
    Sections(Vec<Section>),
    /// It cannot be read, or does not parse: why, without any of its content.
    Unreadable(String),
}

/// `token` as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFile {
    /// There is none, or nothing is in it: upstream reads both as logged out.
    Absent,
    /// A token.
    Value(Secret),
    /// It cannot be read, or holds what no HTTP header can carry: why.
    Unreadable(String),
}

/// One section of `stored_tokens`.
#[derive(Clone, PartialEq, Eq)]
pub struct Section {
    /// Its header, which need not be a valid [`TokenName`] (it may be too long).
    pub name: String,
    /// `hf_token`; `None` where it is missing, empty, or no token, and where the header is no name.
    pub access: Option<Secret>,
    /// `refresh_token`.
    pub refresh: Option<Secret>,
    /// `expires_at`, in Unix seconds.
    pub expires_at: Option<i64>,
    /// Every other key, and values of the three above that could not be used, in file order: they
    /// are written back as they are. In a section without an access token, that is all it has.
    pub others: Vec<(String, String)>,
}

impl Section {
    /// The name and the access token, where the section is one that hfd keeps.
    pub fn usable(&self) -> Option<(TokenName, &Secret)> {
        Some((
            TokenName::parse(self.name.as_str()).ok()?,
            self.access.as_ref()?,
        ))
    }

    fn new(name: &str, entries: Vec<(String, String)>) -> Self {
        let mut section = Self {
            name: name.to_owned(),
            access: None,
            refresh: None,
            expires_at: None,
            others: Vec::new(),
        };
        let is_token =
            |(key, value): &(String, String)| key == "hf_token" && Secret::parse(value).is_ok();
        if TokenName::parse(name).is_err() || !entries.iter().any(is_token) {
            section.others = entries;
            return section;
        }
        for (key, value) in entries {
            let taken = match key.as_str() {
                "hf_token" => set(&mut section.access, Secret::parse(&value).ok()),
                "refresh_token" => set(&mut section.refresh, Secret::parse(&value).ok()),
                "expires_at" => set(&mut section.expires_at, value.trim().parse().ok()),
                _ => false,
            };
            if !taken {
                section.others.push((key, value));
            }
        }
        section
    }
}

/// Other keys may hold anything, a token with a space in it too.
impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.others.iter().map(|(key, _)| key).collect();
        f.debug_struct("Section")
            .field("name", &self.name)
            .field("access", &self.access)
            .field("refresh", &self.refresh)
            .field("expires_at", &self.expires_at)
            .field("others", &keys)
            .finish()
    }
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    let taken = value.is_some();
    *slot = value;
    taken
}

impl Stored {
    /// Parses the content of `stored_tokens`.
    pub fn parse(content: &[u8]) -> Self {
        match Document::parse(content) {
            Err(malformed) => Self::Unreadable(malformed.to_string()),
            Ok(document) => Self::Sections(
                document
                    .sections()
                    .map(|(name, entries)| {
                        let owned = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
                        Section::new(name, owned.collect())
                    })
                    .collect(),
            ),
        }
    }

    /// The same of a file that may have another encoding.
    pub fn parse_as(content: &[u8], encoding: Encoding) -> Self {
        match encoding.decode(content) {
            Some(text) => Self::parse(text.as_bytes()),
            // What cannot be decoded is for the reader to tell.
            None => Self::parse(content),
        }
    }
}

impl TokenFile {
    /// Parses the content of `token`: surrounding white space is removed, nothing else is forgiven.
    pub fn parse(content: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(content) else {
            return Self::Unreadable("it is not text".to_owned());
        };
        match Secret::parse(text) {
            Ok(secret) => Self::Value(secret),
            Err(hfd_proto::InvalidSecret::Empty) => Self::Absent,
            Err(other) => Self::Unreadable(other.to_string()),
        }
    }
}

impl Observation {
    /// Whether there is no token in either file.
    pub fn is_empty(&self) -> bool {
        let stored = match &self.stored {
            Stored::Absent => true,
            Stored::Sections(sections) => sections.is_empty(),
            Stored::Unreadable(_) => false,
        };
        stored && self.token == TokenFile::Absent
    }

    /// Why one of the files is of no use, naming it, for `status`.
    pub fn trouble(&self, token_path: &Path) -> Option<String> {
        let stored_path = token_path.with_file_name("stored_tokens");
        let (path, why) = match (&self.stored, &self.token) {
            (Stored::Unreadable(why), _) => (stored_path.as_path(), why),
            (_, TokenFile::Unreadable(why)) => (token_path, why),
            _ => return None,
        };
        Some(format!(
            "{}: {why}; it is left as it is",
            escape(&path.to_string_lossy())
        ))
    }
}
