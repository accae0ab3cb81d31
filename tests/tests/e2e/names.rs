//! Names that the format of `stored_tokens`, a terminal or a keychain may stumble over.

use hfd_e2e::hub::Account;
use hfd_e2e::{Outcome, Sandbox, fault};

fn login_as(sandbox: &Sandbox, name: &str) -> Outcome {
    let token = sandbox.token("x");
    sandbox
        .hfd(["login", "--with-token", "--name", name])
        .stdin(&token)
        .end()
}

/// A name must come back the same from the keychain (after a restart), from the file as
/// huggingface_hub reads it, and from hfd's list.
fn round_trips(sandbox: &Sandbox, name: &str) -> Outcome {
    let token = sandbox.token("x");
    let login = sandbox
        .hfd(["login", "--with-token", "--name", name])
        .stdin(&token)
        .end();
    sandbox.hfd(["service", "stop"]).ok();
    sandbox.hfd(["token", name]).ok().prints(&token);
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    let entries = list.as_array().unwrap();
    assert!(
        entries.iter().any(|entry| entry["name"] == name),
        "{name:?} in {list}"
    );
    let read = "
import json, os
from huggingface_hub.utils._auth import get_stored_tokens
print(json.dumps(get_stored_tokens()[os.environ['NAME']]))
";
    let value = sandbox.python(read).env("NAME", name).ok().json();
    assert_eq!(value, token.value.as_str());
    login
}

#[test]
fn empty() {
    let sandbox = Sandbox::new();
    fault!("name empty").answers("login", login_as(&sandbox, ""));
}

#[test]
fn default() {
    let mut fault = fault!("name DEFAULT");
    let sandbox = Sandbox::new();
    fault.answers("login", login_as(&sandbox, "DEFAULT"));
    // From the Hub it is not the person's fault.
    let token = sandbox.token_of(Account::new("DEFAULT", "alice"));
    let login = sandbox.hfd(["login", "--with-token"]).stdin(&token).end();
    fault.answers("login with the Hub's name", login);
    sandbox.hfd(["token"]).ok().prints(&token);
    sandbox
        .python("import huggingface_hub as h; print(h.get_token())")
        .ok()
        .prints(&token);
}

#[test]
fn newline() {
    let mut fault = fault!("name with a newline");
    let sandbox = Sandbox::new();
    fault.answers("login", login_as(&sandbox, "a\n[b]"));
    let token = sandbox.token_of(Account::new("a\n[b]\nhf_token = forged", "alice"));
    let login = sandbox.hfd(["login", "--with-token"]).stdin(&token).end();
    fault.answers("login with the Hub's name", login);
    sandbox.hfd(["token"]).ok().prints(&token);
    let stored = sandbox.stored_tokens().unwrap();
    assert_eq!(
        stored.lines().filter(|line| line.starts_with('[')).count(),
        1,
        "{stored}"
    );
}

#[test]
fn brackets() {
    let mut fault = fault!("name with ]");
    let sandbox = Sandbox::new();
    fault.answers("login", round_trips(&sandbox, "a]b"));
    round_trips(&sandbox, "[x]");
}

#[test]
fn equals() {
    let sandbox = Sandbox::new();
    fault!("name with =").answers("login", round_trips(&sandbox, "a=b"));
}

#[test]
fn percent() {
    let mut fault = fault!("name with %");
    let sandbox = Sandbox::new();
    fault.answers("login", round_trips(&sandbox, "a%b"));
    round_trips(&sandbox, "%(x)s");
}

#[test]
fn escape_sequences() {
    let mut fault = fault!("name with escape sequences");
    let sandbox = Sandbox::new();
    let login = fault.answers("login", round_trips(&sandbox, "a\u{1b}[2Jb"));
    let list = sandbox.hfd(["list"]).ok();
    let status = sandbox.hfd(["status"]).ok();
    let missing = sandbox.hfd(["token", "c\u{1b}[2J"]).exits(10);
    for output in [login, list, status, missing] {
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn emoji() {
    let sandbox = Sandbox::new();
    fault!("name with emoji").answers("login", round_trips(&sandbox, "🤗 work"));
}
