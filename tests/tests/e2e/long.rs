//! Tokens of 8 KiB, through everything that a token goes through.

use hfd_e2e::{Sandbox, Token};

use crate::import::as_here;
use crate::login::exec;

/// What the real client does, with a token that comes on stdin.
const LOGIN: &str = "
import sys
from huggingface_hub import login
login(token=sys.stdin.read())";

/// What the real client sees: the active token, and those that are stored, by name.
const LOOK: &str = "
import json
from huggingface_hub.utils import get_token
from huggingface_hub.utils._auth import get_stored_tokens
print(json.dumps({'active': get_token(), 'stored': get_stored_tokens()}))";

/// What it makes of the file when it reads and writes it once.
const REWRITE: &str = "
from huggingface_hub.utils import _auth
_auth._save_stored_tokens_full(_auth._read_stored_tokens_full())";

fn login(sandbox: &Sandbox, token: &Token, args: &[&str]) {
    let args = [&["login", "--with-token"], args].concat();
    sandbox.hfd(args).stdin(token).ok();
}

#[test]
fn from_a_login_to_the_real_client() {
    let sandbox = Sandbox::new();
    sandbox.hfd(["list"]).ok();
    let events = sandbox.watch();
    let work = sandbox.long_token("work");
    assert_eq!(work.value.len(), 8192);
    login(&sandbox, &work, &[]);
    let told = events.wait_for(&["login"]);
    assert!(!format!("{told:?}").contains(&work.value[20..60]));
    sandbox.hfd(["list"]).ok().shows(&work.masked());
    sandbox.hfd(["whoami"]).ok().shows("alice");
    // The first from memory, the second from the keychain.
    sandbox.hfd(["token"]).ok().prints(&work);
    sandbox.hfd(["service", "restart"]).ok();
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    let seen = sandbox.python(LOOK).ok().json();
    assert_eq!(seen["active"], work.value);
    assert_eq!(seen["stored"]["work"], work.value);
    let written = sandbox.stored_tokens().unwrap();
    sandbox.python(REWRITE).ok();
    assert_eq!(sandbox.stored_tokens().unwrap(), as_here(&written));
    sandbox.hfd(["rename", "work", "job"]).ok();
    sandbox.hfd(["logout", "job"]).ok();
    sandbox.hfd(["restore", "job"]).ok();
    sandbox.hfd(["switch", "job"]).ok();
    assert_eq!(
        sandbox.python(LOOK).ok().json()["stored"]["job"],
        work.value
    );
}

#[test]
fn from_the_real_client_to_the_keychain() {
    let sandbox = Sandbox::new();
    let home = sandbox.logged_in("home");
    let away = sandbox.long_token("away");
    sandbox.python(LOGIN).stdin(&away).ok();
    sandbox.hfd(["token"]).ok().prints(&away);
    sandbox.hfd(["sync"]).ok();
    sandbox.hfd(["token", "away"]).ok().prints(&away);
    let items = sandbox.items();
    assert!(items.stdout.contains(&away.value) && items.stdout.contains(&home.value));
}

#[test]
fn with_a_refresh_token_as_long() {
    let sandbox = Sandbox::new();
    let (access, refresh) = (sandbox.long_token("access"), sandbox.long_token("refresh"));
    let section = format!(
        "[oauth-alice]\nhf_token = {}\nrefresh_token = {}\nexpires_at = 4102444800\n\n",
        access.value, refresh.value
    );
    sandbox.write_hf_file("stored_tokens", &section);
    sandbox.write_hf_file("token", &access);
    sandbox.hfd(["sync"]).ok();
    sandbox.hfd(["token", "oauth-alice"]).ok().prints(&access);
    let items = sandbox.items();
    assert!(items.stdout.contains(&access.value) && items.stdout.contains(&refresh.value));
    sandbox.hfd(["logout", "oauth-alice"]).ok();
    sandbox.hfd(["restore", "oauth-alice"]).ok();
    sandbox.hfd(["token", "oauth-alice"]).ok().prints(&access);
}

#[test]
fn for_a_program() {
    let sandbox = Sandbox::new();
    let work = sandbox.long_token("work");
    login(&sandbox, &work, &[]);
    let print = exec(&[], sandbox.prints(&["HF_TOKEN"]));
    sandbox.hfd(print).ok().prints(&work);
    let print = exec(&["--live"], sandbox.prints_file("HF_TOKEN_PATH"));
    sandbox.hfd(print).ok().prints(&work);
}

#[test]
fn more_than_the_memory_for_them_holds() {
    let sandbox = Sandbox::new();
    sandbox.configure("store = \"file\"\n");
    // Of 64 KiB, each takes 8.
    let names: Vec<String> = (0..12).map(|number| format!("token-{number}")).collect();
    let tokens: Vec<Token> = names.iter().map(|name| sandbox.long_token(name)).collect();
    for token in &tokens {
        login(&sandbox, token, &["--no-switch"]);
    }
    for token in tokens.iter().chain(&tokens) {
        sandbox.hfd(["token", &token.name]).ok().prints(token);
    }
    let listed = sandbox.hfd(["list"]).ok();
    for token in &tokens {
        assert!(listed.stdout.contains(&token.masked()), "{listed}");
    }
}
