//! `hfd` and a daemon that is not quite as it should be: older, newer, silent, gone.

// clippy allows unwrap in tests, but not in what they are built of.
#![allow(clippy::unwrap_used)]

mod fake;

use fake::{Answer, Desk, FakeDaemon, Ran, hello, keeper, token};
use serde_json::{Value, json};

const OURS: &str = hfd_proto::VERSION;

#[test]
fn a_lookup_is_one_line_there_and_one_line_back() {
    let desk = Desk::new();
    let daemon = FakeDaemon::listen(&desk.socket(), hello(OURS), None, keeper("hf_value"));
    let plain = desk.run(&["token"]);
    assert_eq!((plain.status, plain.stdout.as_str()), (0, "hf_value\n"));
    assert_eq!(plain.stderr, "");
    let cache = desk.path("home").join(".cache");
    let home = cache.join("huggingface").join("token");
    assert_eq!(
        daemon.requests(),
        [json!({ "kind": "token", "home": home })]
    );

    let named = desk.run(&["token", "work", "--json", "--min-ttl", "2m"]);
    let document: Value = serde_json::from_str(&named.stdout).unwrap();
    assert_eq!(document, token("hf_value")["ok"]);
    assert_eq!(
        daemon.requests()[1],
        json!({ "kind": "token", "name": "work", "home": home, "min_ttl": 120 })
    );
}

#[test]
fn a_token_in_the_environment_needs_no_daemon_but_a_named_one_does() {
    let desk = Desk::new();
    let with = |arguments: &[&str]| {
        let output = desk.hfd(arguments).env("HF_TOKEN", "hf_env").output();
        Ran::of(output.unwrap())
    };
    assert_eq!(with(&["token"]).stdout, "hf_env\n");
    FakeDaemon::listen(&desk.socket(), hello(OURS), None, keeper("hf_value"));
    assert_eq!(with(&["token", "work"]).stdout, "hf_value\n");
}

#[cfg(unix)] // the `hfdd` is a shell script
#[test]
fn an_older_daemon_makes_room_for_ours() {
    let desk = Desk::new();
    let lock = desk.hold_lock(&desk.socket());
    let old = FakeDaemon::listen(&desk.socket(), hello("0.0.9"), Some(lock), keeper("hf_old"));
    let new_socket = desk.path("new.sock");
    let new = FakeDaemon::listen(&new_socket, hello(OURS), None, keeper("hf_new"));
    let ready = json!({ "ok": { "pid": 1, "socket": new_socket } });
    desk.install_hfdd(&format!("echo '{ready}'"));

    let ran = desk.run(&["token"]);
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (0, "hf_new\n"),
        "{ran:?}"
    );
    assert_eq!(old.kinds(), ["retire"]);
    assert_eq!(new.kinds(), ["token"]);
    assert_eq!(
        std::fs::read_to_string(desk.path("starts")).unwrap(),
        "--detach\n"
    );
}

#[cfg(unix)] // the service is a unit of systemd
#[test]
fn an_older_daemon_of_a_service_that_runs_another_hfdd_is_used_as_it_is() {
    let desk = Desk::new();
    let older = FakeDaemon::listen(&desk.socket(), hello("0.0.9"), None, keeper("hf_value"));
    desk.install_hfdd("exit 1");
    let units = desk.path("home/.config/systemd/user");
    std::fs::create_dir_all(&units).unwrap();
    let unit = "[Service]\nExecStart=\"/usr/bin/hfdd\" --service\n";
    std::fs::write(units.join("hfd.service"), unit).unwrap();
    // Asked to leave, it would be back with the next command, and asked again.
    assert_eq!(desk.run(&["token"]).stdout, "hf_value\n");
    assert_eq!(older.kinds(), ["token"]);
    assert_eq!(desk.starts(), 0);
}

#[test]
fn a_newer_daemon_is_used_as_it_is() {
    let desk = Desk::new();
    let newer = FakeDaemon::listen(&desk.socket(), hello("99.0.0"), None, keeper("hf_value"));
    assert_eq!(desk.run(&["token"]).stdout, "hf_value\n");
    assert_eq!(newer.kinds(), ["token"]);
}

#[test]
fn without_a_common_protocol_nothing_is_asked_and_the_hint_says_what_to_do() {
    for version in ["0.0.1", "99.0.0"] {
        let desk = Desk::new();
        let greeting = json!({ "hfd": [2, 3], "daemon": version, "pid": 1 });
        let daemon = FakeDaemon::listen(&desk.socket(), greeting, None, keeper("hf_value"));
        let ran = desk.run(&["token", "--json"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (16, ""));
        let error: Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(error["error"]["kind"], "no-common-protocol");
        assert!(error["error"]["hint"].as_str().unwrap().contains("restart"));
        assert!(daemon.kinds().is_empty());
    }
}

#[test]
fn a_daemon_that_says_nothing_is_given_up_and_not_asked_again() {
    let desk = Desk::new();
    let _lock = desk.hold_lock(&desk.socket());
    let daemon = FakeDaemon::listen(&desk.socket(), Value::Null, None, |_| Answer::Silence);
    let ran = desk.run(&["token"]);
    assert_eq!(ran.status, 15, "{ran:?}");
    // Nor is another one started: it is not even missed.
    assert!(ran.stderr.contains("does not answer") && ran.stderr.contains("restart"));
    assert_eq!(daemon.connections(), 1);
}

#[test]
fn a_daemon_that_leaves_in_the_middle_is_an_error_not_a_hang() {
    let desk = Desk::new();
    let daemon = FakeDaemon::listen(&desk.socket(), hello(OURS), None, |_| Answer::HangUp);
    for (command, asked) in [(&["token"][..], 2), (&["switch", "work"], 1)] {
        let before = daemon.connections();
        let ran = desk.run(command);
        assert_eq!((ran.status, ran.stdout.as_str()), (15, ""));
        assert!(ran.stderr.contains("left before it answered"));
        assert_eq!(daemon.connections() - before, asked, "{command:?}");
    }
}

#[test]
fn a_greeting_that_is_an_error_is_shown() {
    let desk = Desk::new();
    let _lock = desk.hold_lock(&desk.socket());
    let refusal = json!({ "err": { "kind": "refused", "message": "too many connections" } });
    FakeDaemon::listen(&desk.socket(), refusal, None, |_| Answer::HangUp);
    let ran = desk.run(&["token"]);
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (14, "error: too many connections\n")
    );
}

#[test]
fn an_answer_that_is_no_answer_is_not_shown() {
    let desk = Desk::new();
    FakeDaemon::listen(&desk.socket(), hello(OURS), None, |_| {
        Answer::Line(json!({ "ok": { "token": "hf_canary with spaces" } }))
    });
    let ran = desk.run(&["token"]);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("malformed") && !ran.stderr.contains("canary"));
}

#[cfg(unix)] // a pipe goes with its server
#[test]
fn a_stale_socket_is_no_daemon() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("run/hfd")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(desk.socket()).unwrap());
    let ran = desk.run(&["status", "--json"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let state: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(state["daemon"].is_null());
}

#[cfg(unix)] // a pipe is never elsewhere
#[test]
fn the_lock_leads_to_a_daemon_elsewhere() {
    let desk = Desk::new();
    let elsewhere = desk.path("elsewhere.sock");
    let _lock = desk.hold_lock(&elsewhere);
    FakeDaemon::listen(&elsewhere, hello(OURS), None, keeper("hf_value"));
    assert_eq!(desk.run(&["token"]).stdout, "hf_value\n");
}

#[cfg(unix)] // the `hfdd` is a shell script
#[test]
fn however_many_ask_at_once_one_starts_the_daemon() {
    let desk = Desk::new();
    let socket = desk.path("new.sock");
    FakeDaemon::listen(&socket, hello(OURS), None, keeper("hf_value"));
    // The lock file that the daemon would write; it appears when the daemon is started.
    drop(desk.hold_lock(&socket));
    let lock = desk.place().lock();
    let prepared = desk.path("prepared");
    std::fs::rename(&lock, &prepared).unwrap();
    let ready = json!({ "ok": { "pid": 1, "socket": socket } });
    desk.install_hfdd(&format!(
        "mv {} {}\necho '{ready}'",
        prepared.display(),
        lock.display()
    ));

    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = desk.hfd(&["token"]);
            client
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped());
            client.spawn().unwrap()
        })
        .collect();
    for client in clients {
        let ran = Ran::of(client.wait_with_output().unwrap());
        assert_eq!(
            (ran.status, ran.stdout.as_str()),
            (0, "hf_value\n"),
            "{ran:?}"
        );
    }
    assert_eq!(desk.starts(), 1);
}

#[cfg(unix)] // the `hfdd` is a shell script
#[test]
fn the_daemon_inherits_neither_tokens_nor_the_directory() {
    let desk = Desk::new();
    let seen = desk.path("seen");
    desk.install_hfdd(&format!(
        "{{ pwd; env; ls -l /proc/self/fd; }} > {}; exit 1",
        seen.display()
    ));
    let mut command = desk.hfd(&["list"]);
    command
        .env("HF_TOKEN", "hf_canary")
        .env("LD_PRELOAD_X", "x")
        .env("LC_TIME", "C")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/b")
        .current_dir(desk.path("home"));
    assert_eq!(command.output().unwrap().status.code(), Some(15));
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.starts_with("/\n"));
    for passed in [
        "HOME=",
        "XDG_RUNTIME_DIR=",
        "LC_TIME=C",
        "DBUS_SESSION_BUS_ADDRESS=",
    ] {
        assert!(seen.contains(passed), "{seen}");
    }
    for kept_back in ["hf_canary", "LD_PRELOAD_X"] {
        assert!(!seen.contains(kept_back), "{seen}");
    }
}

#[cfg(unix)] // the `hfdd` is a shell script
#[test]
fn a_start_that_fails_says_why() {
    let missing = Desk::new().run(&["list"]);
    assert_eq!(missing.status, 15);
    assert!(missing.stderr.contains("not installed") && missing.stderr.contains("hint: "));

    let refusing = Desk::new();
    let err = json!({ "err": { "kind": "refused", "message": "the directory /x is a link" } });
    refusing.install_hfdd(&format!("echo '{err}'"));
    let ran = refusing.run(&["list"]);
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (14, "error: the directory /x is a link\n")
    );

    for script in ["exit 3", "echo nonsense"] {
        let desk = Desk::new();
        desk.install_hfdd(script);
        let ran = desk.run(&["list"]);
        assert_eq!(ran.status, 15, "{script}: {ran:?}");
        assert!(ran.stderr.contains("hint: "), "{ran:?}");
    }
}

#[cfg(unix)] // the `hfdd` is a shell script
#[test]
fn looking_starts_and_retires_nothing() {
    let desk = Desk::new();
    desk.install_hfdd("exit 1");
    for arguments in [
        &["status"][..],
        &["service", "status"],
        &["service", "stop"],
        &["completions", "bash"],
        &["man", "pages"],
    ] {
        let output = desk.hfd(arguments).current_dir(desk.path("home")).output();
        let ran = Ran::of(output.unwrap());
        assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
        assert!(!ran.stdout.is_empty());
    }
    assert_eq!(desk.starts(), 0);
    let old = FakeDaemon::listen(&desk.socket(), hello("0.0.9"), None, keeper("hf_old"));
    desk.run(&["status"]);
    assert_eq!(old.kinds(), ["status"]);
}

#[test]
fn stopping_waits_for_the_lock() {
    let desk = Desk::new();
    let lock = desk.hold_lock(&desk.socket());
    let daemon = FakeDaemon::listen(&desk.socket(), hello(OURS), Some(lock), keeper("hf_value"));
    let ran = desk.run(&["service", "stop", "--json"]);
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (0, "{\"pid\":1,\"forced\":false}\n")
    );
    assert_eq!(daemon.kinds(), ["shutdown"]);
}

#[test]
fn a_stranger_that_holds_the_lock_is_not_killed() {
    let desk = Desk::new();
    // This very test holds it, and is called something else than hfdd.
    let _lock = desk.hold_lock(&desk.socket());
    let ran = desk.run(&["service", "stop"]);
    assert_eq!(ran.status, 15);
    assert!(ran.stderr.contains("another container"), "{ran:?}");
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let desk = Desk::new();
    FakeDaemon::listen(&desk.socket(), hello(OURS), None, keeper("hf_value"));
    for arguments in [&["token"][..], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = desk.hfd(arguments).stdout(writer).output();
        let ran = Ran::of(output.unwrap());
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[cfg(unix)] // there is no such device elsewhere
#[test]
fn a_full_disk_is_an_error() {
    let desk = Desk::new();
    FakeDaemon::listen(&desk.socket(), hello(OURS), None, keeper("hf_value"));
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let ran = Ran::of(desk.hfd(&["token"]).stdout(full).output().unwrap());
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("cannot write to stdout"));
}

#[cfg(unix)] // the programs are those of a shell
#[test]
fn a_program_gets_the_token_and_keeps_its_own_status() {
    let desk = Desk::new();
    FakeDaemon::listen(&desk.socket(), hello(OURS), None, keeper("hf_value"));
    let mut command = desk.hfd(&[
        "exec",
        "--",
        "sh",
        "-c",
        "env | grep -i hugg; echo $HF_TOKEN; exit 7",
    ]);
    let ran = Ran::of(command.output().unwrap());
    assert_eq!((ran.status, ran.stdout.as_str()), (7, "hf_value\n"));
    let mut command = desk.hfd(&[
        "exec",
        "--as",
        "work",
        "--",
        "sh",
        "-c",
        "echo $HF_TOKEN$HUGGING_FACE_HUB_TOKEN",
    ]);
    command
        .env("HF_TOKEN", "hf_env")
        .env("HUGGING_FACE_HUB_TOKEN", "hf_older");
    assert_eq!(Ran::of(command.output().unwrap()).stdout, "hf_value\n");
    assert_eq!(desk.run(&["exec", "--", "no-such-program"]).status, 127);
    assert_eq!(desk.run(&["exec", "--", "/"]).status, 126);
}

#[test]
fn a_session_without_a_home_of_its_own_is_refused_and_the_rest_works() {
    let desk = Desk::new();
    let daemon = FakeDaemon::listen(&desk.socket(), hello(OURS), None, keeper("hf_value"));
    for (home, arguments) in [
        ("", &["token"][..]),
        (".hf", &["switch", "work"]),
        (".hf", &["logout", "work"]),
        (".hf", &["login", "--with-token"]),
        (".hf", &["whoami"]),
    ] {
        let ran = Ran::of(desk.hfd(arguments).env("HF_HOME", home).output().unwrap());
        assert_eq!(ran.status, 14, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("HF_HOME") && ran.stderr.contains("hint: "));
    }
    assert!(daemon.kinds().is_empty());
    let named = Ran::of(
        desk.hfd(&["token", "work"])
            .env("HF_HOME", ".hf")
            .output()
            .unwrap(),
    );
    assert_eq!(named.stdout, "hf_value\n");
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let desk = Desk::new();
    let ran = desk.run(&["switch"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.stderr.contains("hfd switch NAME"));
    assert_eq!(desk.starts(), 0);
}

#[test]
fn a_wrong_command_line_is_json_where_json_was_asked_for() {
    let desk = Desk::new();
    let ran = desk.run(&["list", "--json", "--nope"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""));
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "usage");
}
