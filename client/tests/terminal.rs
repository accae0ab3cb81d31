//! `hfd` and a person at a terminal, which script(1) makes.

#![cfg(target_os = "linux")]
// clippy allows unwrap in tests, but not in what they are built of.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // shared with the stories of the wire
mod fake;

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use fake::{Answer, Desk, FakeDaemon, hello};
use serde_json::{Value, json};

/// A terminal in which a shell command runs.
struct Terminal {
    script: Child,
    screen: String,
}

impl Terminal {
    fn run(desk: &Desk, command: &str) -> Self {
        let mut script = desk.command("script");
        let script = script
            .args(["-qec", command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Self {
            script: script.unwrap(),
            screen: String::new(),
        }
    }

    /// Reads until the screen shows `text`, then types `keys`.
    fn answer(&mut self, text: &str, keys: &str) {
        let stdout = self.script.stdout.as_mut().unwrap();
        let mut chunk = [0; 1024];
        while !self.screen.contains(text) {
            let length = stdout.read(&mut chunk).unwrap();
            assert_ne!(length, 0, "`{text}` never came: {}", self.screen);
            self.screen
                .push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
        let stdin = self.script.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
    }

    /// Chooses to paste a token.
    fn paste(&mut self) {
        self.answer("> With your browser", "\u{1b}[B");
        self.answer("> Paste an access token", "\r");
    }

    /// The status of the command, and all that was on the screen.
    fn end(mut self) -> (i32, String) {
        let mut rest = Vec::new();
        let stdout = self.script.stdout.as_mut().unwrap();
        stdout.read_to_end(&mut rest).unwrap();
        self.screen.push_str(&String::from_utf8_lossy(&rest));
        let status = self.script.wait().unwrap();
        (status.code().unwrap(), self.screen)
    }
}

fn entry(name: &str, active: bool) -> Value {
    json!({
        "name": name, "active": active, "kind": "access-token", "role": "write", "user": "alice",
        "endpoint": "https://huggingface.co", "expires_at": null, "masked": "hf_****WXYZ",
        "store": "secret-service"
    })
}

fn status(mirrors: &[Value]) -> Value {
    json!({ "ok": {
        "daemon": { "pid": 1, "version": "0.1.0", "protocol": 1, "uptime_s": 1, "socket": "/s" },
        "store": { "id": "file", "state": "ready", "detail": null },
        "lock": "none", "active": null, "tokens": 1, "mirrors": mirrors,
        "service": null, "unsettled": 0, "locked_memory": true
    }})
}

fn answer(request: &Value) -> Answer {
    let tokens = [entry("ci", false), entry("lab", false), entry("work", true)];
    Answer::Line(match request["kind"].as_str().unwrap() {
        "list" => json!({ "ok": { "tokens": tokens } }),
        "status" => status(&[]),
        "stores" => json!({ "ok": { "stores": [
            { "id": "secret-service", "state": "ready", "detail": null, "default": true,
              "tokens": 3, "protection": null },
            { "id": "file", "state": "ready", "detail": null, "default": false,
              "tokens": 0, "protection": null }
        ]}}),
        "login" => json!({ "ok": {
            "name": "work", "user": "alice", "role": "write",
            "endpoint": "https://huggingface.co", "store": "secret-service",
            "active": true, "replaced": false
        }}),
        "begin-login" => json!({ "ok": {
            "id": 7, "url": "http://hub.example/device", "code": "ABCD-EFGH",
            "complete_url": "http://hub.example/device?user_code=ABCD-EFGH",
            "expires_in": 900, "joined": false
        }}),
        "await-login" => json!({ "ok": { "login": null, "expires_in": 754, "trouble": null } }),
        "cancel-login" => json!({ "ok": { "cancelled": true } }),
        "logout" => json!({ "ok": { "removed": ["work"], "was_active": true } }),
        "switch" => json!({ "ok": { "name": request["name"], "mirrors": [] } }),
        kind => panic!("{kind}"),
    })
}

fn desk() -> (Desk, FakeDaemon) {
    let desk = Desk::new();
    let socket = desk.socket();
    let daemon = FakeDaemon::listen(&socket, hello(hfd_proto::VERSION), None, answer);
    (desk, daemon)
}

#[test]
fn a_token_is_typed_unseen() {
    let (desk, daemon) = desk();
    let mut terminal = Terminal::run(&desk, "hfd login");
    terminal.paste();
    terminal.answer("(not shown): ", "hf_canaryX\u{7f}1234567\r");
    let (status, screen) = terminal.end();
    assert_eq!(status, 0, "{screen}");
    assert!(screen.contains("Logged in as alice.") && !screen.contains("canary"));
    let login = daemon.requests().pop().unwrap();
    assert_eq!(login["token"], "hf_canary1234567");
}

#[test]
fn ctrl_c_ends_a_question_and_leaves_the_terminal_as_it_was() {
    let (desk, daemon) = desk();
    let mut terminal = Terminal::run(&desk, "hfd login; echo status=$?; stty -a");
    terminal.paste();
    terminal.answer("(not shown): ", "hf_half\u{3}");
    let (_, screen) = terminal.end();
    assert!(screen.contains("status=130"), "{screen}");
    assert!(screen.contains(" echo ") && screen.contains(" icanon"));
    assert!(!screen.contains("hf_half"));
    assert_eq!(daemon.kinds(), ["stores", "status"]);
}

#[test]
fn a_token_is_chosen_with_the_arrows() {
    let (desk, daemon) = desk();
    let mut terminal = Terminal::run(&desk, "hfd switch");
    // The active one is marked: one up is `lab`.
    terminal.answer("> work", "\u{1b}[A");
    terminal.answer("> lab", "\r");
    let (status, screen) = terminal.end();
    assert_eq!(status, 0, "{screen}");
    assert!(screen.contains("`lab` is the active token now."));
    assert_eq!(daemon.kinds(), ["list", "switch"]);
}

#[test]
fn a_logout_asks_first_unless_it_may_not() {
    let (desk, daemon) = desk();
    let mut terminal = Terminal::run(&desk, "hfd logout");
    terminal.answer("Remove `work` of alice? [y/N]", "n");
    let (status, screen) = terminal.end();
    assert_eq!(status, 14, "{screen}");
    assert_eq!(daemon.kinds(), ["list"]);

    let mut terminal = Terminal::run(&desk, "hfd logout");
    terminal.answer("[y/N]", "y");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(Terminal::run(&desk, "hfd logout --no-input").end().0, 0);
    assert_eq!(daemon.kinds(), ["list", "list", "logout", "logout"]);
}

#[test]
fn a_login_with_a_browser_shows_where_to_go_and_is_given_up_with_ctrl_c() {
    let (desk, daemon) = desk();
    let mut terminal = Terminal::run(&desk, "hfd login");
    terminal.answer("> With your browser", "\r");
    terminal.answer("12:34 left (Ctrl-C gives up)", "\u{3}");
    let (status, screen) = terminal.end();
    assert!(screen.contains("http://hub.example/device?user_code=ABCD-EFGH"));
    assert_eq!(status, 130, "{screen}");
    // The wait may only just have begun.
    assert!(daemon.kinds().contains(&"cancel-login".to_owned()));
}

#[test]
fn a_login_in_a_home_that_is_not_managed_asks_first() {
    let desk = Desk::new();
    let mirror = json!({
        "dir": "/mnt/data/hf", "mode": "files", "active": null, "state": "in-sync", "detail": null
    });
    let with_mirror = move |request: &Value| match request["kind"].as_str() {
        Some("status") => Answer::Line(status(std::slice::from_ref(&mirror))),
        _ => answer(request),
    };
    let socket = desk.socket();
    let daemon = FakeDaemon::listen(&socket, hello(hfd_proto::VERSION), None, with_mirror);
    let mut terminal = Terminal::run(&desk, "hfd login");
    terminal.answer("does not manage", "n");
    let (status, screen) = terminal.end();
    assert_eq!(status, 14, "{screen}");
    assert!(screen.contains("nothing was changed"), "{screen}");
    assert_eq!(daemon.kinds(), ["stores", "status"]);

    let mut terminal = Terminal::run(&desk, "hfd login");
    terminal.answer("Keep this token in its files? [y/N]", "y");
    terminal.paste();
    terminal.answer("(not shown): ", "hf_canary1234567\r");
    let (status, screen) = terminal.end();
    assert_eq!(status, 0, "{screen}");

    let mut terminal = Terminal::run(&desk, "HF_HOME=/mnt/data/hf hfd login");
    terminal.paste();
    terminal.answer("(not shown): ", "hf_canary1234567\r");
    assert_eq!(terminal.end().0, 0);
    let mut terminal = Terminal::run(&desk, "hfd login --no-switch");
    terminal.paste();
    terminal.answer("(not shown): ", "hf_canary1234567\r");
    assert_eq!(terminal.end().0, 0);
}
