//! Every generation of huggingface_hub and hfd see what the other does.
//!
//! Each cell of the matrix is one operation in a sandbox of its own, where hfd has `work` and `play`,
//! and `play` is active. Afterwards both sides must tell the same story, and the expected one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use hfd_e2e::hub::Account;
use hfd_e2e::{Client, Sandbox, Token, tables};
use serde_json::{Value, json};

/// Cells that are known not to be followed, with what both sides differ in. A cell that is not here
/// must agree; one that is here must differ in just this, so that the list cannot grow old.
const KNOWN: &[(Versions, &str, &str)] = &[];

/// Up to and with this generation, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)] // which of them are needed depends on what is known
enum Versions {
    All,
    UpTo(u32, u32),
}

impl Versions {
    fn have(self, client: &Client) -> bool {
        match self {
            Self::All => true,
            Self::UpTo(major, minor) => client.generation() <= (major, minor),
        }
    }
}

/// What somebody does, and what both sides must show then.
struct Operation {
    title: &'static str,
    /// A browser login's section, with refresh token and expiry, stands in the file as well.
    oauth: bool,
    act: fn(&Scene),
    active: Option<&'static str>,
    names: &'static [&'static str],
}

const fn op(
    title: &'static str,
    oauth: bool,
    act: fn(&Scene),
    active: Option<&'static str>,
    names: &'static [&'static str],
) -> Operation {
    Operation {
        title,
        oauth,
        act,
        active,
        names,
    }
}

const BOTH: &[&str] = &["play", "work"];
const NEW: &[&str] = &["new", "play", "work"];
const OAUTH: &str = "oauth-alice";

const OPERATIONS: &[Operation] = &[
    op("tool: login", false, |s| s.tool_logs_in(), Some("new"), NEW),
    op(
        "tool: switch",
        false,
        |s| s.tool_switches(),
        Some("work"),
        BOTH,
    ),
    op("tool: list", false, |s| s.tool_lists(), Some("play"), BOTH),
    op(
        "tool: logout NAME",
        false,
        |s| s.tool_logs_out("work"),
        Some("play"),
        &["play"],
    ),
    op(
        "tool: logout of the active",
        false,
        |s| s.tool_logs_out("play"),
        None,
        &["work"],
    ),
    op(
        "tool: logout",
        false,
        |s| drop(s.tool(["logout"])),
        None,
        &[],
    ),
    op(
        "tool: login beside an expiry",
        true,
        |s| s.tool_logs_in(),
        Some("new"),
        &["new", OAUTH, "play", "work"],
    ),
    op(
        "tool: logout NAME beside an expiry",
        true,
        |s| s.tool_logs_out("work"),
        Some("play"),
        &[OAUTH, "play"],
    ),
    op("hfd: login", false, |s| s.hfd_logs_in(), Some("new"), NEW),
    op(
        "hfd: switch",
        false,
        |s| s.hfd(["switch", "work"]),
        Some("work"),
        BOTH,
    ),
    op(
        "hfd: rename",
        false,
        |s| s.hfd(["rename", "work", "new"]),
        Some("play"),
        &["new", "play"],
    ),
    op(
        "hfd: logout NAME",
        false,
        |s| s.hfd(["logout", "work"]),
        Some("play"),
        &["play"],
    ),
    op(
        "hfd: logout of the active",
        false,
        |s| s.hfd(["logout", "play"]),
        None,
        &["work"],
    ),
    op(
        "hfd: logout --all",
        false,
        |s| s.hfd(["logout", "--all"]),
        None,
        &[],
    ),
    op(
        "hfd: login beside an expiry",
        true,
        |s| s.hfd_logs_in(),
        Some("new"),
        &["new", OAUTH, "play", "work"],
    ),
    op(
        "hfd: logout NAME beside an expiry",
        true,
        |s| s.hfd(["logout", "work"]),
        Some("play"),
        &[OAUTH, "play"],
    ),
];

/// How long a side may take to see what the other did. It bounds a failure, not a success.
const PATIENCE: Duration = Duration::from_secs(20);

/// When the token of the browser login ends.
const EXPIRES_AT: i64 = 4_102_444_800;

/// A sandbox in which one operation is done.
struct Scene<'c> {
    client: &'c Client,
    sandbox: Sandbox,
    new: Token,
    oauth: Token,
    refresh: Token,
}

impl<'c> Scene<'c> {
    fn new(client: &'c Client, oauth: bool) -> Self {
        let sandbox = Sandbox::builder().no_bus().start();
        sandbox.configure("store = \"file\"\n");
        let scene = Self {
            client,
            new: sandbox.token("new"),
            oauth: sandbox.token_of(Account::oauth("alice")),
            refresh: sandbox.unknown_token("refresh"),
            sandbox,
        };
        if oauth {
            let file = format!(
                "[{OAUTH}]\nhf_token = {}\nrefresh_token = {}\nexpires_at = {EXPIRES_AT}\n\n",
                scene.oauth.value, scene.refresh.value
            );
            scene.sandbox.write_hf_file("stored_tokens", file);
            scene.hfd(["sync"]);
        }
        scene.sandbox.logged_in("work");
        scene.sandbox.logged_in("play");
        scene
    }

    #[track_caller]
    fn hfd<const N: usize>(&self, args: [&str; N]) {
        self.sandbox.hfd(args).ok();
    }

    #[track_caller]
    fn hfd_logs_in(&self) {
        let login = self.sandbox.hfd(["login", "--with-token"]);
        login.stdin(&self.new).ok();
    }

    #[track_caller]
    fn tool<const N: usize>(&self, args: [&str; N]) -> hfd_e2e::Outcome {
        self.client.auth(&self.sandbox, args).ok()
    }

    fn tool_logs_in(&self) {
        self.tool(["login", "--token", &self.new.value]);
    }

    fn tool_switches(&self) {
        self.tool(["switch", "--token-name", "work"]);
    }

    fn tool_logs_out(&self, name: &str) {
        self.tool(["logout", "--token-name", name]);
    }

    fn tool_lists(&self) {
        self.tool(["list"]).shows("* play").shows("  work");
    }

    /// Compares until both sides agree; a logout from everything is believed after five seconds.
    fn agrees(&self, operation: &Operation) -> Result<(), Difference> {
        let start = Instant::now();
        loop {
            match self.compare(operation) {
                Err(_) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(50)),
                outcome => return outcome,
            }
        }
    }

    fn compare(&self, operation: &Operation) -> Result<(), Difference> {
        let list = self.sandbox.hfd(["list", "--json"]).ok().json();
        let list = list.as_array().unwrap();
        let tool = self.client.looks(&self.sandbox);
        let name = |entry: &Value| entry["name"].as_str().unwrap().to_owned();
        let names: Vec<String> = list.iter().map(name).collect();
        let active = list.iter().find(|entry| entry["active"] == true).map(name);
        let values: BTreeMap<_, _> = names.iter().map(|name| (name, self.value(name))).collect();
        let stored = json!(values);
        let bare = self.sandbox.hfd(["token"]).end();
        let bare = (bare.status == 0).then(|| bare.stdout.trim_end().to_owned());

        let same = |what, one: Value, other: Value| match one == other {
            true => Ok(()),
            false => Err(Difference {
                what,
                story: format!("{one}\n  and not {other}\n{}", self.files()),
            }),
        };
        same("names in hfd", json!(names), json!(operation.names))?;
        same("active in hfd", json!(active), json!(operation.active))?;
        same("values in the tool", tool["stored"].clone(), stored)?;
        same("active in the tool", tool["active"].clone(), json!(bare))?;
        if operation.oauth {
            let entry = list.iter().find(|entry| entry["name"] == OAUTH);
            let expires_at = entry.map_or(Value::Null, |entry| entry["expires_at"].clone());
            same("expiry in hfd", expires_at, json!(EXPIRES_AT))?;
            let file = self.sandbox.stored_tokens().unwrap_or_default();
            let whole = file.contains(&format!("expires_at = {EXPIRES_AT}"));
            same("expiry in the file", json!(whole), json!(true))?;
        }
        Ok(())
    }

    fn value(&self, name: &str) -> String {
        // One that has just gone is not in the next list either.
        let outcome = self.sandbox.hfd(["token", name]).end();
        outcome.stdout.trim_end().to_owned()
    }

    /// For whoever has to find out why.
    fn files(&self) -> String {
        let status = self.sandbox.hfd(["status", "--json"]).end().stdout;
        format!(
            "  token: {:?}\n  stored_tokens: {:?}\n  status: {status}",
            self.sandbox.token_file(),
            self.sandbox.stored_tokens(),
        )
    }
}

/// What a cell differs in, and the story.
struct Difference {
    what: &'static str,
    story: String,
}

fn cell(client: &Client, operation: &Operation) -> Result<(), Difference> {
    let scene = Scene::new(client, operation.oauth);
    (operation.act)(&scene);
    scene.agrees(operation)
}

#[test]
fn each_generation_of_the_client_and_hfd_see_each_other() {
    let clients = Client::all();
    assert!(clients.len() > 1, "one version is no matrix");
    let columns: Vec<Vec<_>> = thread::scope(|scope| {
        let column = |client| OPERATIONS.iter().map(move |op| cell(client, op)).collect();
        let columns: Vec<_> = clients
            .iter()
            .map(|client| scope.spawn(move || column(client)))
            .collect();
        columns.into_iter().map(|c| c.join().unwrap()).collect()
    });

    let mut wrong = String::new();
    for (client, column) in clients.iter().zip(&columns) {
        for (operation, cell) in OPERATIONS.iter().zip(column) {
            let found = cell.as_ref().err();
            let known = KNOWN.iter().find_map(|(versions, title, what)| {
                (versions.have(client) && *title == operation.title).then_some(*what)
            });
            if found.map(|found| found.what) != known {
                let story = found.map_or("", |found| &found.story);
                let what = found.map_or("agrees", |found| found.what);
                let title = operation.title;
                let expected = known.unwrap_or("agrees");
                writeln!(
                    wrong,
                    "{} · {title}: {what}, not {expected}\n  {story}",
                    client.version
                )
                .unwrap();
            }
        }
    }
    tables::write("versions", &table(&clients, &columns));
    assert!(wrong.is_empty(), "{wrong}");
}

/// The matrix as the README has it.
fn table(clients: &[Client], columns: &[Vec<Result<(), Difference>>]) -> String {
    let mut table = String::from("| |");
    for client in clients {
        table += &format!(" {} |", client.version);
    }
    table += &format!("\n|---|{}\n", "---|".repeat(clients.len()));
    for (row, operation) in OPERATIONS.iter().enumerate() {
        table += &format!("| {} |", operation.title);
        for column in columns {
            let cell = column[row].as_ref().map_or_else(|d| d.what, |()| "✓");
            table += &format!(" {cell} |");
        }
        table.push('\n');
    }
    table
}
