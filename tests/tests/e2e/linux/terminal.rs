//! `hfd login` with a browser, by a person at a real terminal.

use hfd_e2e::{Sandbox, Terminal, processes};

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

#[test]
fn without_a_keychain_a_person_chooses_where_tokens_rest() {
    let sandbox = Sandbox::builder().no_bus().start();
    let work = sandbox.token("work");
    let terminal = Terminal::run(&sandbox, "hfd login");
    terminal.shows("Where are tokens to rest instead?");
    terminal.shows("> In an encrypted file that a passphrase opens");
    terminal.types(&["3", "Enter"]);
    let screen = terminal.shows("status=12");
    assert!(screen.contains("--store file"), "{screen}");
    assert_eq!(sandbox.token_file(), None, "nothing was chosen for them");

    drop(terminal);
    let terminal = Terminal::run(&sandbox, "hfd login");
    terminal.shows("Where are tokens to rest instead?");
    terminal.types(&["1", "Enter"]);
    terminal.shows("New passphrase (not shown):");
    terminal.types(&["open", "Space", "sesame", "Enter"]);
    terminal.shows("The same again:");
    terminal.types(&["open", "Space", "barley", "Enter"]);
    terminal.shows("status=2");

    drop(terminal);
    let terminal = Terminal::run(&sandbox, "hfd login");
    terminal.shows("Where are tokens to rest instead?");
    terminal.types(&["1", "Enter"]);
    for question in ["New passphrase (not shown):", "The same again:"] {
        terminal.shows(question);
        terminal.types(&["open", "Space", "sesame", "Enter"]);
    }
    terminal.shows("How would you like to log in?");
    terminal.types(&["2", "Enter"]);
    terminal.shows("(not shown):");
    terminal.types(&[work.value.as_str(), "Enter"]);
    let screen = terminal.shows("status=0");
    assert!(screen.contains("`work` (write) rests in file"), "{screen}");
    assert!(
        !screen.contains("sesame") && !screen.contains(&work.value),
        "{screen}"
    );
}

#[test]
fn a_passphrase_is_asked_for_by_the_command_that_needs_it_once() {
    let sandbox = Sandbox::builder().no_bus().start();
    let work = sandbox.token("work");
    let login = ["login", "--with-token", "--store", "file"];
    sandbox.hfd(login).stdin(&work).ok();
    sandbox.hfd(["mirror", "add", "--mode", "off"]).ok();
    let rekey = ["store", "rekey", "--with-passphrase"];
    sandbox.hfd(rekey).stdin("open sesame").ok();
    processes::kill9(sandbox.daemon_pid());
    let command = "hfd token work | cut -c1-3";
    let terminal = Terminal::run(&sandbox, command);
    terminal.shows("Passphrase of the encrypted token file (not shown):");
    terminal.types(&["open", "Space", "sesame", "Enter"]);
    terminal.shows("hf_");
    drop(terminal);
    let terminal = Terminal::run(&sandbox, command);
    let screen = terminal.shows("hf_");
    assert!(!screen.contains("Passphrase"), "{screen}");
    // Whoever has locked it is not asked by every command.
    sandbox.hfd(["lock"]).ok();
    drop(terminal);
    let terminal = Terminal::run(&sandbox, "hfd token work");
    let screen = terminal.shows("status=11");
    assert!(!screen.contains("Passphrase"), "{screen}");
    drop(terminal);
    let terminal = Terminal::run(&sandbox, "hfd unlock");
    terminal.shows("Passphrase of the encrypted token file (not shown):");
    terminal.types(&["wrong", "Enter"]);
    terminal.shows("status=14");
    drop(terminal);
    let terminal = Terminal::run(&sandbox, "hfd unlock");
    terminal.shows("Passphrase");
    terminal.types(&["open", "Space", "sesame", "Enter"]);
    terminal.shows("hfd is unlocked.");
}
