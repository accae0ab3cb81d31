use proptest::prelude::*;

use super::*;

/// What two logins with huggingface_hub 2.4.0 leave behind, byte for byte.
const TWO_LOGINS: &str = "[my token]\nhf_token = hf_AAA\n\n\
    [oauth-alice]\nhf_token = hf_oauth_XYZ\nrefresh_token = rt_1\nexpires_at = 1798044463\n\n";

fn entries(document: &Document) -> Vec<(String, Vec<(String, String)>)> {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    document
        .sections()
        .map(|(name, keys)| (name.to_owned(), keys.map(owned).collect()))
        .collect()
}

fn written(document: &Document) -> String {
    String::from_utf8(document.to_bytes().to_vec()).unwrap()
}

#[test]
fn the_bytes_are_those_of_huggingface_hub_in_whatever_order_it_was_filled() {
    let mut document = Document::new();
    for (section, key, value) in [
        ("oauth-alice", "expires_at", "1798044463"),
        ("oauth-alice", "refresh_token", "rt_1"),
        ("my token", "hf_token", "hf_AAA"),
        ("oauth-alice", "hf_token", "hf_oauth_XYZ"),
    ] {
        document.set(section, key, value).unwrap();
    }
    assert_eq!(written(&document), TWO_LOGINS);
    assert_eq!(
        written(&Document::parse(TWO_LOGINS.as_bytes()).unwrap()),
        TWO_LOGINS
    );
    assert_eq!(
        written(&Document::new()),
        "",
        "a file that logout emptied has no bytes"
    );
}

#[test]
fn sections_keep_the_order_of_the_file() {
    let document = Document::parse(b"[b]\nk = 1\n[a]\nz = 2\ny = 3\n").unwrap();
    let order: Vec<_> = document.sections().map(|(name, _)| name).collect();
    assert_eq!(order, ["b", "a"]);
    assert_eq!(document.get("a", "y"), Some("3"));
    assert_eq!(document.get("a", "k"), None);
    assert_eq!((document.len(), document.is_empty()), (2, false));
}

#[test]
fn a_value_that_is_set_again_replaces_the_first_in_its_place() {
    let mut document = Document::parse(b"[a]\nk = 1\nl = 2\n").unwrap();
    document.set("a", "k", "a longer value").unwrap();
    assert_eq!(written(&document), "[a]\nk = a longer value\nl = 2\n\n");
}

#[test]
fn an_error_names_the_line_and_quotes_nothing() {
    for (content, line, reason) in [
        (&b"[a]\nk = v\n\xff hf_secret"[..], 3, Reason::NotUtf8),
        (b"\n{\"a\": \"hf_secret\"}", 2, Reason::OutsideSection),
        (b"\xef\xbb\xbf[hf_secret]", 1, Reason::OutsideSection),
        (b"[a]\r\n\r\n[a]\r\nhf_secret", 3, Reason::DuplicateSection),
        (
            b"[a]\rk = hf_secret\rK = hf_secret",
            3,
            Reason::DuplicateKey,
        ),
        (b"[a]\n# c\nhf_secret", 3, Reason::NoDelimiter),
        (b"[a]\n\n = hf_secret", 3, Reason::EmptyKey),
    ] {
        let malformed = Document::parse(content).unwrap_err();
        assert_eq!(malformed, Malformed { line, reason });
        assert!(!format!("{malformed} {malformed:?}").contains("secret"));
    }
}

#[test]
fn defaults_cannot_swell_a_small_file_without_bounds() {
    let mut file = format!("[DEFAULT]\nk = {}\n", "v".repeat(100_000));
    for number in 0..1_000 {
        file += &format!("[{number}]\n");
    }
    let malformed = Document::parse(file.as_bytes()).unwrap_err();
    assert_eq!(malformed.reason, Reason::TooLarge);
}

#[test]
fn nothing_can_be_set_that_would_become_a_line_of_its_own() {
    let mut document = Document::new();
    for (section, key, value, why) in [
        ("", "k", "v", Unwritable::Section),
        ("DEFAULT", "k", "v", Unwritable::Section),
        ("a]\n[b", "k", "v", Unwritable::Section),
        ("a]\r[b", "k", "v", Unwritable::Section),
        ("a", "", "v", Unwritable::Key),
        ("a", "K", "v", Unwritable::Key),
        ("a", "k = v\nl", "v", Unwritable::Key),
        ("a", "k:l", "v", Unwritable::Key),
        ("a", " k", "v", Unwritable::Key),
        ("a", "#k", "v", Unwritable::Key),
        ("a", "[k]", "v", Unwritable::Value),
        ("a", "[k", "v]", Unwritable::Value),
        ("a", "k", " v", Unwritable::Value),
        ("a", "k", "v\n", Unwritable::Value),
        ("a", "k", "v\n#w", Unwritable::Value),
        ("a", "k", "v\r[b]", Unwritable::Value),
    ] {
        assert_eq!(
            document.set(section, key, value),
            Err(why),
            "{section:?} {key:?} {value:?}"
        );
    }
    assert!(document.is_empty());
    document.set("a", "k", "v\n[b]\n\nl = w").unwrap();
    assert_eq!(written(&document), "[a]\nk = v\n\t[b]\n\t\n\tl = w\n\n");
}

#[test]
fn debug_shows_no_value() {
    let document = Document::parse(TWO_LOGINS.as_bytes()).unwrap();
    assert_eq!(format!("{document:?}"), "Document(2 sections)");
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        triples in prop::collection::vec((".{1,12}", "[a-z_\\[\\]é ]{1,6}", "(?s).{0,20}"), 0..12),
    ) {
        let mut document = Document::new();
        for (section, key, value) in &triples {
            let _refused = document.set(section, key, value);
        }
        let bytes = document.to_bytes();
        let back = Document::parse(&bytes).unwrap();
        prop_assert_eq!(back.to_bytes(), bytes);
        let mut expected = entries(&document);
        expected.sort();
        prop_assert_eq!(entries(&back), expected);
    }

    #[test]
    fn a_document_that_was_read_can_be_written(content in "(?s)(\\[a\\]\n)?([ \\[\\]=:#\n\ta-c\u{85}]|.){0,60}") {
        if let Ok(document) = Document::parse(content.as_bytes()) {
            let mut copy = Document::new();
            for (section, keys) in document.sections() {
                for (key, value) in keys {
                    prop_assert_eq!(copy.set(section, key, value), Ok(()));
                }
            }
            let mut expected = entries(&document);
            expected.sort();
            let back = Document::parse(&document.to_bytes()).unwrap();
            prop_assert_eq!(entries(&back), expected);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(content: Vec<u8>) {
        let _outcome = Document::parse(&content);
    }
}
