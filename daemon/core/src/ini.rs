//! `stored_tokens`: the dialect of INI that huggingface_hub reads and writes with Python's
//! `configparser.ConfigParser(interpolation=None)` (2.4.0, `utils/_auth.py`,
//! `_read_stored_tokens_full` and `_save_stored_tokens_full`).
//!
//! The document is rust-ini's and so is the writer. The reader is our own: rust-ini's differs from
//! Python's in what it accepts, and can swallow a key. `tests/configparser.rs` compares reader and
//! writer with the real module. This is the only place that knows rust-ini.

mod reader;

use std::fmt;

use ini::{EscapePolicy, Ini, LineSeparator, Properties, WriteOption};
use zeroize::{Zeroize, Zeroizing};

use crate::python;

/// The largest file that is read, and the most that `[DEFAULT]` may swell one to, in bytes: 4,096
/// tokens with a pair of JWTs of 2 KiB each are 16 MiB, times four. Python has no limit, and a file
/// of 2 MiB can swell to gigabytes.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The section whose keys configparser adds to every other.
const DEFAULT: &str = "DEFAULT";

/// Python's writer: ` = `, `\n`, nothing escaped. rust-ini would write a line break in a name or a
/// value as it is; [`Document::set`] lets none in that could become a line of its own.
const LAYOUT: WriteOption = WriteOption {
    escape_policy: EscapePolicy::Nothing,
    line_separator: LineSeparator::CR,
    kv_separator: " = ",
};

/// The sections of a `stored_tokens` file, each a list of keys and values in order. Whatever a
/// document holds can be written and read back unchanged. Values are wiped when it is dropped and
/// are not shown by `Debug`.
pub struct Document {
    ini: Ini,
}

/// Why a file is no document: Python would raise `configparser.Error` or `UnicodeDecodeError`, and
/// huggingface_hub then behaves as if the file were empty. Never quotes the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Malformed {
    /// Where, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// `UnicodeDecodeError`.
    #[error("not UTF-8")]
    NotUtf8,
    /// `MissingSectionHeaderError`; also what a byte order mark or JSON leads to.
    #[error("text before the first section")]
    OutsideSection,
    /// `DuplicateSectionError`.
    #[error("a section that was there before")]
    DuplicateSection,
    /// `DuplicateOptionError`.
    #[error("a key that the section has already")]
    DuplicateKey,
    /// `ParsingError`: neither a header, nor a comment, nor a key with `=` or `:`.
    #[error("neither a section nor a key with a value")]
    NoDelimiter,
    /// `ParsingError`: the line starts with `=` or `:`.
    #[error("a value without a key")]
    EmptyKey,
    /// Larger than [`MAX_BYTES`], or made so by `[DEFAULT]`.
    #[error("the file is too large")]
    TooLarge,
}

/// Why something cannot stand in a document: it would not be read back as it was written, or be
/// read as something else. Never quotes the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// Empty, `DEFAULT`, or with a line break.
    #[error("stored_tokens cannot hold a section of that name")]
    Section,
    /// Empty, not in lower case, or with a character that means something else there.
    #[error("stored_tokens cannot hold a key of that name")]
    Key,
    /// With a carriage return, or with a line that starts or ends in white space or would be taken
    /// for a comment.
    #[error("stored_tokens cannot hold that value")]
    Value,
}

impl Document {
    /// A document without sections.
    pub fn new() -> Self {
        Self { ini: Ini::new() }
    }

    /// Reads the content of a file.
    pub fn parse(content: &[u8]) -> Result<Self, Malformed> {
        reader::read(content)
    }

    /// The sections with their keys and values, in file order. The keys of `[DEFAULT]` are in each
    /// of them, which is how `ConfigParser.items` shows them.
    pub fn sections(
        &self,
    ) -> impl Iterator<Item = (&str, impl Iterator<Item = (&str, &str)> + use<'_>)> {
        self.named()
            .map(|(name, properties)| (name, properties.iter()))
    }

    /// The value of a key, if the section is there and has it.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.ini.section(Some(section))?.get(key)
    }

    /// How many sections there are.
    pub fn len(&self) -> usize {
        self.named().count()
    }

    /// True when there are no sections.
    pub fn is_empty(&self) -> bool {
        self.named().next().is_none()
    }

    /// Sets a value, replacing the one that was there; section and key are made where missing.
    pub fn set(&mut self, section: &str, key: &str, value: &str) -> Result<(), Unwritable> {
        if !is_writable_name(section) {
            return Err(Unwritable::Section);
        }
        if !is_writable_key(key) {
            return Err(Unwritable::Key);
        }
        if !is_writable_value(key, value) {
            return Err(Unwritable::Value);
        }
        let properties = self.section_mut(section);
        match properties.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => {
                old.zeroize();
                old.push_str(value);
            }
            None => properties.append(key, value),
        }
        Ok(())
    }

    /// The bytes that huggingface_hub would write: sections in code point order, `hf_token`,
    /// `refresh_token` and `expires_at` before other keys, a blank line after each section.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut sections: Vec<_> = self.named().collect();
        sections.sort_unstable_by_key(|(name, _)| *name);
        // Reserved whole, so that no reallocation leaves a copy behind.
        let size = sections
            .iter()
            .map(|(name, properties)| written_size(name, properties))
            .sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        let mut page = Self::new();
        for (name, properties) in sections {
            page.write_section(name, properties, &mut bytes);
        }
        bytes
    }

    /// Writes one section by way of `self`, which is empty and will be so again: rust-ini would
    /// separate sections, and not after an empty one, where Python ends each with a blank line.
    fn write_section(&mut self, name: &str, properties: &Properties, bytes: &mut Vec<u8>) {
        let mut entries: Vec<_> = properties.iter().collect();
        entries.sort_by_key(|(key, _)| rank(key)); // stable: other keys keep their order
        let alone = self.section_mut(name);
        for (key, value) in entries {
            alone.append(key, value.replace('\n', "\n\t"));
        }
        self.ini
            .write_to_opt(bytes, LAYOUT)
            .expect("a Vec takes every write");
        bytes.push(b'\n');
        if let Some(mut written) = self.ini.delete(Some(name)) {
            wipe(&mut written);
        }
    }

    /// All but rust-ini's general section, which holds keys that stand before the first header.
    fn named(&self) -> impl Iterator<Item = (&str, &Properties)> {
        self.ini
            .iter()
            .filter_map(|(name, properties)| Some((name?, properties)))
    }

    fn section_mut(&mut self, name: &str) -> &mut Properties {
        self.ini
            .entry(Some(name.to_owned()))
            .or_insert_with(Properties::new)
    }
}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        for (_, properties) in self.ini.iter_mut() {
            wipe(properties);
        }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} sections)", self.len())
    }
}

/// huggingface_hub's own keys come first, in the order in which `_save_token` makes them.
fn rank(key: &str) -> usize {
    const KEYS: [&str; 3] = ["hf_token", "refresh_token", "expires_at"];
    KEYS.iter()
        .position(|known| *known == key)
        .unwrap_or(KEYS.len())
}

fn written_size(name: &str, properties: &Properties) -> usize {
    let lines = properties.iter().map(|(key, value)| {
        let breaks = value.bytes().filter(|byte| *byte == b'\n').count();
        key.len() + " = \n".len() + value.len() + breaks
    });
    "[]\n\n".len() + name.len() + lines.sum::<usize>()
}

fn wipe(properties: &mut Properties) {
    for (_, value) in properties.iter_mut() {
        value.zeroize();
    }
}

fn is_writable_name(name: &str) -> bool {
    !name.is_empty() && name != DEFAULT && !name.contains(['\r', '\n'])
}

fn is_writable_key(key: &str) -> bool {
    !key.is_empty()
        && !key.contains(['=', ':', '\r', '\n'])
        && !key.starts_with(['#', ';'])
        && python::strip(key) == key
        && key.to_lowercase() == key
}

/// A value of several lines is written as a first line and continuations, which the reader strips
/// and among which it drops comments; a line break at the end would be lost.
fn is_writable_value(key: &str, value: &str) -> bool {
    let mut lines = value.split('\n');
    let first = lines.next().unwrap_or_default();
    let header = key.starts_with('[') && (first.contains(']') || reader::header(key).is_some());
    !header
        && !value.contains('\r')
        && !value.ends_with('\n')
        && value.split('\n').all(|line| python::strip(line) == line)
        && lines.all(|line| !line.starts_with(['#', ';']))
}

#[cfg(test)]
mod tests;
