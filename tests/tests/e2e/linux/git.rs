//! git with the right token by itself: the real git and git-lfs, and a Hub that wants a password for everything.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use hfd_e2e::hub::Account;
use hfd_e2e::{Run, Sandbox, Token, eventually, processes};

use crate::renewal;

/// Where the Hub's repositories are.
fn repositories(sandbox: &Sandbox) -> PathBuf {
    sandbox.root().join("repositories")
}

/// A Hub with repositories, which git asks hfd about.
fn set_up(sandbox: &Sandbox, names: &[&str]) {
    for name in names {
        sandbox.hub().add_repository(&repositories(sandbox), name);
    }
    sandbox.hfd(["git", "setup"]).ok();
}

/// alice, who is of acme, and bob, whose token is the active one.
fn two(sandbox: &Sandbox) -> [Token; 2] {
    let work = Account::new("work", "alice").orgs(&["acme"]);
    let [work, play] = [work, Account::new("play", "bob")].map(|account| {
        let token = sandbox.token_of(account);
        sandbox.hfd(["login", "--with-token"]).stdin(&token).ok();
        token
    });
    [work, play]
}

fn clone<'s>(sandbox: &'s Sandbox, repository: &str, to: &str) -> Run<'s> {
    let url = format!("{}/{repository}", sandbox.hub().endpoint());
    sandbox.git(["clone", "--quiet", &url, to])
}

/// Writes a file there, and pushes it.
fn push(sandbox: &Sandbox, clone: &Path, file: &str, content: &str) {
    fs::write(clone.join(file), content).unwrap();
    for words in [
        &["add", "--all"][..],
        &["commit", "--quiet", "--message=more"],
        &["push", "--quiet", "origin", "HEAD"],
    ] {
        sandbox.git(words).within(clone).ok();
    }
}

/// What git asks about a repository of a host.
fn question(url: &str, path: &str) -> String {
    let (protocol, host) = url.split_once("://").unwrap();
    format!("capability[]=authtype\nprotocol={protocol}\nhost={host}\npath={path}\n\n")
}

fn get<'s>(sandbox: &'s Sandbox, question: &str) -> Run<'s> {
    sandbox
        .hfd(["git", "credential", "get"])
        .stdin(question.as_bytes())
}

/// The password that git finds.
fn filled(sandbox: &Sandbox, directory: &Path, question: &str) -> Option<String> {
    let fill = sandbox.program("git", ["credential", "fill"]);
    let fill = fill.env("GIT_TERMINAL_PROMPT", "0").within(directory);
    let outcome = fill.stdin(question).end();
    let mut lines = outcome.stdout.lines();
    let password = lines.find_map(|line| line.strip_prefix("password="));
    password.map(str::to_owned)
}

/// How often the Hub was asked whose a token is.
fn asked(sandbox: &Sandbox, token: &Token) -> usize {
    let seen = sandbox.hub().seen().into_iter();
    let whoami = seen.filter(|seen| seen.target == "/api/whoami-v2");
    let of_token = whoami.filter(|seen| seen.bearer() == Some(&token.value));
    of_token.count()
}

#[test]
fn clone_push_and_fetch() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    set_up(&sandbox, &["alice/model"]);
    clone(&sandbox, "alice/model", "one").ok();
    let [one, two] = ["one", "two"].map(|name| sandbox.home().join(name));
    push(&sandbox, &one, "weights", "1");
    clone(&sandbox, "alice/model.git", "two").ok();
    push(&sandbox, &one, "weights", "2");
    sandbox.git(["pull", "--quiet"]).within(&two).ok();
    assert_eq!(fs::read_to_string(two.join("weights")).unwrap(), "2");
}

#[test]
fn large_files() {
    let sandbox = Sandbox::new();
    two(&sandbox);
    sandbox.configure("[rules]\n\"acme/*\" = \"work\"\n");
    set_up(&sandbox, &["acme/model"]);
    sandbox.git(["lfs", "install"]).ok();
    clone(&sandbox, "acme/model", "one").ok();
    let [one, two] = ["one", "two"].map(|name| sandbox.home().join(name));
    sandbox.git(["lfs", "track", "*.bin"]).within(&one).ok();
    let lfs = format!("{}/acme/model.git/info/lfs", sandbox.hub().endpoint());
    sandbox.git(["config", "lfs.url", &lfs]).within(&one).ok();
    push(&sandbox, &one, "weights.bin", "large");
    let stored = sandbox.git(["cat-file", "blob", "HEAD:weights.bin"]);
    stored.within(&one).ok().shows("git-lfs");
    clone(&sandbox, "acme/model", "two").ok();
    let fetched = fs::read_to_string(two.join("weights.bin"));
    assert_eq!(fetched.unwrap(), "large");
}

#[test]
fn two_accounts_by_owner() {
    let sandbox = Sandbox::new();
    let [work, play] = two(&sandbox);
    set_up(&sandbox, &["acme/model", "bob/toy"]);
    // bob's is the active one, and not acme's.
    clone(&sandbox, "bob/toy", "toy").ok();
    clone(&sandbox, "acme/model", "refused").exits(128);
    sandbox.configure("[rules]\n\"acme/*\" = \"work\"\n");
    clone(&sandbox, "acme/model", "model").ok();
    push(&sandbox, &sandbox.home().join("model"), "weights", "1");
    // The other way round, by a file that is trusted; and by the user in the address.
    sandbox.configure("");
    sandbox.hfd(["switch", "work"]).ok();
    clone(&sandbox, "bob/toy", "refused").exits(128);
    let rules = sandbox.home().join(".hfd.toml");
    fs::write(&rules, "[rules]\n\"bob/*\" = \"play\"\n").unwrap();
    sandbox.hfd(["trust"]).ok();
    push(&sandbox, &sandbox.home().join("toy"), "toy", "1");
    fs::remove_file(&rules).unwrap();
    let endpoint = sandbox.hub().endpoint();
    let of = |user: &str| format!("username={user}\n{}", question(&endpoint, "x/y"));
    let home = sandbox.home();
    assert_eq!(filled(&sandbox, &home, &of("bob")), Some(play.value));
    assert_eq!(
        filled(&sandbox, &home, &of("alice")),
        Some(work.value.clone())
    );
    assert_eq!(filled(&sandbox, &home, &of("hf_user")), Some(work.value));
}

#[test]
fn a_clone_chooses_nothing_by_itself() {
    let sandbox = Sandbox::new();
    let [work, play] = two(&sandbox);
    set_up(&sandbox, &["bob/toy"]);
    clone(&sandbox, "bob/toy", "mine").ok();
    let trap = "use = \"work\"\n[rules]\n\"bob/*\" = \"work\"\n";
    push(&sandbox, &sandbox.home().join("mine"), ".hfd.toml", trap);
    clone(&sandbox, "bob/toy", "toy").ok();
    let toy = sandbox.home().join("toy");
    sandbox.git(["fetch"]).within(&toy).ok();
    let question = question(&sandbox.hub().endpoint(), "bob/toy");
    assert_eq!(filled(&sandbox, &toy, &question), Some(play.value));
    sandbox.hfd(["trust"]).within(&toy).ok();
    assert_eq!(filled(&sandbox, &toy, &question), Some(work.value));
}

#[test]
fn a_refused_token_is_looked_after_once() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    set_up(&sandbox, &["alice/model"]);
    clone(&sandbox, "alice/model", "model").ok();
    let model = sandbox.home().join("model");
    let before = asked(&sandbox, &work);
    sandbox.hub().revoke(&work.value);
    let fetch = || sandbox.git(["fetch"]).within(&model).exits(128);
    fetch();
    eventually("the token is known to be rejected", || {
        let status = sandbox.hfd(["status", "--json"]).ok().json();
        status["attention"][0]["what"] == "rejected"
    });
    fetch();
    assert_eq!(asked(&sandbox, &work), before + 1);
    // What is no token of that Hub is sent nowhere, and nothing is removed without a password.
    let stranger = sandbox.unknown_token("stranger");
    let endpoint = sandbox.hub().endpoint();
    let refused = question(&endpoint, "alice/model");
    let refused = refused.trim_end();
    for (line, operation) in [
        (format!("password={}", stranger.value), "erase"),
        ("username=hf_user".to_owned(), "erase"),
        (format!("password={}", stranger.value), "store"),
    ] {
        let run = sandbox.hfd(["git", "credential", operation]);
        let run = run.stdin(format!("{refused}\n{line}\n\n"));
        run.ok().prints_nothing();
    }
    sandbox.hfd(["token"]).ok().prints(&work);
    assert_eq!(asked(&sandbox, &stranger), 0);
}

#[test]
fn a_refused_token_that_can_be_renewed_is() {
    let sandbox = renewal::session(600);
    set_up(&sandbox, &["alice/model"]);
    clone(&sandbox, "alice/model", "model").ok();
    let model = sandbox.home().join("model");
    let access = sandbox.hub().grants()[0].access.clone();
    sandbox.hub().expire(&access);
    sandbox.git(["fetch"]).within(&model).exits(128);
    sandbox.hub().wait_for_generation(2);
    eventually("git has the new one", || {
        sandbox.git(["fetch"]).within(&model).end().status == 0
    });
}

#[test]
fn without_an_answer_git_goes_on() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.logged_in("play");
    // No file has its value, which files may tell while the keychain does not.
    let home = sandbox.hf_home();
    let show_less = ["mirror", "add", "--mode", "active-only"].map(OsStr::new);
    let show_less = show_less.into_iter().chain([home.as_os_str()]);
    sandbox.hfd(show_less).ok();
    let question = question(&sandbox.hub().endpoint(), "alice/model");
    let get = |sandbox, question| get(sandbox, question).env("HFD_AS", "work");
    get(&sandbox, &question).ok().shows(&work.value);
    sandbox.hfd(["lock"]).ok();
    get(&sandbox, &question).ok().prints_nothing();
    sandbox.hfd(["unlock"]).ok();
    // The keychain stands still, and a new daemon has no value yet.
    sandbox.hfd(["service", "stop"]).ok();
    let frozen = sandbox.keyring().freeze();
    get(&sandbox, &question).ok().prints_nothing();
    frozen.thaw();
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    get(&sandbox, &question).ok().shows(&work.value);
    // The daemon stands still.
    let daemon = sandbox.daemon_pid();
    processes::freeze(daemon);
    get(&sandbox, &question).ok().prints_nothing();
    processes::thaw(daemon);
    // There is none, and there cannot be one.
    sandbox.hfd(["service", "stop"]).ok();
    let nowhere = get(&sandbox, &question).env("HFD_SOCKET", "/proc/none/hfdd.sock");
    nowhere.ok().prints_nothing();
    // One that is not there yet is started.
    get(&sandbox, &question).ok().shows(&work.value);
}

#[test]
fn a_token_goes_to_its_own_hub() {
    let sandbox = Sandbox::new();
    let here = sandbox.logged_in("here");
    let there = sandbox.unknown_token("there");
    let login = [
        "login",
        "--with-token",
        "--offline",
        "--name",
        "there",
        "--no-switch",
    ];
    let login = login
        .into_iter()
        .chain(["--endpoint", "https://huggingface.co"]);
    sandbox.hfd(login).stdin(&there).ok();
    let endpoint = sandbox.hub().endpoint();
    let password = |url: &str| {
        let outcome = get(&sandbox, &question(url, "alice/model")).ok();
        let mut lines = outcome.stdout.lines();
        lines.find_map(|line| line.strip_prefix("password=").map(str::to_owned))
    };
    assert_eq!(password(&endpoint), Some(here.value));
    for hub in [
        "https://huggingface.co",
        "https://HuggingFace.co:443",
        "https://hf.co",
    ] {
        assert_eq!(password(hub).as_ref(), Some(&there.value), "{hub}");
    }
    for stranger in [
        "http://huggingface.co",
        "http://hf.co",
        "https://huggingface.co.",
        "https://huggingface.co.evil.example",
        "https://evil-huggingface.co",
        "https://huggingface.co@evil.example",
        "https://alice@huggingface.co",
        "https://huggingface.co:444",
        "https://huggingf\u{430}ce.co",
        "https://xn--huggingfce-c0j.co",
        "https://github.com",
        "http://127.0.0.1:1",
    ] {
        assert_eq!(password(stranger), None, "{stranger}");
    }
    // The environment's is for the environment's Hub.
    let own = sandbox.unknown_token("own");
    let with = |url: &str| {
        let run = get(&sandbox, &question(url, "alice/model"));
        run.env("HF_TOKEN", &own.value).ok()
    };
    with(&endpoint).shows(&own.value);
    with("https://huggingface.co")
        .shows(&there.value)
        .hides(&own.value);
    // Two lines cannot be made of one.
    let asked = format!(
        "{}\rhost=evil.example\n\n",
        question(&endpoint, "x").trim_end()
    );
    get(&sandbox, &asked).ok().prints_nothing();
}

#[test]
fn other_helpers_and_other_lines_are_left_alone() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let heard = sandbox.root().join("heard");
    let spy = format!("!f() {{ echo $1; grep host; }}; f >>{}", heard.display());
    let config = sandbox.home().join(".gitconfig");
    let endpoint = sandbox.hub().endpoint();
    let before = format!(
        "# mine\n[user]\n\tname = Alice\n[credential \"https://git.example\"]\n\thelper = store --file=/dev/null # why\n\
         [credential]\n\thelper = \"{spy}\"\n"
    );
    fs::write(&config, &before).unwrap();
    set_up(&sandbox, &["alice/model"]);
    let once = fs::read_to_string(&config).unwrap();
    assert!(once.starts_with(&before), "{once}");
    sandbox.hfd(["git", "setup"]).ok();
    assert_eq!(fs::read_to_string(&config).unwrap(), once);
    let git = sandbox.hfd(["status", "--json"]).ok().json()["git"].clone();
    let hubs = serde_json::json!(["https://huggingface.co", "https://hf.co", endpoint]);
    assert_eq!(git["hubs"], hubs);
    let shown = "asks hfd for https://huggingface.co, https://hf.co";
    sandbox.hfd(["status"]).ok().shows(shown);

    // What hfd has answered is told to no other helper; they go on with everything else.
    clone(&sandbox, "alice/model", "model").ok();
    let other = "protocol=https\nhost=git.example\nusername=a\npassword=b\n\n";
    sandbox.git(["credential", "approve"]).stdin(other).ok();
    let told = fs::read_to_string(&heard).unwrap();
    assert_eq!(told, "store\nhost=git.example\n");
    // One beside hfd hears of what git does, and is asked when hfd has no answer.
    let model = sandbox.home().join("model");
    let beside = "!f() { echo $1; grep host; }; f >>../beside";
    sandbox
        .git(["config", "credential.helper", beside])
        .within(&model)
        .ok();
    sandbox.git(["fetch"]).within(&model).ok();
    sandbox.hub().revoke(&work.value);
    sandbox.git(["fetch"]).within(&model).exits(128);
    let told = fs::read_to_string(sandbox.home().join("beside")).unwrap();
    let operations: Vec<_> = told.lines().filter(|line| !line.contains('=')).collect();
    assert_eq!(operations, ["store", "erase"]);

    sandbox.hfd(["git", "unset"]).ok();
    assert_eq!(fs::read_to_string(&config).unwrap(), before);
    sandbox.hfd(["git", "unset"]).ok().prints_nothing();
    let git = sandbox.hfd(["status", "--json"]).ok().json()["git"].clone();
    assert_eq!(git["hubs"], serde_json::json!([]));
    sandbox.hfd(["git", "setup", "--local"]).within(&model).ok();
    assert_eq!(fs::read_to_string(&config).unwrap(), before);
    sandbox
        .hfd(["git", "setup", "--local"])
        .exits(1)
        .notes("git config");
    sandbox
        .hfd(["git", "setup"])
        .env("PATH", "/nowhere")
        .exits(1)
        .notes("git is not installed");
}

#[test]
fn a_helper_that_came_later_is_told_nothing_either() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    set_up(&sandbox, &["alice/model"]);
    let config = sandbox.home().join(".gitconfig");
    let heard = sandbox.root().join("heard");
    let later = format!("[credential]\n\thelper = \"!echo >>{}\"\n", heard.display());
    let before = fs::read_to_string(&config).unwrap();
    fs::write(&config, before + &later).unwrap();
    sandbox.hfd(["git", "setup"]).ok();
    clone(&sandbox, "alice/model", "model").ok();
    assert!(!heard.exists());
    sandbox.hfd(["git", "unset"]).ok();
    // git itself leaves the head of a section behind where there are two of that name.
    let list = sandbox.git(["config", "--global", "--list"]).ok();
    list.prints(format!("credential.helper=!echo >>{}", heard.display()));
}

#[test]
fn a_section_that_stands_above_a_helper_is_told_of() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let before = "[credential \"https://huggingface.co\"]\n\tusername = alice\n[credential]\n\thelper = store\n";
    std::fs::write(sandbox.home().join(".gitconfig"), before).unwrap();
    let setup = sandbox.hfd(["git", "setup"]).ok();
    setup.notes("stands after the section of https://huggingface.co");
    sandbox.hfd(["git", "unset"]).ok();
    let after = std::fs::read_to_string(sandbox.home().join(".gitconfig")).unwrap();
    assert_eq!(after, before);
}

#[test]
fn what_hf_does_with_gits_helpers_does_no_harm() {
    let sandbox = Sandbox::new();
    // Whose tokens hf writes.
    sandbox.configure(&format!("endpoint = \"{}\"\n", sandbox.hub().endpoint()));
    let work = sandbox.logged_in("work");
    set_up(&sandbox, &["alice/model"]);
    let play = sandbox.token("play");
    let login = [
        "auth",
        "login",
        "--token",
        &play.value,
        "--add-to-git-credential",
    ];
    let login = sandbox.hf(login).ok();
    login.hides("has not been saved");
    clone(&sandbox, "alice/model", "model").ok();
    let model = sandbox.home().join("model");
    let question = question(&sandbox.hub().endpoint(), "alice/model");
    assert_eq!(filled(&sandbox, &model, &question), Some(play.value));
    sandbox.hf(["auth", "logout", "--token-name", "work"]).ok();
    push(&sandbox, &model, "weights", "1");
    sandbox.hf(["auth", "logout"]).ok();
    // Both files gone could be the start of something else.
    eventually("git has no token", || {
        filled(&sandbox, &model, &question).is_none()
    });
    sandbox.hfd(["login", "--with-token"]).stdin(&work).ok();
    push(&sandbox, &model, "weights", "2");
}
