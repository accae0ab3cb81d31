//! What hfd writes and reads on Windows, compared with what huggingface_hub does there: with bytes that
//! six versions' own functions wrote under the rules of Windows (`oracle/windows.py`).

// clippy allows unwrap in tests, but not in what they are built of.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // shared with what compares generated input
mod oracle;

use std::collections::BTreeMap;

use hfd_core::home::{Rules, TokenPath};
use hfd_core::ini::Document;
use hfd_core::observe::{Stored, TokenFile};
use hfd_core::text::{Encoding, text_mode_of_windows};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

const RECORDED: &str = include_str!("oracle/windows.jsonl");

/// Sections with their keys, as huggingface_hub has them in memory.
type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Some logins by one version.
#[derive(Debug, Deserialize)]
struct Logins {
    version: String,
    /// What `stored_tokens` held before.
    before: Option<String>,
    /// All that were made.
    saved: Sections,
    /// The login after these raised it.
    error: Option<String>,
    /// The bytes of both files.
    stored_tokens: String,
    token: Option<String>,
    /// What `stored_tokens` says in the machine's code page, where it is no UTF-8.
    text: Option<String>,
    /// What the version reads from the files.
    read: Sections,
    active: Option<String>,
}

/// What one version makes of an environment.
#[derive(Debug, Deserialize)]
struct Paths {
    env: BTreeMap<String, String>,
    hf_token_path: String,
    hf_stored_tokens_path: String,
}

fn lines() -> impl Iterator<Item = Value> {
    RECORDED
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

fn logins() -> Vec<Logins> {
    let cases = lines().filter(|line| line["saved"].is_object());
    cases
        .map(|line| serde_json::from_value(line).unwrap())
        .collect()
}

fn bytes(characters: &str) -> Vec<u8> {
    characters
        .chars()
        .map(|byte| u8::try_from(u32::from(byte)).unwrap())
        .collect()
}

/// What the recorded bytes say in the code page that they were written in.
fn in_the_code_page(content: &[u8]) -> Option<Zeroizing<String>> {
    let case = logins()
        .into_iter()
        .find(|case| bytes(&case.stored_tokens) == content)?;
    case.text.map(Zeroizing::new)
}

/// The versions are installed on the system that builds; what they say there is tested everywhere.
#[cfg(unix)]
#[test]
fn huggingface_hub_still_does_what_was_recorded() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests compare with Python; the crate stays pure"
    )]
    let (venvs, ask) = (
        std::env::var_os("HFD_TEST_VENVS")
            .expect("HFD_TEST_VENVS lists no virtual environments: run the tests by `tests/run`"),
        |venv: &std::path::Path| {
            std::process::Command::new(venv.join("bin/python"))
                .args(["-I", "-X", "utf8=0", "-c"])
                .arg(include_str!("oracle/windows.py"))
                .output()
                .unwrap()
        },
    );
    let mut asked = Vec::new();
    for venv in std::env::split_paths(&venvs) {
        let output = ask(&venv);
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{venv:?}: {problem}");
        let said = String::from_utf8(output.stdout).unwrap();
        asked.extend(
            said.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    let recorded: Vec<_> = lines().collect();
    assert_eq!(asked.len(), recorded.len());
    for (said, recorded) in asked.iter().zip(&recorded) {
        assert_eq!(said, recorded);
    }
}

/// The daemon's decoder is compared with these where there is Windows.
#[cfg(unix)]
#[test]
fn python_still_has_the_code_pages_that_were_recorded() {
    let recorded: Vec<Value> =
        serde_json::from_str(include_str!("oracle/code_pages.json")).unwrap();
    let names = ["cp874", "cp1250", "cp1251", "cp1252", "cp1253"];
    let names = [
        &names[..],
        &["cp1254", "cp1255", "cp1256", "cp1257", "cp1258"],
    ]
    .concat();
    assert_eq!(
        oracle::ask(include_str!("oracle/code_pages.py"), &names),
        recorded
    );
}

#[test]
fn what_is_written_is_what_huggingface_hub_writes_byte_for_byte() {
    let mut compared = 0;
    for case in logins().iter().filter(|case| case.before.is_none()) {
        if case.error.is_some() {
            // A login that raised has cut the file short.
            continue;
        }
        let mut document = Document::new();
        for (name, fields) in &case.saved {
            for (key, value) in fields {
                document.set(name, key, value).unwrap();
            }
        }
        let ours = text_mode_of_windows(&document.to_bytes());
        // Versions before 2.1.1 wrote the same text in the code page.
        let theirs = match &case.text {
            Some(text) => text.as_bytes().to_vec(),
            None => bytes(&case.stored_tokens),
        };
        assert_eq!(ours.as_slice(), theirs, "{case:?}");
        let token = case.token.as_deref().unwrap();
        let active = case.active.as_deref().unwrap();
        assert_eq!(*text_mode_of_windows(active.as_bytes()), bytes(token));
        compared += 1;
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn what_is_read_is_what_huggingface_hub_reads_there() {
    let (mut in_code_pages, mut in_utf8) = (0, 0);
    for case in logins() {
        let content = bytes(&case.stored_tokens);
        let read = Stored::parse_as(&content, Encoding::Utf8OrLocal(in_the_code_page));
        let Stored::Sections(sections) = read else {
            panic!("{read:?} of {case:?}");
        };
        let ours: Sections = sections
            .iter()
            .map(|section| {
                assert!(section.others.is_empty(), "{section:?}");
                let (_, access) = section.usable().unwrap();
                let refresh = section.refresh.as_ref();
                let fields = [
                    ("hf_token", Some(access.expose().to_owned())),
                    ("refresh_token", refresh.map(|it| it.expose().to_owned())),
                    ("expires_at", section.expires_at.map(|it| it.to_string())),
                ];
                let there = fields
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_owned(), value?)));
                (section.name.clone(), there.collect())
            })
            .collect();
        match case.text {
            Some(_) => in_code_pages += 1,
            None => in_utf8 += 1,
        }
        if case.before.is_some() {
            // In the code page these bytes are other names, and written in it they are these bytes
            // again: what hfd wrote comes back as it was, whatever an older version took it for.
            assert!(ours.contains_key("café"), "{case:?}");
            assert_eq!(ours.len(), case.read.len());
        } else {
            assert_eq!(ours, case.read, "{case:?}");
        }
        let active = match case.token.map(|token| TokenFile::parse(&bytes(&token))) {
            Some(TokenFile::Value(secret)) => Some(secret.expose().to_owned()),
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(active, case.active);
    }
    assert!(
        in_code_pages > 20 && in_utf8 > 30,
        "{in_code_pages} {in_utf8}"
    );
}

#[test]
fn what_means_nothing_in_the_code_page_either_is_unreadable() {
    for case in logins().iter().filter(|case| case.text.is_some()) {
        let content = bytes(&case.stored_tokens);
        for encoding in [Encoding::Utf8, Encoding::Utf8OrLocal(|_| None)] {
            let read = Stored::parse_as(&content, encoding);
            assert!(matches!(read, Stored::Unreadable(_)), "{}", case.version);
        }
    }
}

#[test]
fn the_files_are_where_huggingface_hub_looks_there() {
    let cases = lines().filter(|line| line["env"].is_object());
    let cases: Vec<Paths> = cases
        .map(|line| serde_json::from_value(line).unwrap())
        .collect();
    assert!(cases.len() > 50);
    for case in cases {
        // Names of variables have no case on Windows.
        let env = |name: &str| case.env.get(&name.to_uppercase()).cloned();
        let path = TokenPath::resolve(Rules::Windows, env, |_| None);
        let ours =
            [path.as_path(), &path.stored_tokens()].map(|path| path.to_str().unwrap().to_owned());
        let theirs = [
            case.hf_token_path.clone(),
            case.hf_stored_tokens_path.clone(),
        ];
        assert_eq!(ours, theirs, "{case:?}");
    }
}
