//! What is told on the desktop.

use hfd_e2e::Desktop;
use hfd_e2e::hub::Failure;

use crate::renewal::session;

#[test]
fn the_end_of_a_session_is_told_once_on_the_desktop() {
    let sandbox = session(600);
    let mut desktop = Desktop::start(&sandbox);
    sandbox.hfd(["refresh"]).ok();
    assert_eq!(desktop.notifications(), [""; 0], "nothing is wrong");
    let refusal = Failure::OAuth(400, "invalid_grant".to_owned());
    sandbox.hub().fail_at("/oauth/token", refusal);
    sandbox.hub().expire(&sandbox.token_file().unwrap());
    sandbox.hfd(["refresh"]).exits(14);
    // However often it is asked for from now on.
    for again in [
        &["whoami"][..],
        &["token", "--min-ttl", "601"],
        &["refresh"],
    ] {
        sandbox.hfd(again).exits(14);
    }
    sandbox.hfd(["service", "restart"]).ok();
    sandbox.hfd(["token", "--min-ttl", "601"]).exits(14);
    let told = desktop.notifications();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("log in again as oauth-alice"), "{told:?}");
    assert!(told[0].contains("hfd login"), "{told:?}");
}
