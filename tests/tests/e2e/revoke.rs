//! `hfd logout --revoke`: a token ends everywhere, or stays.

use hfd_e2e::hub::Failure;
use hfd_e2e::{Sandbox, Token};

/// Whether the Hub still knows a token.
fn is_valid(sandbox: &Sandbox, token: &Token) -> bool {
    let whoami = sandbox.hfd(["whoami"]).env("HF_TOKEN", token).end();
    assert!([0, 14].contains(&whoami.status), "{whoami}");
    whoami.status == 0
}

#[test]
fn a_token_ends_everywhere_and_nothing_is_kept() {
    let sandbox = Sandbox::new();
    let old = sandbox.logged_in("work");
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    // Nobody is there to be asked.
    sandbox
        .hfd(["logout", "work", "--revoke"])
        .exits(2)
        .notes("add --yes");
    assert!(is_valid(&sandbox, &work));
    sandbox
        .hfd(["logout", "work", "--revoke", "--yes"])
        .ok()
        .prints("Revoked and removed `work`.");
    assert!(!is_valid(&sandbox, &work));
    assert!(is_valid(&sandbox, &play) && is_valid(&sandbox, &old));
    sandbox.hfd(["token", "work"]).exits(10);
    sandbox.hfd(["restore", "work"]).exits(10);
    assert_eq!(sandbox.token_file(), Some(play.value.clone()));
    sandbox
        .hfd(["logout", "nothing", "--revoke", "--yes"])
        .exits(10);
    sandbox
        .hfd(["logout", "--revoke", "--yes", "--json"])
        .ok()
        .prints(r#"{"removed":["play"],"was_active":true,"pending":[]}"#);
    assert!(!is_valid(&sandbox, &play));
    sandbox.hfd(["logout", "--revoke", "--yes"]).exits(4);
}

#[test]
fn all_of_them() {
    let sandbox = Sandbox::new();
    let tokens = ["a", "b", "c"].map(|name| sandbox.logged_in(name));
    sandbox.hfd(["logout", "--all", "--revoke", "--yes"]).ok();
    assert!(tokens.iter().all(|token| !is_valid(&sandbox, token)));
    sandbox.hfd(["list", "--json"]).ok().prints("[]");
}

#[test]
fn what_the_hub_does_not_revoke_is_not_removed() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    for (failure, status) in [(503, 17), (404, 14)] {
        sandbox.hub().fail(Failure::Status(failure));
        sandbox
            .hfd(["logout", "work", "--revoke", "--yes"])
            .exits(status)
            .prints_nothing();
        sandbox.hub().fail(None);
        sandbox.hfd(["token", "work"]).ok().prints(&work);
        assert!(is_valid(&sandbox, &work));
    }
    sandbox.hfd(["lock"]).ok();
    sandbox
        .hfd(["logout", "work", "--revoke", "--yes"])
        .exits(11);
    assert!(is_valid(&sandbox, &work));
}
