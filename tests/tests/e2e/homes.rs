//! Hugging Face homes that are elsewhere, or cannot be used.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use hfd_e2e::{Outcome, Sandbox, Token, fault};

fn login(sandbox: &Sandbox, token: &Token, hf_home: &str) -> Outcome {
    sandbox
        .hfd(["login", "--with-token"])
        .stdin(token)
        .env("HF_HOME", hf_home)
        .end()
}

#[test]
fn empty() {
    let mut fault = fault!("HF_HOME empty");
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    fault.answers("login", login(&sandbox, &work, ""));
    assert!(!sandbox.home().join("token").exists());
    fault.answers("list", sandbox.hfd(["list"]).env("HF_HOME", "").end());
}

#[test]
fn relative() {
    let mut fault = fault!("HF_HOME relative");
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    fault
        .answers("login", login(&sandbox, &work, "hf"))
        .notes("absolute");
    assert!(!sandbox.home().join("hf").exists());
}

#[test]
fn with_tilde_and_variables() {
    let mut fault = fault!("HF_HOME with ~ and $VAR");
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    let place = sandbox.home().join("models/hf");
    sandbox.allow_mirror(&place);
    fault.answers("login with ~", login(&sandbox, &work, "~/models/hf"));
    assert_eq!(fs::read_to_string(place.join("token")).unwrap(), work.value);
    let play = sandbox.token("play");
    let other = sandbox.hfd(["login", "--with-token"]).stdin(&play);
    let other = other
        .env("HF_HOME", "$BASE/hf")
        .env("BASE", sandbox.home().join("models"))
        .end();
    fault.answers("login with $VAR", other);
    let python = "import huggingface_hub as h; print(h.get_token())";
    sandbox
        .python(python)
        .env("HF_HOME", "~/models/hf")
        .ok()
        .prints(&play);
}

#[test]
fn read_only() {
    let mut fault = fault!("HF_HOME read-only");
    let sandbox = Sandbox::new();
    let home = sandbox.home().join("hf");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, Permissions::from_mode(0o500)).unwrap();
    sandbox.allow_mirror(&home);
    let work = sandbox.token("work");
    let home = home.to_str().unwrap();
    fault
        .answers("login", login(&sandbox, &work, home))
        .notes(sandbox.shown(home).to_str().unwrap());
    fault.answers("list", sandbox.hfd(["list"]).env("HF_HOME", home).end());
    fs::set_permissions(home, Permissions::from_mode(0o700)).unwrap();
    fault.answers("login afterwards", login(&sandbox, &work, home));
    sandbox
        .hfd(["token"])
        .env("HF_HOME", home)
        .ok()
        .prints(&work);
}

#[test]
fn a_file() {
    let mut fault = fault!("HF_HOME a file");
    let sandbox = Sandbox::new();
    let home = sandbox.home().join("hf");
    fs::write(&home, "a file").unwrap();
    let work = sandbox.token("work");
    fault.answers("login", login(&sandbox, &work, home.to_str().unwrap()));
    assert_eq!(fs::read_to_string(&home).unwrap(), "a file");
    fault.answers("list", sandbox.hfd(["list"]).env("HF_HOME", &home).end());
}

#[test]
fn on_a_full_disk() {
    let mut fault = fault!("disk full (a small tmpfs)");
    let sandbox = Sandbox::new();
    let disk =
        PathBuf::from(std::env::var_os("HFD_TEST_SMALL_DISK").expect(
            "HFD_TEST_SMALL_DISK names no small disk: run the tests by `tests/run` as root",
        ));
    let home = disk.join("hf");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, Permissions::from_mode(0o700)).unwrap();
    let hf_home = home.to_str().unwrap();
    let work = sandbox.token("work");
    login(&sandbox, &work, hf_home);
    let before = fs::read(home.join("stored_tokens")).unwrap();
    let filler = disk.join("filler");
    // Until nothing more fits.
    let full = sandbox
        .sh("cat /dev/zero > \"$FILLER\"")
        .env("FILLER", &filler)
        .end();
    assert!(full.stderr.contains("No space left"), "{full}");
    let play = sandbox.token("play");
    fault.answers("login", login(&sandbox, &play, hf_home));
    assert_eq!(
        fs::read(home.join("token")).unwrap(),
        work.value.as_bytes(),
        "whole"
    );
    assert_eq!(
        fs::read(home.join("stored_tokens")).unwrap(),
        before,
        "whole"
    );
    fs::remove_file(&filler).unwrap();
    fault.answers("login afterwards", login(&sandbox, &play, hf_home));
    assert_eq!(fs::read(home.join("token")).unwrap(), play.value.as_bytes());
    sandbox.hfd(["service", "stop"]).ok();
    fs::remove_dir_all(&home).unwrap();
}
