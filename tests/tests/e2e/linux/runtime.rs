//! Mirrors whose files are links into memory.

use std::fs;
use std::path::{Path, PathBuf};

use hfd_e2e::{Sandbox, Token, eventually, processes};

use super::service::install;

/// A session whose runtime directory is memory, with hfd as a service and two tokens in it.
fn session() -> (Sandbox, Token, Token) {
    let sandbox = Sandbox::builder().in_memory().start();
    // Whose tokens hf writes.
    sandbox.configure(&format!("endpoint = \"{}\"\n", sandbox.hub().endpoint()));
    sandbox.user_manager().start();
    install(&sandbox);
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    // What a mirror may hold may lie where its links lead.
    sandbox.allow_mirror(&memory(&sandbox));
    let add = ["mirror", "add", "--mode", "runtime"];
    sandbox.hfd(add).ok().shows("in memory");
    (sandbox, work, play)
}

fn memory(sandbox: &Sandbox) -> PathBuf {
    let token = &sandbox.hf_home().join("token");
    let digest = sandbox
        .sh("printf %s \"$P\" | sha256sum | cut -c1-16")
        .env("P", token)
        .ok();
    sandbox
        .runtime_dir()
        .join(format!("hfd/mirror-{}", digest.stdout.trim()))
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|found| found.is_symlink())
}

/// Both files are links into memory, and the state is settled.
fn are_links(sandbox: &Sandbox) {
    eventually("both files are links", || {
        ["token", "stored_tokens"].iter().all(|name| {
            let path = sandbox.hf_home().join(name);
            is_link(&path) && fs::read_link(&path).unwrap() == memory(sandbox).join(name)
        })
    });
}

fn active(sandbox: &Sandbox) -> String {
    let code = "from huggingface_hub import get_token; print(get_token())";
    sandbox.python(code).ok().stdout.trim().to_owned()
}

#[test]
fn tools_read_and_write_through_the_links() {
    let (sandbox, work, play) = session();
    are_links(&sandbox);
    assert_eq!(active(&sandbox), play.value);
    sandbox.hfd(["switch", "work"]).ok();
    assert_eq!(active(&sandbox), work.value);
    are_links(&sandbox);
    sandbox.hf(["auth", "switch", "--token-name", "play"]).ok();
    eventually("hfd follows", || {
        sandbox.hfd(["token"]).ok().stdout.trim() == play.value
    });
    // A login by another tool goes through them.
    let new = sandbox.token("new");
    sandbox.hf(["auth", "login", "--token", &new.value]).ok();
    eventually("it is taken up", || {
        sandbox.hfd(["token", "new"]).end().status == 0
    });
    are_links(&sandbox);
    // A logout of the active one unlinks a link; the next login would make a file.
    sandbox.hf(["auth", "logout", "--token-name", "new"]).ok();
    eventually("it is believed", || {
        sandbox.hfd(["token", "new"]).end().status == 10
    });
    are_links(&sandbox);
    assert!(
        !memory(&sandbox).join("token").exists(),
        "what the link led to is gone"
    );
    let again = sandbox.token("again");
    sandbox.hf(["auth", "login", "--token", &again.value]).ok();
    eventually("it is taken up", || {
        sandbox.hfd(["token", "again"]).end().status == 0
    });
    are_links(&sandbox);
    assert_eq!(active(&sandbox), again.value);
}

#[test]
fn a_file_that_a_tool_makes_becomes_a_link_again() {
    let (sandbox, ..) = session();
    let token = sandbox.hf_home().join("token");
    let new = sandbox.token("new");
    // As a login does right after a logout.
    fs::remove_file(&token).unwrap();
    fs::write(&token, &new.value).unwrap();
    eventually("it is taken up", || {
        sandbox.hfd(["token"]).ok().stdout.trim() == new.value
    });
    are_links(&sandbox);
    assert_eq!(active(&sandbox), new.value);
}

#[test]
fn memory_that_is_gone_is_no_logout() {
    let (sandbox, work, play) = session();
    // As a restart of the machine leaves it.
    sandbox.hfd(["service", "stop"]).ok();
    fs::remove_dir_all(memory(&sandbox)).unwrap();
    assert_eq!(active(&sandbox), "None");
    sandbox.hfd(["service", "start"]).ok();
    eventually("the files are filled again", || {
        active(&sandbox) == play.value
    });
    are_links(&sandbox);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    // Also under a daemon that runs.
    eventually("memory is gone", || {
        // The daemon may be writing there still.
        fs::remove_dir_all(memory(&sandbox)).is_ok()
    });
    sandbox.hfd(["sync"]).ok();
    assert_eq!(active(&sandbox), play.value);
    sandbox.hfd(["token", "work"]).ok().prints(&work);
}

#[test]
fn memory_of_another_session_is_moved_to_this_one() {
    let (sandbox, work, play) = session();
    sandbox.hfd(["service", "stop"]).ok();
    // As where another XDG_RUNTIME_DIR was set.
    let (here, directory) = (memory(&sandbox), sandbox.runtime_dir().join("before/hfd"));
    let before = directory.join(here.file_name().unwrap());
    fs::create_dir_all(&directory).unwrap();
    sandbox.allow_mirror(&before);
    fs::rename(&here, &before).unwrap();
    for name in ["token", "stored_tokens"] {
        let link = sandbox.hf_home().join(name);
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(before.join(name), link).unwrap();
    }
    let new = sandbox.token("new");
    sandbox.hf(["auth", "login", "--token", &new.value]).ok();
    sandbox.hfd(["service", "start"]).ok();
    are_links(&sandbox);
    assert_eq!(active(&sandbox), new.value);
    for (name, token) in [("work", &work), ("play", &play), ("new", &new)] {
        sandbox.hfd(["token", name]).ok().prints(token);
    }
    assert_eq!(fs::read_dir(&before).unwrap().count(), 0, "all of it moved");
}

#[test]
fn a_logout_from_everything_is_one() {
    let (sandbox, ..) = session();
    sandbox.hf(["auth", "logout"]).ok();
    eventually("it is believed", || {
        sandbox.hfd(["list", "--json"]).ok().stdout.trim() == "[]"
    });
    are_links(&sandbox);
    for name in ["token", "stored_tokens"] {
        let left = fs::read_to_string(memory(&sandbox).join(name)).unwrap_or_default();
        assert_eq!(left, "", "{name} in memory");
    }
}

#[test]
fn another_mode_makes_files_of_them() {
    let (sandbox, work, play) = session();
    sandbox.hfd(["mirror", "add", "--mode", "files"]).ok();
    for name in ["token", "stored_tokens"] {
        assert!(!is_link(&sandbox.hf_home().join(name)), "{name}");
        assert!(!memory(&sandbox).join(name).exists(), "{name} in memory");
    }
    assert_eq!(active(&sandbox), play.value);
    sandbox.hfd(["mirror", "add", "--mode", "runtime"]).ok();
    are_links(&sandbox);
    sandbox.hfd(["mirror", "add", "--mode", "off"]).ok();
    assert!(sandbox.token_file().is_none());
    assert!(!is_link(&sandbox.hf_home().join("token")));
    sandbox.hfd(["mirror", "add", "--mode", "runtime"]).ok();
    sandbox.hfd(["switch", "work"]).ok();
    let dir = sandbox.hf_home();
    sandbox
        .hfd(["mirror", "remove", dir.to_str().unwrap()])
        .ok();
    assert!(!is_link(&sandbox.hf_home().join("token")));
    assert_eq!(active(&sandbox), work.value);
}

#[test]
fn it_is_refused_where_it_would_not_hold() {
    // On a disk.
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let add = ["mirror", "add", "--mode", "runtime"];
    sandbox.hfd(add).exits(14).notes("tmpfs");
    // Without anybody who would fill it after a restart.
    let sandbox = Sandbox::builder().in_memory().start();
    sandbox.logged_in("work");
    sandbox.hfd(add).exits(14).notes("hfd service install");
    assert!(!is_link(&sandbox.hf_home().join("token")));
}

#[test]
fn a_link_of_ones_own_is_not_taken_for_memory() {
    let sandbox = Sandbox::builder().in_memory().start();
    sandbox.user_manager().start();
    install(&sandbox);
    sandbox.logged_in("work");
    let dotfiles = sandbox.home().join("dotfiles");
    fs::create_dir(&dotfiles).unwrap();
    sandbox.allow_mirror(&dotfiles);
    let token = sandbox.hf_home().join("token");
    fs::rename(&token, dotfiles.join("token")).unwrap();
    std::os::unix::fs::symlink(dotfiles.join("token"), &token).unwrap();
    let add = ["mirror", "add", "--mode", "runtime"];
    sandbox
        .hfd(add)
        .exits(1)
        .notes("leads or is mounted elsewhere");
    assert_eq!(fs::read_link(&token).unwrap(), dotfiles.join("token"));
}

#[test]
fn tokens_that_the_files_do_not_show_yet_are_written_to_memory_alone() {
    let (sandbox, ..) = session();
    sandbox.hfd(["mirror", "add", "--mode", "off"]).ok();
    // A tool's own file, with one token; the keychain has more.
    let own = sandbox.token("own");
    sandbox.hf(["auth", "login", "--token", &own.value]).ok();
    let before = fs::metadata(sandbox.hf_home().join("stored_tokens"))
        .unwrap()
        .len();
    sandbox.hfd(["mirror", "add", "--mode", "runtime"]).ok();
    are_links(&sandbox);
    let after = fs::metadata(memory(&sandbox).join("stored_tokens"))
        .unwrap()
        .len();
    assert!(after > before, "all of them are there");
    sandbox.hfd(["token", "own"]).ok().prints(&own);
}

#[test]
fn a_daemon_that_is_killed_meanwhile_leaves_no_token_on_the_disk() {
    let (sandbox, work, _) = session();
    for _ in 0..10 {
        let switching = sandbox.hfd(["switch", "work"]).spawn();
        sandbox.daemons().into_iter().for_each(processes::kill9);
        switching.end();
        let switching = sandbox.hfd(["switch", "play"]).spawn();
        switching.end();
    }
    sandbox.hfd(["switch", "work"]).ok();
    assert_eq!(active(&sandbox), work.value);
    are_links(&sandbox);
    let entries = fs::read_dir(sandbox.hf_home()).unwrap();
    for entry in entries.flatten() {
        let name = entry.file_name().into_string().unwrap();
        assert!(!name.starts_with(".hfd-"), "{name}");
    }
}
