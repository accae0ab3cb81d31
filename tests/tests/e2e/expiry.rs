//! What ends, and when, wherever a person looks.

use hfd_e2e::Sandbox;
use hfd_e2e::hub::{Account, Failure};

use crate::login::exec;

/// What the Hub says of a token of alice's that ends at this moment (RFC 3339).
fn ends(name: &str, at: &str) -> Failure {
    let whoami = serde_json::json!({
        "type": "user", "name": "alice", "orgs": [],
        "auth": { "type": "access_token", "expiresAt": at,
            "accessToken": { "displayName": name, "role": "write" } },
    });
    Failure::Body(whoami.to_string())
}

#[test]
fn an_end_is_told_and_warned_of() {
    let sandbox = Sandbox::new();
    let old = sandbox.token_of(Account::new("old", "alice"));
    sandbox.hub().fail(ends("old", "2020-01-01T00:00:00Z"));
    sandbox.hfd(["login", "--with-token"]).stdin(&old).ok();
    let ended = "`old` ended ";
    sandbox
        .hfd(["list"])
        .ok()
        .shows("ended ")
        .shows(" days ago");
    sandbox
        .hfd(["status"])
        .ok()
        .shows("expires   ended")
        .shows("attention `old` ended ");
    sandbox
        .hfd(["whoami"])
        .ok()
        .shows("(2020-01-01")
        .notes(ended);
    sandbox.hfd(["switch", "old"]).ok().notes(ended);
    sandbox
        .hfd(exec(&[], sandbox.ends_with(0)))
        .ok()
        .notes(ended);
    sandbox
        .hfd(exec(&["--live"], sandbox.ends_with(0)))
        .ok()
        .notes(ended);
    let token = sandbox.hfd(["token"]).ok().prints(&old);
    assert_eq!(token.stderr, "");
    for command in ["whoami", "status"] {
        let told = sandbox.hfd([command, "--json"]).ok();
        assert_eq!(told.stderr, "");
        assert_eq!(told.json()["expires_at"], 1_577_836_800);
        assert_eq!(told.json()["renews"], false);
    }
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    assert_eq!(list[0]["expires_at"], 1_577_836_800);

    let late = sandbox.token_of(Account::new("late", "alice"));
    sandbox.hub().fail(ends("late", "2999-01-01T00:00:00Z"));
    sandbox.hfd(["login", "--with-token"]).stdin(&late).ok();
    for command in ["status", "whoami"] {
        let told = sandbox.hfd([command]).ok().shows("expires   in ");
        assert_eq!(told.stderr, "", "no warning");
    }
}
