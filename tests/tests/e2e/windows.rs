//! What Windows alone has.

use hfd_e2e::eventually;

use crate::browser;

#[test]
fn an_autostart_withholds_refresh_tokens_and_hands_them_back() {
    let sandbox = browser::sandbox();
    browser::log_in(&sandbox);
    // While Windows replaces a file there is none for a moment.
    let withheld = || {
        let stored = sandbox.stored_tokens();
        stored.is_some_and(|text| !text.contains("refresh_token"))
    };
    assert!(!withheld());
    let installed = sandbox.hfd(["service", "install"]).ok();
    installed.shows(r"CurrentVersion\Run\hfd");
    eventually("the refresh token leaves the file", withheld);
    let status = sandbox.hfd(["status", "--json"]).ok().json();
    assert_eq!(status["withheld"], true, "{status}");
    assert!(status["service"].is_string(), "{status}");
    sandbox.hfd(["refresh"]).ok();
    assert!(withheld());
    sandbox.hfd(["service", "uninstall"]).ok().shows("Removed");
    assert!(!withheld());
    let grant = &sandbox.hub().grants()[0];
    assert!(sandbox.stored_tokens().unwrap().contains(&grant.refresh));
    sandbox.finish();
}
