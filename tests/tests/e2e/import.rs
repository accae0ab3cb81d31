//! What was there before hfd came.

use hfd_e2e::Sandbox;
use hfd_e2e::hub::Account;

/// What huggingface_hub itself makes of the file when it reads and writes it once.
const REWRITE: &str = "
from huggingface_hub.utils import _auth
_auth._save_stored_tokens_full(_auth._read_stored_tokens_full())
";

/// What hfd wrote, with the ends of lines that Python has here: on Windows it has others, which
/// `daemon/core/tests/windows` compares.
pub(crate) fn as_here(written: &str) -> String {
    written.replace("\r\n", "\n")
}

#[test]
fn tokens_of_the_hugging_face_client_are_in_the_keychain_afterwards() {
    let sandbox = Sandbox::new();
    let tokens: Vec<_> = ["b", "a"].map(|name| sandbox.token(name)).into();
    for token in &tokens {
        sandbox.hf(["auth", "login", "--token", &token.value]).ok();
    }
    sandbox.hfd(["token"]).ok().prints(&tokens[1]);
    // The first command has what lies there taken up; this one waits for it.
    sandbox.hfd(["sync"]).ok();
    for token in &tokens {
        sandbox.hfd(["token", &token.name]).ok().prints(token);
        let stored = sandbox.items();
        assert_eq!(stored.stdout.matches(&token.value).count(), 1, "{stored}");
    }
    sandbox.logged_in("c");
    let written = sandbox.stored_tokens().unwrap();
    sandbox.python(REWRITE).ok();
    assert_eq!(
        sandbox.stored_tokens().unwrap(),
        as_here(&written),
        "hfd writes what huggingface_hub writes"
    );
}

#[test]
fn a_token_that_a_tool_has_just_added_is_found_by_its_name() {
    let sandbox = Sandbox::new();
    for name in ["first", "second"] {
        let token = sandbox.token(name);
        sandbox.hf(["auth", "login", "--token", &token.value]).ok();
        // No daemon runs yet, or it has not seen the file.
        sandbox.hfd(["token", name]).ok().prints(&token);
    }
    sandbox.hfd(["token", "third"]).exits(10);
}

#[test]
fn refresh_tokens_expiry_and_a_bare_token_are_imported_too() {
    let sandbox = Sandbox::new();
    let oauth = sandbox.token_of(Account::oauth("alice"));
    let refresh = sandbox.unknown_token("refresh");
    let bare = sandbox.token("bare");
    let file = format!(
        "[oauth-alice]\nhf_token = {}\nrefresh_token = {}\nexpires_at = 4102444800\n\n",
        oauth.value, refresh.value
    );
    sandbox.write_hf_file("stored_tokens", &file);
    sandbox.write_hf_file("token", &bare);
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    assert_eq!(list[0]["name"], "oauth-alice");
    assert_eq!(list[0]["expires_at"], 4_102_444_800_u64);
    assert!(
        list[1]["name"].as_str().unwrap().starts_with("unnamed-"),
        "{list}"
    );
    assert_eq!(list[1]["active"], true);
    sandbox.hfd(["token"]).ok().prints(&bare);
    assert_eq!(
        sandbox.stored_tokens().as_deref(),
        Some(file.as_str()),
        "left as it is"
    );
    let items = sandbox.items();
    for token in [&oauth, &refresh, &bare] {
        assert_eq!(items.stdout.matches(&token.value).count(), 1, "{items}");
    }
}

#[test]
fn a_file_that_does_not_parse_is_left_as_it_is() {
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    let broken = format!("[work]\nhf_token = {}\n[work]\n", work.value);
    sandbox.write_hf_file("stored_tokens", &broken);
    sandbox.hfd(["sync"]).end();
    let status = sandbox.hfd(["status", "--json"]).ok().json();
    assert_eq!(status["mirrors"][0]["state"], "unreadable", "{status}");
    assert_eq!(sandbox.stored_tokens().as_deref(), Some(broken.as_str()));
}

#[test]
fn an_edit_by_another_tool_is_followed_at_the_next_lookup() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    sandbox.hf(["auth", "switch", "--token-name", "work"]).ok();
    sandbox.hfd(["token"]).ok().prints(&work);
    let new = sandbox.token("new");
    sandbox.hf(["auth", "login", "--token", &new.value]).ok();
    sandbox.hfd(["token"]).ok().prints(&new);
    sandbox.hfd(["sync"]).ok();
    sandbox.hfd(["token", "new"]).ok().prints(&new);
    sandbox.hfd(["token", "play"]).ok().prints(&play);
}
