//! `hfd login` with a browser, by a person at a real terminal.

use hfd_e2e::{Sandbox, Terminal};

use crate::browser;

/// A login that waits for the person, and its code.
fn waiting(sandbox: &Sandbox) -> (Terminal<'_>, String) {
    let terminal = Terminal::run(sandbox, "hfd login");
    terminal.shows("> With your browser");
    terminal.types(&["Enter"]);
    let code = sandbox.hub().wait_for_pending().user_code;
    let screen = terminal.shows("left (Ctrl-C gives up)");
    let url = format!("/oauth/device?user_code={code}");
    for text in ["Open this URL in your browser:", &url, &code] {
        assert!(screen.contains(text), "{text} in\n{screen}");
    }
    (terminal, code)
}

#[test]
fn the_menu_is_gone_through_with_arrows_and_numbers() {
    let sandbox = browser::sandbox();
    let terminal = Terminal::run(&sandbox, "hfd login");
    terminal.shows("How would you like to log in?");
    terminal.shows("> With your browser");
    terminal.types(&["Down"]);
    terminal.shows("> Paste an access token");
    terminal.types(&["1"]);
    terminal.shows("> With your browser");
    terminal.types(&["2", "Enter"]);
    terminal.shows("(not shown):");
    terminal.types(&["C-c"]);
    terminal.shows("status=130");
    assert!(sandbox.hub().seen().is_empty(), "nothing was begun");
}

#[test]
fn a_login_that_is_granted_ends_with_the_token() {
    let sandbox = browser::sandbox();
    let (terminal, code) = waiting(&sandbox);
    sandbox.hub().approve(&code);
    let screen = terminal.shows("status=0");
    assert!(screen.contains(" as alice."), "{screen}");
    let active = "`oauth-alice` rests in secret-service and is the active token.";
    assert!(screen.contains(active), "{screen}");
    assert!(
        !screen.contains("left (Ctrl-C"),
        "the clock is gone: {screen}"
    );
    let access = &sandbox.hub().grants()[0].access;
    assert!(!screen.contains(&access[..20]), "{screen}");
    sandbox.hfd(["token"]).ok().prints(access);
}

#[test]
fn a_login_that_is_denied_ends_with_the_reason() {
    let sandbox = browser::sandbox();
    let (terminal, code) = waiting(&sandbox);
    sandbox.hub().deny(&code);
    let screen = terminal.shows("status=14");
    assert!(screen.contains("denied"), "{screen}");
    assert_eq!(sandbox.token_file(), None);
}

#[test]
fn ctrl_c_gives_up_and_leaves_nothing_behind() {
    let sandbox = browser::sandbox();
    let (terminal, code) = waiting(&sandbox);
    terminal.types(&["C-c"]);
    let screen = terminal.shows("status=130");
    assert!(screen.contains("interrupted"), "{screen}");
    assert_eq!(sandbox.token_file(), None);
    // The daemon asks no more: what is granted now nobody fetches, while a later login ends.
    sandbox.hub().approve(&code);
    browser::log_in(&sandbox);
    assert_eq!(sandbox.hub().grants().len(), 1);
}
