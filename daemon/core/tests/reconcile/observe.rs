//! What is made of the bytes of the two files.

use hfd_core::observe::{Observation, Section, Stored, TokenFile};
use hfd_proto::Secret;

fn only_section(content: &str) -> Section {
    match Stored::parse(content.as_bytes()) {
        Stored::Sections(mut sections) if sections.len() == 1 => sections.remove(0),
        other => panic!("{content:?} is {other:?}"),
    }
}

/// `access refresh expiry | other=keys`, as far as there is something.
fn shown(section: &Section) -> String {
    let value = |secret: &Option<Secret>| match secret {
        Some(secret) => secret.expose().to_owned(),
        None => "-".to_owned(),
    };
    let at = section
        .expires_at
        .map_or("-".to_owned(), |at| at.to_string());
    let others = section.others.iter();
    let others: Vec<_> = others
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!(
        "{} {} {at} | {}",
        value(&section.access),
        value(&section.refresh),
        others.join(" ")
    )
}

#[test]
fn a_section_is_taken_apart() {
    for (content, expected) in [
        ("hf_token = hf_A", "hf_A - - | "),
        (
            "hf_token = hf_A\nrefresh_token = hf_R\nexpires_at = 9",
            "hf_A hf_R 9 | ",
        ),
        ("HF_TOKEN : hf_A", "hf_A - - | "),
        ("expires_at = -5\nhf_token =  hf_A ", "hf_A - -5 | "),
        (
            "hf_token = hf_A\nnote = mine\nColour = red",
            "hf_A - - | note=mine colour=red",
        ),
        // What cannot be used stays what it is.
        (
            "hf_token = hf_A\nexpires_at = soon",
            "hf_A - - | expires_at=soon",
        ),
        (
            "hf_token = hf_A\nexpires_at = 9.5",
            "hf_A - - | expires_at=9.5",
        ),
        (
            "hf_token = hf_A\nrefresh_token = two words",
            "hf_A - - | refresh_token=two words",
        ),
        (
            "hf_token = hf_A\nrefresh_token =",
            "hf_A - - | refresh_token=",
        ),
        // Without an access token nothing is.
        (
            "hf_token =\nexpires_at = 09",
            "- - - | hf_token= expires_at=09",
        ),
        ("hf_token = hf_A hf_B", "- - - | hf_token=hf_A hf_B"),
        (
            "refresh_token = hf_R\nnote = x",
            "- - - | refresh_token=hf_R note=x",
        ),
        ("", "- - - | "),
    ] {
        let section = only_section(&format!("[n]\n{content}\n"));
        assert_eq!(shown(&section), expected, "{content:?}");
        assert_eq!(section.usable().is_some(), expected.starts_with("hf_"));
    }
}

#[test]
fn a_section_whose_header_is_no_name_is_kept_whole() {
    let long = "n".repeat(256);
    let section = only_section(&format!("[{long}]\nhf_token = hf_A\nexpires_at = 09\n"));
    assert_eq!(section.name, long);
    assert_eq!(shown(&section), "- - - | hf_token=hf_A expires_at=09");
    assert_eq!(section.usable(), None);
}

#[test]
fn debug_output_of_a_section_shows_no_value() {
    let section = only_section("[n]\nhf_token = canary canary\nnote = canary\n");
    assert!(!format!("{section:?}").contains("canary"));
    assert!(format!("{section:?}").contains("note"));
}

#[test]
fn defaults_are_in_every_section() {
    let section = only_section("[DEFAULT]\nhf_token = hf_D\n[n]\nnote = x\n");
    assert_eq!(section.name, "n");
    assert!(shown(&section).starts_with("hf_D - - | "));
}

#[test]
fn an_empty_file_has_no_sections_and_a_broken_one_is_unreadable() {
    assert_eq!(Stored::parse(b""), Stored::Sections(Vec::new()));
    for broken in [
        "hf_A",
        "{\"n\": \"hf_A\"}",
        "[n]\nhf_A\n",
        "[n]\n[n]\n",
        "\u{feff}[n]\n",
    ] {
        match Stored::parse(broken.as_bytes()) {
            Stored::Unreadable(why) => assert!(!why.contains("hf_A"), "{why}"),
            other => panic!("{broken:?} is {other:?}"),
        }
    }
    assert!(matches!(Stored::parse(b"[\xff]\n"), Stored::Unreadable(_)));
}

#[test]
fn token_is_trimmed_and_nothing_else_is_forgiven() {
    let token = |text: &str| TokenFile::parse(text.as_bytes());
    let value = TokenFile::Value(Secret::parse("hf_A").unwrap());
    for text in ["hf_A", "hf_A\n", " hf_A\r\n", "\t\nhf_A\n\n"] {
        assert_eq!(token(text), value, "{text:?}");
    }
    for text in ["", " ", "\r\n"] {
        assert_eq!(token(text), TokenFile::Absent, "{text:?}");
    }
    for text in ["hf_A hf_B", "hf_A\nhf_B", "\u{feff}hf_A", "hf_Ä", "hf_A\0"] {
        match token(text) {
            TokenFile::Unreadable(why) => assert!(!why.contains("hf_"), "{why}"),
            other => panic!("{text:?} is {other:?}"),
        }
    }
    assert!(matches!(
        TokenFile::parse(b"hf_\xff"),
        TokenFile::Unreadable(_)
    ));
}

#[test]
fn trouble_names_the_file_and_escapes_it() {
    let path = std::path::Path::new("/h\u{1b}/token");
    let of = |stored: &str, token: &str| {
        let seen = Observation {
            stored: Stored::parse(stored.as_bytes()),
            token: TokenFile::parse(token.as_bytes()),
        };
        seen.trouble(path)
    };
    assert_eq!(of("[n]\n", "hf_A"), None);
    let why = of("rubbish", "two words").unwrap();
    assert!(
        why.starts_with("/h\\u{1b}/stored_tokens: line 1: "),
        "{why}"
    );
    let why = of("", "two words").unwrap();
    assert!(why.starts_with("/h\\u{1b}/token: "), "{why}");
    assert!(!why.contains("two words"), "{why}");
}
