//! Shells whose environment follows the directory.

use std::fs;

use hfd_e2e::Sandbox;

#[test]
fn a_shell_follows_the_directory_and_leaves_what_a_person_has_set() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    sandbox.logged_in("play");
    let project = sandbox.home().join("project");
    fs::create_dir(&project).unwrap();
    sandbox.hfd(["use", "work"]).within(&project).ok();
    let hfd = sandbox.program_hfd();
    let directory = std::path::Path::new(&hfd).parent().unwrap();
    let bash = r#"
        set -e
        PATH=$BINARIES:$PATH PROMPT_COMMAND='true'
        eval "$(hfd hook bash)"; eval "$(hfd hook bash)"
        [ "$PROMPT_COMMAND" = '_hfd_hook;true' ] || exit 90
        prompt() { eval "$PROMPT_COMMAND"; }
        work=$(hfd token work) play=$(hfd token play)
        prompt; [ -z "$HF_TOKEN" ] || exit 91
        cd ~/project; prompt; [ "$HF_TOKEN" = "$work" ] || exit 92
        cd ~; [ "$(hfd token --here)" = "$play" ] || exit 93
        false || _hfd_hook || [ $? = 1 ] || exit 94
        [ -z "$HF_TOKEN$HFD_HOOK" ] || exit 95
        export HF_TOKEN=hf_my_own_word
        cd ~/project; prompt; [ "$HF_TOKEN" = hf_my_own_word ] || exit 96
        unset HF_TOKEN; prompt; [ "$HF_TOKEN" = "$work" ] || exit 97
        HF_TOKEN=hf_my_other_word; cd ~; prompt; [ "$HF_TOKEN" = hf_my_other_word ] || exit 98
        [ -z "$HFD_HOOK" ] || exit 99
    "#;
    let run = sandbox.program("bash", ["--norc", "-c", bash]);
    run.env("BINARIES", directory).ok();
}
