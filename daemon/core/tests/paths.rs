//! Where Hugging Face tools look, compared with Python's posixpath and ntpath, and huggingface_hub's rules.

mod oracle;

use std::collections::BTreeMap;

use hfd_core::home::{Rules, TokenPath, env_token, implicit_disabled};
use oracle::{Random, ask};
use serde::Serialize;
use serde_json::json;

const SCRIPT: &str = include_str!("oracle/paths.py");

/// An environment and the password database.
#[derive(Debug, Serialize)]
struct Case {
    /// The module of Python that has the rules.
    rules: &'static str,
    env: BTreeMap<String, String>,
    /// Home directories; the calling user's under the empty name.
    accounts: BTreeMap<String, String>,
}

const PATHS: &[&str] = &[
    "~",
    "~",
    "~/",
    "~alice",
    "~alice/",
    "~nobody",
    "~~",
    "/",
    "/",
    "//",
    ".",
    "..",
    "a",
    "data",
    "$",
    "$A",
    "$A",
    "${A}",
    "${B}",
    "$HOME",
    "${",
    "}",
    "{",
    "$$",
    "${}",
    "${A",
    "$A_B",
    "$Ab",
    "${no such}",
    "$É",
    "$1",
    "\\",
    " ",
    "é",
    "🤗",
    "\n",
    "token",
    "$B/",
    "${HOME}/x",
    "$UNSET",
];
/// What Windows has beside that.
const WINDOWS: &[&str] = &[
    "C:",
    "c:",
    "D:",
    "C:\\",
    "\\",
    "\\",
    "\\\\",
    "//",
    "\\\\?\\UNC\\",
    "//?/unc/",
    "\\\\.\\",
    "host",
    "share\\",
    "~alice\\",
    "~me\\",
    "%A%",
    "%B%",
    "%",
    "%%",
    "%A_B%",
    "%HOME",
    "'",
    "'",
    "$A-B",
    "$A-",
    "é:",
    "Users\\me",
    "%no such%",
    "-",
];
const TOKENS: &[&str] = &[
    "hf_A", "hf_B", " ", "\n", "\r\n", "\t", "\u{1c}", "\u{85}", "\u{a0}", "\u{feff}", "é",
    "\u{0b}",
];
const TRUTHS: &[&str] = &[
    "1", "ON", "on", "Yes", "TRUE", "tRuE", "yeſ", "0", "", "2", "true ", "y",
];

#[test]
fn paths_tokens_and_switches_are_those_of_huggingface_hub() {
    compare(Rules::Posix, "posixpath");
}

#[test]
fn they_are_on_windows_too() {
    compare(Rules::Windows, "ntpath");
}

fn compare(rules: Rules, module: &'static str) {
    let mut random = Random::new(1988);
    let cases: Vec<Case> = (0..10_000).map(|_| generate(module, &mut random)).collect();
    let answers = ask(SCRIPT, &cases);
    assert_eq!(answers.len(), cases.len());
    for (case, expected) in cases.iter().zip(&answers) {
        let env = |name: &str| case.env.get(name).cloned();
        let account = |name: Option<&str>| case.accounts.get(name.unwrap_or_default()).cloned();
        let path = TokenPath::resolve(rules, env, account);
        let ours = json!({
            "token_path": path.as_path(),
            "stored_tokens": path.stored_tokens(),
            "token": env_token(env).map(|(_, token)| token),
            "implicit_disabled": implicit_disabled(env),
        });
        assert_eq!(&ours, expected, "{case:?}");
    }

    let distinct: std::collections::BTreeSet<_> = answers
        .iter()
        .map(|answer| answer["token_path"].to_string())
        .collect();
    assert!(
        distinct.len() > 5_000,
        "only {} different paths",
        distinct.len()
    );
}

fn generate(rules: &'static str, random: &mut Random) -> Case {
    let mut env = BTreeMap::new();
    let windows = [PATHS, WINDOWS, WINDOWS].concat();
    let paths = match rules {
        "ntpath" => &windows[..],
        _ => PATHS,
    };
    for (name, pieces, length, unset_once_in) in [
        ("HF_HOME", paths, 6, 2),
        ("HF_TOKEN_PATH", paths, 6, 2),
        ("XDG_CACHE_HOME", paths, 6, 2),
        ("HOME", paths, 4, 6),
        ("USERPROFILE", paths, 4, 3),
        ("HOMEPATH", paths, 4, 3),
        ("HOMEDRIVE", paths, 2, 3),
        ("USERNAME", &["me", "alice", "share", "a", "~"], 2, 6),
        ("A", paths, 4, 6),
        ("A-B", paths, 4, 2),
        ("B", paths, 4, 6),
        ("A_B", paths, 4, 2),
        ("no such", paths, 4, 2),
        ("HF_TOKEN", TOKENS, 5, 2),
        ("HUGGING_FACE_HUB_TOKEN", TOKENS, 5, 2),
        ("HF_HUB_DISABLE_IMPLICIT_TOKEN", TRUTHS, 2, 2),
    ] {
        if !random.once_in(unset_once_in) {
            env.insert(name.to_owned(), random.string(pieces, length));
        }
    }
    let mut accounts = BTreeMap::from([("alice".to_owned(), "/home/alice/".to_owned())]);
    if !random.once_in(3) {
        accounts.insert(
            String::new(),
            random.pick(&["/home/me", "/", "", "/root//"]).to_owned(),
        );
    }
    Case {
        rules,
        env,
        accounts,
    }
}
