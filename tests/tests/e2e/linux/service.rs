//! The daemon as a service of systemd's user manager, the real one.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use hfd_e2e::{Sandbox, Token, UserManager, eventually, fault, processes};
use serde_json::{Value, json};

use crate::browser;

/// A session in which systemd runs.
fn session(sandbox: &Sandbox) -> UserManager<'_> {
    let manager = sandbox.user_manager();
    manager.start();
    manager
}

/// One in which it runs hfd.
fn installed(sandbox: &Sandbox) -> UserManager<'_> {
    session(sandbox);
    install(sandbox)
}

/// Has the systemd that runs run hfd.
pub(crate) fn install(sandbox: &Sandbox) -> UserManager<'_> {
    sandbox.hfd(["service", "install"]).ok();
    sandbox.user_manager()
}

fn unit(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().join(".config/systemd/user/hfd.service")
}

fn run_by(sandbox: &Sandbox) -> Value {
    sandbox.hfd(["status", "--json"]).ok().json()["service"].clone()
}

#[test]
fn once_installed_it_is_systemd_that_runs_the_daemon() {
    let sandbox = Sandbox::new();
    let manager = session(&sandbox);
    let work = sandbox.logged_in("work");
    let on_demand = sandbox.daemon_pid();
    assert_eq!(run_by(&sandbox), Value::Null);
    sandbox
        .hfd(["service", "install"])
        .ok()
        .shows("Wrote ")
        .shows("hfd.service");
    assert!(!processes::is_alive(on_demand), "there is one daemon");
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
    assert_eq!(run_by(&sandbox), "systemd");
    sandbox.hfd(["status"]).ok().shows("run by systemd");
    let shown = sandbox.hfd(["service", "status", "--json"]).ok().json();
    assert_eq!(shown["service"], "systemd");
    assert_eq!(
        shown["unit"],
        json!({"path": unit(&sandbox), "state": "active", "enabled": true})
    );
    sandbox.hfd(["token"]).ok().prints(&work);
}

#[test]
fn installing_again_changes_only_what_is_not_as_it_should_be() {
    let sandbox = Sandbox::new();
    let manager = installed(&sandbox);
    let install = || sandbox.hfd(["service", "install", "--json"]).ok().json();
    let first = sandbox.daemon_pid();
    let expected = json!({
        "unit": unit(&sandbox), "changed": false, "pid": first, "version": "0.1.0"
    });
    assert_eq!(install(), expected);
    let content = fs::read_to_string(unit(&sandbox)).unwrap();
    let older = content.replace("ExecStart=\"", "ExecStart=\"/elsewhere");
    fs::write(unit(&sandbox), &older).unwrap();
    let again = install();
    assert_eq!(again["changed"], true);
    assert_ne!(again["pid"], first, "what it says is what runs");
    assert_eq!(fs::read_to_string(unit(&sandbox)).unwrap(), content);
    manager.systemctl(["disable", "hfd.service"]).ok();
    sandbox.hfd(["service", "stop"]).ok();
    install();
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
    manager.systemctl(["is-enabled", "hfd.service"]).ok();
}

#[test]
fn a_command_starts_it_through_the_service() {
    let sandbox = Sandbox::new();
    let manager = installed(&sandbox);
    let work = sandbox.logged_in("work");
    sandbox.hfd(["service", "stop"]).ok().shows("has ended");
    assert_eq!(manager.state(), "inactive", "stopped is not crashed");
    sandbox.hfd(["service", "status"]).ok().shows("inactive");
    sandbox.hfd(["token"]).ok().prints(&work);
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
    let before = sandbox.daemon_pid();
    sandbox.hfd(["service", "restart"]).ok();
    assert_ne!(sandbox.daemon_pid(), before);
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
}

#[test]
fn many_commands_at_once_start_one() {
    let sandbox = Sandbox::new();
    let manager = installed(&sandbox);
    sandbox.hfd(["service", "stop"]).ok();
    let commands: Vec<_> = (0..8).map(|_| sandbox.hfd(["list"]).spawn()).collect();
    for command in commands {
        assert_eq!(command.end().status, 0);
    }
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
}

#[test]
fn a_session_starts_it_and_ends_it() {
    let sandbox = Sandbox::new();
    let manager = installed(&sandbox);
    let work = sandbox.logged_in("work");
    manager.stop();
    assert!(sandbox.daemons().is_empty(), "it ends with its session");
    manager.start();
    eventually("the daemon runs, and nobody has asked for it", || {
        manager.main_pid().is_some()
    });
    assert_eq!(run_by(&sandbox), "systemd");
    sandbox.hfd(["token"]).ok().prints(&work);
}

#[test]
fn it_takes_over_from_one_that_was_started_on_demand() {
    let sandbox = Sandbox::new();
    let manager = installed(&sandbox);
    sandbox.hfd(["service", "stop"]).ok();
    // A shell without the session's manager, as over ssh: it is served on demand.
    sandbox
        .hfd(["list"])
        .env("XDG_RUNTIME_DIR", sandbox.root())
        .ok();
    let on_demand = sandbox.daemon_pid();
    assert_eq!(manager.main_pid(), None);
    sandbox.hfd(["list"]).ok();
    assert_eq!(sandbox.daemons(), [on_demand], "the one that runs is used");
    manager.systemctl(["start", "hfd.service"]).ok();
    assert!(!processes::is_alive(on_demand), "there is one owner");
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
}

#[test]
fn uninstalled_it_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let manager = installed(&sandbox);
    let work = sandbox.logged_in("work");
    let daemon = sandbox.daemon_pid();
    let answer = sandbox.hfd(["service", "uninstall", "--json"]).ok().json();
    assert_eq!(answer, json!({"unit": unit(&sandbox), "pid": daemon}));
    eventually("it has ended", || sandbox.daemons().is_empty());
    let left = fs::read_dir(unit(&sandbox).parent().unwrap()).unwrap();
    assert_eq!(left.count(), 0, "neither the unit nor a link to it");
    manager.systemctl(["cat", "hfd.service"]).exits(1);
    let again = sandbox.hfd(["service", "uninstall"]).ok();
    again.prints("No service is installed.");
    sandbox.hfd(["token"]).ok().prints(&work);
    assert_eq!(run_by(&sandbox), Value::Null);
}

#[test]
fn a_packages_unit_is_the_service_of_whoever_enables_it() {
    let sandbox = browser::sandbox();
    let manager = installed(&sandbox);
    // Where the manager has the units of packages.
    let packaged = sandbox.root().join("units/hfd.service");
    fs::copy(unit(&sandbox), &packaged).unwrap();
    sandbox.hfd(["service", "uninstall"]).ok();
    browser::log_in(&sandbox);
    assert_eq!(run_by(&sandbox), Value::Null, "it is enabled for nobody");
    let status = sandbox.hfd(["service", "status", "--json"]).ok().json();
    assert_eq!(status["unit"], Value::Null);

    manager.systemctl(["enable", "--now", "hfd.service"]).ok();
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
    sandbox.hfd(["service", "stop"]).ok();
    assert_eq!(manager.state(), "inactive");
    sandbox.hfd(["sync"]).ok();
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
    let withheld = || !sandbox.stored_tokens().unwrap().contains("refresh_token");
    assert!(withheld());
    let link = unit(&sandbox).with_file_name("default.target.wants/hfd.service");
    let status = sandbox.hfd(["service", "status", "--json"]).ok().json();
    assert_eq!(
        status["unit"],
        json!({"path": link, "state": "active", "enabled": true})
    );

    sandbox.hfd(["service", "uninstall"]).ok();
    assert!(!withheld() && !link.exists() && packaged.exists());
    assert_eq!(manager.state(), "inactive");
}

#[test]
fn a_service_that_could_not_be_uninstalled_withholds_as_before() {
    let sandbox = browser::sandbox();
    let _manager = installed(&sandbox);
    browser::log_in(&sandbox);
    let withheld = || {
        let stored = sandbox.stored_tokens().unwrap();
        stored.contains("expires_at") && !stored.contains("refresh_token")
    };
    assert!(withheld());
    let lock = sandbox.hf_home().join("stored_tokens.lock");
    let lock = std::fs::File::open(lock).unwrap();
    lock.lock().unwrap();
    sandbox
        .hfd(["service", "uninstall"])
        .exits(1)
        .notes("the refresh tokens are not back");
    drop(lock);
    sandbox.hfd(["sync"]).ok();
    assert!(withheld());
    assert!(unit(&sandbox).is_file());
    sandbox.hfd(["service", "uninstall"]).ok();
    assert!(sandbox.stored_tokens().unwrap().contains("refresh_token"));
}

#[test]
fn its_log_is_the_journal() {
    let sandbox = Sandbox::new();
    let _manager = installed(&sandbox);
    let daemon = sandbox.daemon_pid();
    let line = format!("hfdd[{daemon}]: hfd_daemon::start: ready");
    // Shared with the other tests' sessions, so that a few lines may all be theirs.
    eventually("the journal has it", || {
        let logs = sandbox.hfd(["service", "logs", "-n", "10000"]).ok();
        logs.stdout.contains(&line)
    });
    let logs = sandbox.hfd(["service", "logs", "-n", "1"]).ok();
    assert_eq!(logs.stdout.lines().count(), 1, "{logs}");
}

#[test]
fn nothing_that_it_needs_is_denied_to_it() {
    let sandbox = Sandbox::new();
    let _manager = installed(&sandbox);
    let work = sandbox.logged_in("work");
    assert_eq!(sandbox.token_file().as_deref(), Some(work.value.as_str()));
    sandbox.hfd(["whoami"]).ok();
    // Names are resolved in the daemon, without a netlink socket.
    let by_name = sandbox.hub().endpoint().replace("127.0.0.1", "localhost");
    sandbox
        .hfd(["login", "--with-token", "--name", "by-name"])
        .env("HF_ENDPOINT", by_name)
        .stdin(sandbox.token("by-name"))
        .ok();
    let play = sandbox.unknown_token("play");
    let section = format!("[play]\nhf_token = {}\n", play.value);
    let stored = sandbox.stored_tokens().unwrap() + &section;
    sandbox.write_hf_file("stored_tokens", stored);
    sandbox.hfd(["sync"]).ok();
    sandbox.hfd(["token", "play"]).ok().prints(&play);
    let status = sandbox.hfd(["status", "--json"]).ok().json();
    assert_eq!(status["locked_memory"], true);
    assert_eq!(status["store"]["state"], "ready");
    let pid = sandbox.daemon_pid();
    let process = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Umask:\t0077"] {
        assert!(process.contains(line), "{line} in {process}");
    }
    // The journal is shared with the other tests' sessions.
    let its = format!("_PID={pid}");
    let complaints = ["--quiet", "--output=cat", "--priority=warning", &its];
    sandbox
        .program("journalctl", complaints)
        .ok()
        .prints_nothing();
}

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let sandbox = Sandbox::new();
    let _manager = installed(&sandbox);
    let file = unit(&sandbox);
    let verified = sandbox
        .program(
            "systemd-analyze",
            ["--user", "verify", file.to_str().unwrap()],
        )
        .ok();
    assert_eq!((&*verified.stdout, &*verified.stderr), ("", ""));
    // The README says what it says.
    let security = [
        "--user",
        "security",
        "--no-pager",
        "--threshold=66",
        "hfd.service",
    ];
    sandbox
        .program("systemd-analyze", security)
        .ok()
        .shows("exposure level for hfd.service: 6.6");
}

#[test]
fn it_says_when_it_is_ready_and_when_it_leaves() {
    let sandbox = Sandbox::new();
    let path = sandbox.root().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let heard = || {
        let mut datagram = [0; 64];
        let length = socket.recv(&mut datagram).expect("it says something");
        String::from_utf8_lossy(&datagram[..length]).into_owned()
    };
    let service = || sandbox.program("hfdd", ["--service"]);
    let daemon = service().env("NOTIFY_SOCKET", &path).spawn();
    assert_eq!(heard(), "READY=1");
    sandbox.hfd(["list"]).ok();
    let ended = daemon.terminate();
    assert_eq!(heard(), "STOPPING=1");
    assert_eq!(ended.status, 0, "{ended}");
    service().exits(2).notes("NOTIFY_SOCKET");
}

#[test]
fn killed() {
    let mut fault = fault!("service killed (-9)");
    let sandbox = Sandbox::new();
    let manager = installed(&sandbox);
    let work = sandbox.logged_in("work");
    let before = sandbox.daemon_pid();
    processes::kill9(before);
    fault
        .answers("token at once", sandbox.hfd(["token"]).end())
        .prints(&work);
    eventually("systemd has started another", || {
        manager.main_pid().is_some_and(|pid| pid != before)
    });
    fault
        .answers("token afterwards", sandbox.hfd(["token"]).end())
        .prints(&work);
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
}

#[test]
fn frozen() {
    let mut fault = fault!("service frozen (SIGSTOP)");
    let sandbox = Sandbox::new();
    let manager = installed(&sandbox);
    let work = sandbox.logged_in("work");
    processes::freeze(sandbox.daemon_pid());
    // systemd thaws what it ends (SIGCONT after SIGTERM).
    let stop = sandbox.hfd(["service", "stop"]).end();
    fault.answers("stop", stop).shows("has ended");
    assert_eq!(manager.main_pid(), None, "what was stopped stays so");
    fault
        .answers("token afterwards", sandbox.hfd(["token"]).end())
        .prints(&work);
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
}

#[test]
fn no_manager() {
    let mut fault = fault!("no user manager");
    let sandbox = Sandbox::new();
    let install = sandbox.hfd(["service", "install"]).end();
    fault
        .answers("install", install)
        .notes("nothing was changed");
    assert!(!unit(&sandbox).exists());
    fault.answers("list", sandbox.hfd(["list"]).end());
}

#[test]
fn the_manager_is_gone() {
    let mut fault = fault!("user manager gone after an install");
    let sandbox = Sandbox::new();
    let manager = installed(&sandbox);
    let work = sandbox.logged_in("work");
    manager.stop();
    fault
        .answers("token", sandbox.hfd(["token"]).end())
        .prints(&work);
    assert_eq!(run_by(&sandbox), Value::Null, "on demand");
    let status = sandbox.hfd(["service", "status"]).end();
    fault
        .answers("status", status)
        .shows("systemd does not answer");
    fault.answers("uninstall", sandbox.hfd(["service", "uninstall"]).end());
    assert!(unit(&sandbox).exists(), "it is removed whole or not at all");
    fault.answers("stop", sandbox.hfd(["service", "stop"]).end());
    // Its lock is free a moment before its process has ended.
    eventually("it has ended", || sandbox.daemons().is_empty());
}

#[test]
fn other_places() {
    let mut fault = fault!("service with other places than the caller's");
    let sandbox = Sandbox::new();
    let _manager = session(&sandbox);
    for (asked, variable) in [
        ("install with XDG_STATE_HOME", "XDG_STATE_HOME"),
        ("install with HFD_SOCKET", "HFD_SOCKET"),
    ] {
        let elsewhere = sandbox.root().join("elsewhere");
        let install = sandbox.hfd(["service", "install"]).env(variable, elsewhere);
        fault.answers(asked, install.end()).notes(variable);
    }
    assert!(!unit(&sandbox).exists());
    assert!(sandbox.daemons().is_empty());
}

#[test]
fn one_that_cannot_start() {
    let mut fault = fault!("service that cannot start (wrong configuration)");
    let sandbox = Sandbox::new();
    let manager = session(&sandbox);
    sandbox.configure("lgo = \"info\"\n");
    let install = sandbox.hfd(["service", "install"]).end();
    fault
        .answers("install", install)
        .notes("journalctl --user-unit=hfd.service");
    assert!(!unit(&sandbox).exists(), "nothing is half installed");
    manager.systemctl(["is-enabled", "hfd.service"]).exits(1);
    sandbox.configure("log = \"info\"\n");
    let login = |token: &Token| sandbox.hfd(["login", "--with-token"]).stdin(token).end();
    fault.answers("login afterwards", login(&sandbox.token("work")));
    fault.answers(
        "install afterwards",
        sandbox.hfd(["service", "install"]).end(),
    );
    sandbox.configure("lgo = \"info\"\n");
    let other = fs::read_to_string(unit(&sandbox)).unwrap() + "# edited\n";
    fs::write(unit(&sandbox), &other).unwrap();
    let over = sandbox.hfd(["service", "install"]).end();
    fault.answers("install over another", over);
    assert_eq!(fs::read_to_string(unit(&sandbox)).unwrap(), other);
    fault.answers("restart", sandbox.hfd(["service", "restart"]).end());
    eventually("it is not tried again and again", || {
        manager.state() == "failed"
    });
    sandbox.configure("log = \"info\"\n");
    fault.answers(
        "restart afterwards",
        sandbox.hfd(["service", "restart"]).end(),
    );
    assert_eq!(manager.main_pid(), Some(sandbox.daemon_pid()));
}

#[test]
fn systemd_hands_over_what_opens_the_encrypted_file() {
    let sandbox = Sandbox::new();
    sandbox.configure("store = \"file\"\n");
    let manager = installed(&sandbox);
    let work = sandbox.logged_in("work");
    sandbox.hfd(["mirror", "add", "--mode", "off"]).ok();
    let rekey = ["store", "rekey", "--with-passphrase"];
    sandbox.hfd(rekey).stdin("open sesame").ok();
    sandbox.hfd(["service", "restart"]).ok();
    sandbox.hfd(["token", "work"]).exits(11).notes("hfd unlock");
    let passphrase = sandbox.home().join("passphrase");
    fs::write(&passphrase, "open sesame\n").unwrap();
    let extra = unit(&sandbox).with_extension("service.d");
    fs::create_dir(&extra).unwrap();
    let credential = format!(
        "[Service]\nLoadCredential=hfd.passphrase:{}\n",
        passphrase.display()
    );
    fs::write(extra.join("passphrase.conf"), credential).unwrap();
    manager.systemctl(["daemon-reload"]).ok();
    sandbox.hfd(["service", "restart"]).ok();
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    // And nobody is asked after the next start either.
    processes::kill9(sandbox.daemon_pid());
    sandbox.hfd(["token", "work"]).ok().prints(&work);
    sandbox.hfd(["lock"]).ok();
    sandbox.hfd(["token", "work"]).exits(11);
    sandbox.hfd(["unlock"]).ok();
    sandbox.hfd(["token", "work"]).ok().prints(&work);
}
