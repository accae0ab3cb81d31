//! Any bytes as `stored_tokens` and as `token`: nothing panics, and what was read can be written and reads
//! back the same. `tests/fuzz/run` then asks Python what it makes of every file that this came upon.

#![no_main]

use hfd_core::ini::Document;
use hfd_core::observe::{Stored, TokenFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let _stored = Stored::parse(content);
    let _token = TokenFile::parse(content);
    let Ok(document) = Document::parse(content) else {
        return;
    };
    let written = document.to_bytes();
    let back = Document::parse(&written).expect("what was written can be read");
    assert_eq!(entries(&back), entries(&document));
    assert_eq!(back.to_bytes(), written);
});

fn entries(document: &Document) -> Vec<(String, Vec<(String, String)>)> {
    let sections = document.sections().map(|(name, entries)| {
        let mut entries: Vec<_> = entries
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        entries.sort();
        (name.to_owned(), entries)
    });
    let mut sections: Vec<_> = sections.collect();
    sections.sort();
    sections
}
