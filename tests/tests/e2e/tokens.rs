//! Values that are no tokens, and tokens that are like others.

use hfd_e2e::hub::Account;
use hfd_e2e::{Outcome, Sandbox, Token, fault};

fn login(sandbox: &Sandbox, token: impl AsRef<[u8]>) -> Outcome {
    sandbox.hfd(["login", "--with-token"]).stdin(token).end()
}

/// Nothing of a refused value is kept, and the Hub has not heard of it.
fn assert_untouched(sandbox: &Sandbox) {
    assert_eq!(sandbox.hub().seen(), []);
    assert_eq!(sandbox.token_file(), None);
    assert_eq!(sandbox.stored_tokens(), None);
}

#[test]
fn empty() {
    let mut fault = fault!("token empty");
    let sandbox = Sandbox::new();
    fault.answers("login", login(&sandbox, ""));
    fault.answers("login of a newline", login(&sandbox, "\n"));
    assert_untouched(&sandbox);
}

#[test]
fn with_a_space() {
    let mut fault = fault!("token with spaces");
    let sandbox = Sandbox::new();
    let (a, b) = (sandbox.unknown_token("a"), sandbox.unknown_token("b"));
    let inside = format!("{} {}", a.value, b.value);
    fault.answers("login", login(&sandbox, inside));
    assert_untouched(&sandbox);
    let work = sandbox.token("work");
    let around = login(&sandbox, format!("  {} \n", work.value));
    fault.answers("login with spaces around", around);
    sandbox.hfd(["token"]).ok().prints(&work);
}

#[test]
fn with_a_newline() {
    let mut fault = fault!("token with a newline inside");
    let sandbox = Sandbox::new();
    let (a, b) = (sandbox.unknown_token("a"), sandbox.unknown_token("b"));
    fault.answers(
        "login",
        login(&sandbox, format!("{}\n{}", a.value, b.value)),
    );
    assert_untouched(&sandbox);
}

#[test]
fn with_control_characters() {
    let mut fault = fault!("token with control characters");
    let sandbox = Sandbox::new();
    let a = sandbox.unknown_token("a");
    let refused = login(&sandbox, format!("{}\u{1b}[31m", a.value));
    let refused = fault.answers("login", refused);
    assert!(!refused.stderr.contains('\u{1b}'), "{refused:?}");
    fault.answers("login of a NUL", login(&sandbox, format!("{}\0", a.value)));
    fault.answers("login of no UTF-8", login(&sandbox, b"hf_\xff\xfe"));
    assert_untouched(&sandbox);
}

#[test]
fn of_ten_thousand_characters() {
    let mut fault = fault!("token of 10000 characters");
    let sandbox = Sandbox::new();
    let long = Token {
        name: "long".to_owned(),
        value: format!("hf_{}", "abcdefghi_".repeat(1000)),
    };
    sandbox
        .hub()
        .add(&long.value, Account::new("long", "alice"));
    fault.answers("login", login(&sandbox, &long));
    sandbox.hfd(["service", "restart"]).ok();
    fault
        .answers("token", sandbox.hfd(["token"]).end())
        .prints(&long);
    let longer = "x".repeat(20_000);
    fault.answers("login of 20000", login(&sandbox, longer));
}

#[test]
fn two_of_one_name() {
    let mut fault = fault!("two tokens of one name");
    let sandbox = Sandbox::new();
    let first = sandbox.logged_in("read");
    let rotated = sandbox.token("read");
    let again = fault.answers("login of the same user", login(&sandbox, &rotated));
    again.shows("in place of");
    sandbox.hfd(["token", "read"]).ok().prints(&rotated);
    let other = sandbox.token_of(Account::new("read", "bob"));
    fault
        .answers("login of another user", login(&sandbox, &other))
        .shows("read-bob");
    sandbox.hfd(["token", "read"]).ok().prints(&rotated);
    sandbox.hfd(["token", "read-bob"]).ok().prints(&other);
    let items = sandbox.items();
    assert!(
        items.stdout.contains(&first.value),
        "the replaced value can be brought back: {items}"
    );
    sandbox.hfd(["restore", "read"]).ok();
    sandbox.hfd(["token", "read"]).ok().prints(&first);
}

#[test]
fn one_under_two_names() {
    let mut fault = fault!("one token under two names");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let named = sandbox
        .hfd(["login", "--with-token", "--name", "office"])
        .stdin(&work)
        .end();
    fault.answers("login", named);
    for name in ["work", "office"] {
        sandbox.hfd(["token", name]).ok().prints(&work);
    }
    sandbox
        .hf(["auth", "list"])
        .ok()
        .shows("* work")
        .shows("* office");
    let logout = sandbox.hfd(["logout", "office"]).end();
    fault.answers("logout of one", logout);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    sandbox
        .hf(["auth", "list"])
        .ok()
        .shows("work")
        .hides("office");
}

#[test]
fn of_an_organisation() {
    let mut fault = fault!("token of an organisation (api_org_)");
    let sandbox = Sandbox::new();
    let refused = login(&sandbox, "api_org_abcdefghijklmnopqrstuvwxyzabcdefgh");
    fault.answers("login", refused);
    assert_untouched(&sandbox);
}
