//! Where the refresh token is: in the keychain alone while hfd is a service, and in the file again
//! afterwards.

use std::fs;

use hfd_e2e::canary::{Leak, Search};
use hfd_e2e::{Sandbox, Token, eventually};

use super::service;
use crate::browser;
use crate::parts::oauth_upstream::{GET_TOKEN, NEARLY_OVER, stored};

/// Where a refresh token is found outside of the keychain: in any file of the session, in the log, in
/// the arguments and the environment of any of its processes.
fn found(sandbox: &Sandbox) -> Vec<Leak> {
    let issued = sandbox.hub().issued();
    let is_refresh = |token: &&Token| token.name == "a refresh token";
    let refreshes: Vec<&Token> = issued.iter().filter(is_refresh).collect();
    assert!(!refreshes.is_empty());
    let search = Search::new(refreshes);
    let keyrings = sandbox.home().join(".local/share/keyrings");
    let tree = search.tree(sandbox.root(), &|path| path == keyrings);
    let mut leaks = tree.unwrap();
    let journal = ["--quiet", "--output=cat", "--user-unit=hfd.service"];
    let journal = sandbox.program("journalctl", journal).ok().stdout;
    leaks.extend(search.bytes("the journal", journal.as_bytes()));
    for process in sandbox.processes() {
        for what in ["cmdline", "environ"] {
            let place = format!("/proc/{}/{what}", process.pid);
            match fs::read(&place) {
                Ok(bytes) => leaks.extend(search.bytes(&place, &bytes)),
                // It lets nobody look; the manager that gave it its environment does.
                Err(_) if ["hfdd", "hfd"].contains(&process.program()) => {}
                Err(error) => panic!("{place} of {process:?}: {error}"),
            }
        }
    }
    leaks
}

#[test]
fn the_refresh_token_is_in_the_keychain_alone_and_is_handed_back() {
    let sandbox = browser::sandbox();
    sandbox.configure(&browser::your_hub(&sandbox));
    sandbox.user_manager().start();
    browser::log_in(&sandbox);
    assert!(
        !found(&sandbox).is_empty(),
        "nobody but hfd's own daemon runs: it is shared"
    );
    let _manager = service::install(&sandbox);
    // A renewal and a program in between: there is a second one now.
    sandbox.hfd(["refresh"]).ok();
    let mut live = sandbox
        .hfd([
            "exec",
            "--live",
            "--",
            "sh",
            "-c",
            "echo ready; exec sleep 60",
        ])
        .spawn();
    assert_eq!(live.line(), "ready");
    let program = sandbox.hfd(["exec", "--", "sleep", "60"]).spawn();
    eventually("it has taken hfd's place", || {
        sandbox
            .processes()
            .iter()
            .any(|p| p.pid == program.pid() && p.program() == "sleep")
    });
    assert_eq!(found(&sandbox), []);
    let grant = &sandbox.hub().grants()[0];
    assert_eq!(grant.generation, 2);
    assert_eq!(sandbox.token_file().as_ref(), Some(&grant.access));
    let keychain = sandbox.secret_tool(["search", "--all", "service", "hfd"]);
    keychain.ok().shows(&grant.refresh);
    live.terminate();
    program.terminate();

    sandbox.hfd(["service", "uninstall"]).ok();
    eventually("the daemon has ended", || sandbox.daemons().is_empty());
    assert_eq!(stored(&sandbox, "refresh_token"), grant.refresh);
    // Without hfd, huggingface_hub goes on alone.
    sandbox.python(NEARLY_OVER).ok();
    let printed = sandbox.python(GET_TOKEN).ok();
    let grant = &sandbox.hub().grants()[0];
    assert_eq!((grant.generation, &grant.uses[..]), (3, &[1, 1, 0][..]));
    printed.prints(&grant.access);
    assert!(sandbox.daemons().is_empty(), "and hfd had no part in it");
    sandbox.hfd(["token"]).ok().prints(&grant.access);
    sandbox.hfd(["whoami"]).ok().shows("alice");
    sandbox.finish();
}

#[test]
fn a_session_without_its_manager_hands_nothing_back() {
    let sandbox = browser::sandbox();
    sandbox.configure(&browser::your_hub(&sandbox));
    let manager = sandbox.user_manager();
    manager.start();
    service::install(&sandbox);
    browser::log_in(&sandbox);
    let withheld = || !sandbox.stored_tokens().unwrap().contains("refresh_token");
    assert!(withheld());
    manager.stop();
    // Over ssh, in a container: started on demand, and the service comes back.
    sandbox.hfd(["sync"]).ok();
    assert!(withheld());
    sandbox.hfd(["refresh"]).ok();
    assert!(withheld());
}

#[test]
fn a_token_pasted_into_the_keychain_is_never_renewed_away() {
    let sandbox = browser::sandbox();
    let hub = browser::your_hub(&sandbox);
    sandbox.configure(&format!("{hub}refresh_tokens = \"withhold\"\n"));
    browser::log_in(&sandbox);
    sandbox.hfd(["service", "stop"]).ok();
    let username = format!("{}|oauth-alice", sandbox.hub().endpoint());
    let item = ["service", "hfd", "username", &username, "hfd", "access"];
    let pasted = sandbox.token("pasted");
    sandbox.secret_tool([&["clear"][..], &item].concat()).ok();
    sandbox
        .secret_tool([&["store", "--label=pasted"][..], &item].concat())
        .stdin(&pasted)
        .ok();
    // A lookup may be answered from memory. What would put another value in its place looks first.
    sandbox.hfd(["refresh"]).exits(14);
    let list = sandbox.hfd(["list", "--json"]).ok().json();
    assert_eq!(list[0]["renews"], false);
    sandbox.hfd(["token", "oauth-alice"]).ok().prints(&pasted);
    assert_eq!(sandbox.token_file().as_ref(), Some(&pasted.value));
    assert_eq!(sandbox.hub().grants()[0].uses, [0], "nothing was renewed");
    sandbox.hfd(["restore"]).ok().shows("oauth-alice");
    sandbox.finish();
}
