//! The right token in the right place.

use std::fs;
use std::path::PathBuf;

use hfd_e2e::{Sandbox, Token};

use crate::login::exec;

/// A directory of a project.
fn project(sandbox: &Sandbox, rules: Option<&str>) -> PathBuf {
    let project = sandbox.home().join("src/acme");
    fs::create_dir_all(&project).unwrap();
    if let Some(rules) = rules {
        fs::write(project.join(".hfd.toml"), rules).unwrap();
    }
    project
}

fn which(sandbox: &Sandbox, arguments: &[&str], directory: &std::path::Path) -> serde_json::Value {
    let words = ["which", "--json"].iter().chain(arguments);
    sandbox.hfd(words).within(directory).ok().json()
}

/// Which token a program gets that is run there.
#[track_caller]
fn gives(sandbox: &Sandbox, directory: &std::path::Path, expected: &Token) {
    let run = sandbox.hfd(exec(&[], sandbox.prints(&["HF_TOKEN"])));
    run.within(directory).ok().prints(expected);
    let here = sandbox.hfd(["token", "--here"]);
    here.within(directory).ok().prints(expected);
}

#[test]
fn a_directory_has_a_token_of_its_own() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let project = project(&sandbox, None);
    let below = project.join("model");
    fs::create_dir(&below).unwrap();
    gives(&sandbox, &below, &play);
    sandbox
        .hfd(["use", "work"])
        .within(&project)
        .ok()
        .shows("`work` is used here and below");
    gives(&sandbox, &below, &work);
    let chosen = which(&sandbox, &[], &below);
    assert_eq!(chosen["chosen"]["name"], "work");
    assert_eq!(chosen["considered"][0]["source"], "file");
    assert_eq!(chosen["considered"][1]["verdict"], "outranked");
    // What other tools use is not a matter of directories.
    let token = sandbox.hfd(["token"]);
    token.within(&below).ok().prints(&play);
    let env = sandbox.hfd(["env", "--json"]).within(&below).ok().json();
    assert_eq!(env["HF_TOKEN"], work.value);
    gives(&sandbox, &sandbox.home(), &play);
    // One shell's word and one command's are stronger.
    let shell = sandbox.hfd(["token", "--here"]).env("HFD_AS", "play");
    shell.within(&below).ok().prints(&play);
    let named = exec(&["--as", "play"], sandbox.prints(&["HF_TOKEN"]));
    sandbox.hfd(named).within(&below).ok().prints(&play);
    sandbox.hfd(["use", "--unset"]).within(&project).ok();
    assert!(!project.join(".hfd.toml").exists());
    gives(&sandbox, &below, &play);
}

#[test]
fn the_environments_own_token_is_stronger_than_a_directory() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let project = project(&sandbox, None);
    sandbox.hfd(["use", "work"]).within(&project).ok();
    let ci = sandbox.unknown_token("ci");
    let run = sandbox.hfd(exec(&[], sandbox.prints(&["HF_TOKEN"])));
    run.within(&project).env("HF_TOKEN", &ci).ok().prints(&ci);
    // HFD_AS is a word to hfd alone, HF_TOKEN one to every tool.
    let run = sandbox.hfd(exec(&[], sandbox.prints(&["HF_TOKEN"])));
    let run = run.env("HF_TOKEN", &ci).env("HFD_AS", "play");
    run.within(&project).ok().prints(&play);
    let said = sandbox.hfd(["which"]).within(&project).env("HF_TOKEN", &ci);
    said.ok().shows("the token of HF_TOKEN");
}

#[test]
fn a_rule_file_says_nothing_before_it_is_trusted_nor_after_it_changed() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let rules = "use = \"work\"\n[rules]\n\"acme/*\" = \"work\"\n";
    let project = project(&sandbox, Some(rules));
    let file = project.join(".hfd.toml");
    let run = sandbox.hfd(exec(&[], sandbox.prints(&["HF_TOKEN"])));
    run.within(&project)
        .ok()
        .prints(&play)
        .notes("is not trusted");
    for repository in [&["--repo", "acme/x"][..], &[]] {
        let chosen = which(&sandbox, repository, &project);
        assert_eq!(chosen["chosen"]["name"], "play");
        assert_eq!(chosen["considered"][0]["verdict"], "untrusted");
        assert!(chosen["considered"][0]["name"].is_null());
    }
    // `use` would trust the rest of it.
    let refused = sandbox.hfd(["use", "play"]).within(&project);
    refused.exits(14).notes("not trusted");

    let trusted = sandbox.hfd(["trust"]).within(&project).ok();
    trusted.shows("acme/*: work");
    gives(&sandbox, &project, &work);
    for change in ["use = \"work\"\n[rules]\n\"acme/*\" = \"play\"\n", ""] {
        fs::write(&file, change).unwrap();
        gives(&sandbox, &project, &play);
    }
    fs::write(&file, rules).unwrap();
    gives(&sandbox, &project, &work);
    // The same bytes in another place are another file.
    let elsewhere = sandbox.home().join("src/evil");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(&file, elsewhere.join(".hfd.toml")).unwrap();
    gives(&sandbox, &elsewhere, &play);

    sandbox.hfd(["trust", "--list"]).ok().shows("acme");
    sandbox.hfd(["trust", "--remove"]).within(&project).ok();
    gives(&sandbox, &project, &play);
}

#[test]
fn rules_for_repositories_stand_in_the_configuration_too() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    sandbox.logged_in("play");
    let rules = "[rules]\n\"acme/*\" = \"work\"\n\"acme/open\" = \"play\"\n\"bob/*\" = \"gone\"\n";
    sandbox.configure(rules);
    let endpoint = sandbox.hub().endpoint();
    let chosen = |repository: &str| {
        let words = ["--repo", repository, "--endpoint", &endpoint];
        which(&sandbox, &words, &sandbox.home())["chosen"]["name"].clone()
    };
    assert_eq!(chosen("acme/x"), "work");
    assert_eq!(chosen("datasets/ACME/x"), "work");
    assert_eq!(chosen("acme/open"), "play");
    assert_eq!(chosen("acme-evil/x"), "play");
    // A token that is gone has no substitute.
    let gone = sandbox.hfd(["which", "--repo", "bob/x", "--endpoint", &endpoint]);
    gone.exits(10).shows("there is no such token");
    // The nearest word about a repository is that of its directory.
    let project = project(&sandbox, Some("[rules]\n\"acme/*\" = \"play\"\n"));
    sandbox.hfd(["trust"]).within(&project).ok();
    let words = ["--repo", "acme/x", "--endpoint", &endpoint];
    assert_eq!(which(&sandbox, &words, &project)["chosen"]["name"], "play");
}

#[test]
fn what_is_wrong_in_a_rule_is_said() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let project = project(
        &sandbox,
        Some("use = \"work\"\n\n[rules]\n\"*\" = \"work\"\n"),
    );
    let refused = sandbox.hfd(["trust"]).within(&project).exits(2);
    refused.notes("line 4").notes("OWNER/*");
    sandbox.hfd(["use", "nope"]).exits(10).notes("`nope`");
    let shell = sandbox.hfd(["token", "--here"]).env("HFD_AS", "gone");
    shell.exits(10).notes("`gone`");
    let none = sandbox.hfd(["trust"]).exits(2);
    none.notes("there is no rule file").notes("hfd use NAME");
}

#[test]
fn a_directory_of_another_name_has_no_rules_of_this_one() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    sandbox.logged_in("play");
    let project = project(&sandbox, None);
    sandbox.hfd(["use", "work"]).within(&project).ok();
    let beside = sandbox.home().join("src/beside");
    fs::create_dir(&beside).unwrap();
    let dir = format!("{}/../beside", sandbox.shown(&project).to_str().unwrap());
    let chosen = which(&sandbox, &["--dir", &dir], &project);
    assert_eq!(chosen["chosen"]["name"], "play");
    // What was trusted here is not trusted again for whoever comes here next.
    sandbox.hfd(["use", "--unset"]).within(&project).ok();
    fs::write(project.join(".hfd.toml"), "use = \"work\"\n").unwrap();
    assert_eq!(which(&sandbox, &[], &project)["chosen"]["name"], "play");
}
