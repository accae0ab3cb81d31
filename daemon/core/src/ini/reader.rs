//! `RawConfigParser._read` of CPython (`Lib/configparser.py`; 3.10 to 3.13 read alike), strict as it
//! is by default, with `[DEFAULT]` merged as `ConfigParser.items` does.

use ini::{Properties, SectionEntry};

use super::{DEFAULT, Document, MAX_BYTES, Malformed, Reason, wipe};
use crate::python::{is_space, strip};

/// Reads the content of a file.
pub(super) fn read(content: &[u8]) -> Result<Document, Malformed> {
    if content.len() > MAX_BYTES {
        return Err(Malformed {
            line: 1,
            reason: Reason::TooLarge,
        });
    }
    let text = std::str::from_utf8(content).map_err(|error| {
        let to_first_bad_byte = String::from_utf8_lossy(&content[..=error.valid_up_to()]);
        Malformed {
            line: lines(&to_first_bad_byte).count(),
            reason: Reason::NotUtf8,
        }
    })?;
    let mut reader = Reader::default();
    let outcome = reader.read(text);
    // On failure too, since what is in the document is wiped with it. An error found only now is
    // about an earlier line.
    let closed = reader.close_section();
    let merged = closed
        .and(outcome)
        .and_then(|()| reader.merge_defaults(content.len()));
    wipe(&mut reader.defaults);
    merged.map(|()| reader.document)
}

/// The name in a header: everything up to the last `]`; what follows that is ignored.
pub(super) fn header(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?.rsplit_once(']')?.0;
    (!name.is_empty()).then_some(name)
}

/// Lines as Python's universal newlines have them: `\n`, `\r\n` and `\r` end one.
fn lines(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let is_end = |byte| matches!(byte, b'\n' | b'\r');
        let (line, rest) = text.split_at(text.bytes().position(is_end).unwrap_or(text.len()));
        text = rest
            .strip_prefix("\r\n")
            .or_else(|| rest.get(1..))
            .unwrap_or_default();
        Some(line)
    })
}

/// What was read so far, and what the next line may continue.
#[derive(Default)]
struct Reader<'a> {
    document: Document,
    /// The keys of `[DEFAULT]`, while that is not the open section.
    defaults: Properties,
    /// The open section and its line, and its keys.
    section: Option<(&'a str, usize)>,
    properties: Properties,
    /// The key whose value may go on in the next line and its line, and the lines of that value.
    key: Option<(String, usize)>,
    value: Vec<&'a str>,
    /// How far the last header or key was indented, in characters; a line that is indented further
    /// continues the value.
    indent: usize,
    /// The number of the current line.
    line: usize,
}

impl<'a> Reader<'a> {
    fn read(&mut self, text: &'a str) -> Result<(), Malformed> {
        for line in lines(text) {
            self.line += 1;
            self.read_line(line)?;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &'a str) -> Result<(), Malformed> {
        let text = strip(line);
        if text.starts_with(['#', ';']) {
            return Ok(());
        }
        let indent = line
            .chars()
            .take_while(|character| is_space(*character))
            .count();
        if self.key.is_some() && (text.is_empty() || indent > self.indent) {
            self.value.push(text);
            return Ok(());
        }
        if text.is_empty() {
            return Ok(());
        }
        self.indent = indent;
        match header(text) {
            Some(name) => self.open_section(name),
            None => self.open_key(text),
        }
    }

    fn open_section(&mut self, name: &'a str) -> Result<(), Malformed> {
        self.close_section()?;
        if name == DEFAULT {
            // It may be opened again, and a key that it has is then still a duplicate.
            self.properties = std::mem::take(&mut self.defaults);
        }
        self.section = Some((name, self.line));
        Ok(())
    }

    fn open_key(&mut self, line: &'a str) -> Result<(), Malformed> {
        self.close_key()?;
        let malformed = |reason| Malformed {
            line: self.line,
            reason,
        };
        if self.section.is_none() {
            return Err(malformed(Reason::OutsideSection));
        }
        let (key, value) = line
            .split_once(['=', ':'])
            .ok_or(malformed(Reason::NoDelimiter))?;
        let key = strip(key);
        if key.is_empty() {
            return Err(malformed(Reason::EmptyKey));
        }
        self.key = Some((key.to_lowercase(), self.line));
        self.value.push(strip(value));
        Ok(())
    }

    fn close_key(&mut self) -> Result<(), Malformed> {
        let Some((key, line)) = self.key.take() else {
            return Ok(());
        };
        // Each line is stripped, so Python's `rstrip` of the whole removes empty lines.
        while self.value.last().is_some_and(|line| line.is_empty()) {
            self.value.pop();
        }
        let keys = self.properties.len();
        self.properties.append(key, self.value.join("\n"));
        self.value.clear();
        if self.properties.len() == keys {
            return Err(Malformed {
                line,
                reason: Reason::DuplicateKey,
            });
        }
        Ok(())
    }

    fn close_section(&mut self) -> Result<(), Malformed> {
        let closed = self.close_key();
        let mut properties = std::mem::take(&mut self.properties);
        let Some((name, line)) = self.section.take() else {
            return closed;
        };
        if name == DEFAULT {
            self.defaults = properties;
            return closed;
        }
        match self.document.ini.entry(Some(name.to_owned())) {
            SectionEntry::Vacant(place) => {
                place.insert(properties);
                closed
            }
            SectionEntry::Occupied(_) => {
                wipe(&mut properties);
                Err(Malformed {
                    line,
                    reason: Reason::DuplicateSection,
                })
            }
        }
    }

    /// Gives every section the keys of `[DEFAULT]`: first those, then its own, of which one of the
    /// same name wins in place.
    fn merge_defaults(&mut self, size: usize) -> Result<(), Malformed> {
        if self.defaults.is_empty() {
            return Ok(());
        }
        let weight: usize = self
            .defaults
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if weight
            .saturating_mul(self.document.len())
            .saturating_add(size)
            > MAX_BYTES
        {
            return Err(Malformed {
                line: self.line,
                reason: Reason::TooLarge,
            });
        }
        for (name, properties) in self.document.ini.iter_mut() {
            if name.is_some() {
                let mut own = std::mem::take(properties);
                for (key, default) in self.defaults.iter() {
                    properties.append(key, own.remove(key).unwrap_or_else(|| default.to_owned()));
                }
                for (key, value) in own {
                    properties.append(key, value);
                }
            }
        }
        Ok(())
    }
}
