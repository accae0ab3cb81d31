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
        failed() { return 7; }; status=0; { failed; _hfd_hook; } || status=$?; [ $status = 7 ] || exit 94
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

#[test]
fn zsh_and_fish_follow_it_as_well() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    sandbox.logged_in("play");
    let project = sandbox.home().join("project");
    fs::create_dir(&project).unwrap();
    sandbox.hfd(["use", "work"]).within(&project).ok();
    let hfd = sandbox.program_hfd();
    let directory = std::path::Path::new(&hfd).parent().unwrap();
    let zsh = r#"
        path=($BINARIES $path)
        eval "$(hfd hook zsh)"; eval "$(hfd hook zsh)"
        [[ "$precmd_functions" == _hfd_hook ]] || exit 90
        prompt() { local each; for each in $precmd_functions; do $each; done }
        work=$(hfd token work)
        prompt; [[ -z "$HF_TOKEN" ]] || exit 91
        cd ~/project; prompt; [[ "$HF_TOKEN" == "$work" ]] || exit 92
        cd ~; prompt; [[ -z "$HF_TOKEN$HFD_HOOK" ]] || exit 93
        export HF_TOKEN=hf_my_own_word
        cd ~/project; prompt; [[ "$HF_TOKEN" == hf_my_own_word ]] || exit 94
        unset HF_TOKEN; prompt; [[ "$HF_TOKEN" == "$work" ]] || exit 95
    "#;
    let run = sandbox.program("zsh", ["--no-rcs", "-c", zsh]);
    run.env("BINARIES", directory).ok();
    let fish = r#"
        set -x PATH $BINARIES $PATH
        hfd hook fish | source
        set work (hfd token work)
        emit fish_prompt; test -z "$HF_TOKEN"; or exit 91
        cd ~/project; emit fish_prompt; test "$HF_TOKEN" = "$work"; or exit 92
        cd ~; emit fish_prompt; test -z "$HF_TOKEN$HFD_HOOK"; or exit 93
        set -gx HF_TOKEN hf_my_own_word
        cd ~/project; emit fish_prompt; test "$HF_TOKEN" = hf_my_own_word; or exit 94
        set -e HF_TOKEN; emit fish_prompt; test "$HF_TOKEN" = "$work"; or exit 95
    "#;
    let run = sandbox.program("fish", ["--no-config", "-c", fish]);
    run.env("BINARIES", directory).ok();
}

#[test]
fn a_hub_of_its_own_goes_with_the_token() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let elsewhere = hfd_e2e::hub::Hub::start().unwrap();
    let away = sandbox.unknown_token("away");
    elsewhere.add(&away.value, hfd_e2e::hub::Account::new("away", "alice"));
    let endpoint = elsewhere.endpoint();
    let login = ["login", "--with-token", "--endpoint", &endpoint];
    sandbox.hfd(login).stdin(&away.value).ok();
    let project = sandbox.home().join("project");
    fs::create_dir(&project).unwrap();
    sandbox.hfd(["use", "away"]).within(&project).ok();
    let hfd = sandbox.program_hfd();
    let directory = std::path::Path::new(&hfd).parent().unwrap();
    let bash = r#"
        set -e
        PATH=$BINARIES:$PATH
        unset HF_ENDPOINT
        eval "$(hfd hook bash)"
        cd ~/project; _hfd_hook; [ "$HF_ENDPOINT" = "$AWAY" ] || exit 90
        # A word of the person's about the token takes the Hub of the directory back.
        export HF_TOKEN=hf_my_own_word; _hfd_hook; [ -z "$HF_ENDPOINT$HFD_HOOK" ] || exit 91
        unset HF_TOKEN; _hfd_hook; [ "$HF_ENDPOINT" = "$AWAY" ] || exit 92
        unset HF_TOKEN; cd ~; _hfd_hook; [ -z "$HF_ENDPOINT$HF_TOKEN" ] || exit 93
        cd ~/project; _hfd_hook
        [ -z "$(hfd exec --as work -- sh -c 'echo "$HFD_HOOK$HFD_AS"')" ] || exit 94
        [ "$(hfd exec --as work -- sh -c 'echo "$HF_ENDPOINT"')" = "$HOME_HUB" ] || exit 95
        # What a person has set stays.
        export HF_ENDPOINT=https://hub.example; cd ~; _hfd_hook
        [ "$HF_ENDPOINT" = https://hub.example ] || exit 96
    "#;
    let run = sandbox.program("bash", ["--norc", "-c", bash]);
    let run = run.env("BINARIES", directory).env("AWAY", &endpoint);
    run.env("HOME_HUB", sandbox.hub().endpoint()).ok();
}

#[test]
fn a_link_to_a_trusted_file_is_not_trusted() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let (project, clone) = (sandbox.home().join("project"), sandbox.home().join("clone"));
    fs::create_dir(&project).unwrap();
    fs::create_dir(&clone).unwrap();
    sandbox.hfd(["use", "work"]).within(&project).ok();
    std::os::unix::fs::symlink("../project/.hfd.toml", clone.join(".hfd.toml")).unwrap();
    let here = |directory| sandbox.hfd(["token", "--here"]).within(directory).ok();
    here(&clone).prints(&play);
    here(&project).prints(&work);
    let refused = sandbox.hfd(["use", "play"]).within(&clone);
    refused.exits(14).notes("not trusted");
    here(&project).prints(&work);
    // What is no file at all is waited for by nobody.
    let strange = sandbox.home().join("strange");
    fs::create_dir(&strange).unwrap();
    sandbox.sh("mkfifo strange/.hfd.toml").ok();
    here(&strange).prints(&play);
}
