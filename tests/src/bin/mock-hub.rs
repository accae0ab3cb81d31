//! A mock Hub as a program.
//!
//! `mock-hub` reads accounts from its standard input, one JSON object a line with a `token` beside
//! the keys of an account, or with a `repository` and the `directory` for it; says where it listens once it has them; serves until its process is
//! ended.
//!
//! `mock-hub --control` says where it listens at once, then does what each line of its standard
//! input says and answers it with one line of JSON, until its standard input ends. The lines are
//! the [`Order`]s, such as `{"do":"approve","code":"ABCD-EFGH","user":"alice"}`.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use hfd_e2e::hub::{Account, Failure, Hub, Policy};
use hfd_e2e::{eventually, processes};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Line {
    Repository {
        repository: String,
        directory: PathBuf,
    },
    Token {
        token: String,
        #[serde(flatten)]
        account: Account,
    },
}

/// What a script can ask of the Hub; times are in seconds.
#[derive(serde::Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Order {
    /// What is granted from now on; see [`Policy`].
    Policy(Change),
    /// The user codes that wait for the person.
    Pending,
    Approve {
        code: String,
        user: String,
    },
    Deny {
        code: String,
    },
    /// Requests of this path fail, so many times (for ever); `null` ends it.
    Fail {
        path: String,
        failure: Option<Failure>,
        #[serde(default)]
        once: bool,
    },
    /// Every connection is closed, or no longer.
    Down {
        down: bool,
    },
    /// How far the Hub's clock is ahead.
    Clock {
        ahead: i64,
    },
    /// Ends an access token.
    Expire {
        token: String,
    },
    /// Ends the login that a token is of.
    Revoke {
        token: String,
    },
    /// Kills a process without letting it notice, unless a refresh is between its taking effect and
    /// `quiet` seconds after its answer. Whether it did; see [`Hub::between_refreshes`].
    Kill {
        pid: u32,
        quiet: f64,
    },
    /// The grants, the refusals and the refreshes that failed. No secret is in it.
    State,
}

#[derive(serde::Deserialize)]
struct Change {
    device_lifetime: Option<f64>,
    interval: Option<f64>,
    access_lifetime: Option<f64>,
    rotation: Option<bool>,
    refresh_revokes: Option<bool>,
    token_length: Option<usize>,
}

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => serve(),
        Some("--control") => obey(),
        Some(_) => Err(io::Error::other("usage: mock-hub [--control]")),
    }
}

fn serve() -> io::Result<()> {
    let hub = Hub::start()?;
    for line in io::stdin().lock().lines() {
        match serde_json::from_str(&line?)? {
            Line::Repository {
                repository,
                directory,
            } => hub.add_repository(&directory, &repository),
            Line::Token { token, account } => hub.add(&token, account),
        }
    }
    say(&hub.endpoint())?;
    loop {
        std::thread::park();
    }
}

fn obey() -> io::Result<()> {
    let hub = Hub::start()?;
    say(&hub.endpoint())?;
    for line in io::stdin().lock().lines() {
        let order = serde_json::from_str(&line?)?;
        say(&done(&hub, order).to_string())?;
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}

fn done(hub: &Hub, order: Order) -> Value {
    match order {
        Order::Policy(change) => hub.policy(|policy| change.apply(policy)),
        Order::Pending => {
            let pending = hub.pending();
            let codes = pending.iter().map(|device| device.user_code.as_str());
            return codes.collect();
        }
        Order::Approve { code, user } => hub.approve_as(&code, Account::oauth(&user)),
        Order::Deny { code } => hub.deny(&code),
        Order::Fail {
            path,
            failure: Some(failure),
            once: true,
        } => hub.fail_once(&path, failure),
        Order::Fail { path, failure, .. } => hub.fail_at(&path, failure),
        Order::Down { down } => hub.down(down),
        Order::Clock { ahead } => hub.set_clock(ahead),
        Order::Expire { token } => hub.expire(&token),
        Order::Revoke { token } => hub.revoke(&token),
        Order::Kill { pid, quiet } => {
            let quiet = Duration::from_secs_f64(quiet);
            return hub.between_refreshes(quiet, || kill(pid)).into();
        }
        Order::State => return state(hub),
    }
    Value::Null
}

/// Ends a process, unless it has ended by itself, and waits until its connections are closed: with
/// its last thread.
fn kill(pid: u32) {
    if processes::is_alive(pid) {
        processes::kill9(pid);
    }
    let tasks = format!("/proc/{pid}/task");
    eventually("its threads have ended", || {
        std::fs::read_dir(&tasks).map_or(0, Iterator::count) <= 1
    });
}

fn state(hub: &Hub) -> Value {
    let grants = hub.grants().into_iter().map(|grant| {
        json!({
            "client_id": grant.client_id, "user": grant.user, "generation": grant.generation,
            "uses": grant.uses, "revoked": grant.revoked,
        })
    });
    let refusals = hub.refusals().into_iter().map(|refusal| {
        let reason = format!("{:?}", refusal.reason).to_lowercase();
        json!({ "reason": reason, "up_for": refusal.up_for.as_secs_f64() })
    });
    json!({
        "grants": grants.collect::<Value>(),
        "refusals": refusals.collect::<Value>(),
        "invalid_grants": hub.invalid_grants(),
    })
}

impl Change {
    fn apply(self, policy: &mut Policy) {
        let set = |place: &mut Duration, seconds: Option<f64>| {
            *place = seconds.map_or(*place, Duration::from_secs_f64);
        };
        set(&mut policy.device_lifetime, self.device_lifetime);
        set(&mut policy.interval, self.interval);
        set(&mut policy.access_lifetime, self.access_lifetime);
        policy.rotation = self.rotation.unwrap_or(policy.rotation);
        policy.refresh_revokes = self.refresh_revokes.unwrap_or(policy.refresh_revokes);
        policy.token_length = self.token_length.unwrap_or(policy.token_length);
    }
}
