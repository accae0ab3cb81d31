//! What a person is offered: by the Tab key of each shell, and by man(1).

use std::path::Path;

use hfd_e2e::{Sandbox, Terminal};

/// Has a shell complete `hfd switch w`, where `work` is a token, and run it.
fn completes(shell: &str, load: &str) {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    sandbox.logged_in("play");
    let hfd = sandbox.program_hfd();
    let directory = Path::new(&hfd).parent().unwrap().to_str().unwrap();
    let command = format!("PATH={directory}:$PATH {shell}");
    let terminal = Terminal::run(&sandbox, &command);
    // A shell that is not ready loses what is typed: it says itself when it is.
    terminal.types(&[load, "Enter"]);
    terminal.types(&["echo re''ady", "Enter"]);
    terminal.shows("\nready");
    terminal.types(&["hfd switch w", "Tab"]);
    terminal.shows("hfd switch work");
    terminal.types(&["Enter"]);
    terminal.shows("`work` is the active token now.");
    terminal.types(&["hfd restore --js", "Tab"]);
    terminal.shows("hfd restore --json");
    terminal.types(&["Enter", "exit", "Enter"]);
    terminal.shows("status=0");
}

#[test]
fn bash_completes_commands_and_names() {
    completes("bash --norc --noprofile", "source <(hfd completions bash)");
}

#[test]
fn zsh_completes_commands_and_names() {
    completes(
        "zsh -f",
        "autoload -U compinit; compinit -u -D; source <(hfd completions zsh)",
    );
}

#[test]
fn zsh_finds_the_script_in_its_path() {
    completes(
        "zsh -f",
        "hfd completions zsh >_hfd; fpath+=(~); autoload -U compinit; compinit -u -D",
    );
}

#[test]
fn fish_completes_commands_and_names() {
    completes("fish --no-config", "hfd completions fish | source");
}

#[test]
fn nobody_is_started_for_a_completion() {
    let sandbox = Sandbox::new();
    sandbox
        .hfd(["--", "hfd", "switch", ""])
        .env("HFD_COMPLETE", "fish")
        .ok()
        .shows("--all");
    assert_eq!(sandbox.daemons(), [0; 0]);
}

#[test]
fn mandoc_finds_no_fault_with_the_man_pages() {
    let sandbox = Sandbox::new();
    let directory = sandbox.root().join("man");
    sandbox.hfd(["man".as_ref(), directory.as_os_str()]).ok();
    let lint = sandbox.sh("cd \"$PAGES\" && mandoc -T lint -W style *.1 2>&1");
    lint.env("PAGES", &directory).ok().prints_nothing();
}
