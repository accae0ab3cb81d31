//! Where the daemon is found: one, whatever the environment; nobody else's.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use hfd_e2e::{Sandbox, Stranger, Token, eventually, fault, processes};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_runtime_directory_vanishes() {
    let mut fault = fault!("runtime directory that vanishes");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let daemon = sandbox.daemon_pid();
    fs::remove_dir_all(sandbox.runtime_dir().join("hfd")).unwrap();
    fault
        .answers("token", sandbox.hfd(["token"]).end())
        .prints(&work);
    fault.answers("list", sandbox.hfd(["list"]).end());
    assert_eq!(sandbox.daemons(), [daemon], "still the one daemon");
}

#[test]
fn the_state_directory_vanishes() {
    let mut fault = fault!("state directory that vanishes");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.token("play");
    fs::remove_dir_all(sandbox.state_dir()).unwrap();
    // Another daemon could hold the lock anew by now: this one changes nothing any more.
    let login = |token: &Token| sandbox.hfd(["login", "--with-token"]).stdin(token).end();
    let refused = fault.answers("login", login(&play));
    refused.notes("leaving");
    eventually("it has left", || sandbox.daemons().is_empty());
    fault.answers("login afterwards", login(&play));
    let token = sandbox.hfd(["token", "work"]).end();
    fault.answers("token afterwards", token).prints(&work);
}

#[test]
fn no_runtime_directory_is_named() {
    let mut fault = fault!("XDG_RUNTIME_DIR unset");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let daemon = sandbox.daemon_pid();
    let token = sandbox.hfd(["token"]).unset("XDG_RUNTIME_DIR").end();
    fault.answers("token", token).prints(&work);
    assert_eq!(sandbox.daemons(), [daemon], "still the one daemon");
    sandbox
        .hfd(["service", "stop"])
        .unset("XDG_RUNTIME_DIR")
        .ok();
    let token = sandbox.hfd(["token"]).unset("XDG_RUNTIME_DIR").end();
    fault
        .answers("token that starts the daemon", token)
        .prints(&work);
    let daemon = sandbox.daemon_pid();
    sandbox.hfd(["token"]).ok().prints(&work);
    assert_eq!(
        sandbox.daemons(),
        [daemon],
        "found from an environment that has one"
    );
}

#[test]
fn a_stale_socket() {
    let mut fault = fault!("stale socket");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    processes::kill9(sandbox.daemon_pid());
    let socket = sandbox.runtime_dir().join("hfd/hfdd.sock");
    assert!(
        fs::metadata(&socket).unwrap().file_type().is_socket(),
        "it stays behind"
    );
    fault.answers("status", sandbox.hfd(["status"]).end());
    fault
        .answers("token", sandbox.hfd(["token"]).end())
        .prints(&work);
    sandbox.daemon_pid();
}

#[test]
fn a_group_writable_socket_directory() {
    let mut fault = fault!("group-writable socket directory");
    let sandbox = Sandbox::new();
    let directory = sandbox.runtime_dir().join("hfd");
    fs::create_dir(&directory).unwrap();
    set_mode(&directory, 0o770);
    let refused = fault.answers("list", sandbox.hfd(["list"]).end());
    refused
        .notes(directory.to_str().unwrap())
        .notes("chmod 700");
    eventually("no daemon stays", || sandbox.daemons().is_empty());
    set_mode(&directory, 0o700);
    fault.answers("list afterwards", sandbox.hfd(["list"]).end());
}

#[test]
fn a_socket_directory_of_another_user() {
    let mut fault = fault!("socket directory of another user");
    let sandbox = Sandbox::new();
    let directory = sandbox.runtime_dir().join("hfd");
    set_mode(sandbox.root(), 0o711);
    set_mode(&sandbox.runtime_dir(), 0o777);
    let stranger = Stranger::find();
    stranger.makes_directory(&directory);
    let refused = fault.answers("list", sandbox.hfd(["list"]).end());
    refused.notes("another user");
    eventually("no daemon stays", || sandbox.daemons().is_empty());
    stranger.removes_directory(&directory);
    set_mode(&sandbox.runtime_dir(), 0o700);
    fault.answers("list afterwards", sandbox.hfd(["list"]).end());
}

#[test]
fn a_peer_with_another_uid() {
    let mut fault = fault!("peer with another uid");
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let socket = sandbox.runtime_dir().join("hfd/hfdd.sock");
    let stranger = Stranger::find();
    let kept_out = stranger.calls(&socket, r#"{"kind":"token","name":"work"}"#);
    assert!(
        kept_out.starts_with("error Permission denied"),
        "{kept_out}"
    );
    // Even with every permission it is turned away, before it is listened to.
    for (path, mode) in [
        (sandbox.root(), 0o711),
        (&sandbox.runtime_dir(), 0o711),
        (socket.parent().unwrap(), 0o711),
        (&socket, 0o666),
    ] {
        set_mode(path, mode);
    }
    let refused = stranger.calls(&socket, r#"{"kind":"token","name":"work"}"#);
    assert!(
        refused.starts_with(r#"heard {"err":{"kind":"refused""#),
        "{refused}"
    );
    assert!(!refused.contains("hf_"), "{refused}");
    fault.answers("list", sandbox.hfd(["list"]).end());
}

#[test]
fn a_server_of_another_user() {
    let mut fault = fault!("server of another user");
    let sandbox = Sandbox::new();
    let work = sandbox.token("work");
    let stranger = Stranger::find();
    let socket = stranger.listens();
    let login = sandbox
        .hfd(["login", "--with-token"])
        .stdin(&work)
        .env("HFD_SOCKET", socket)
        .end();
    fault.answers("login", login).notes("another user");
    assert_eq!(stranger.was_sent(), "", "nothing was sent to it");
}
