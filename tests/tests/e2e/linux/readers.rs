//! What the Hub's clients read, and the token that hfd gives them by it: the README's table.

use std::path::PathBuf;
use std::{env, fs};

use hfd_e2e::hub::Account;
use hfd_e2e::{Client, Sandbox, Token, tables};

use crate::login::exec;

/// A client of the Hub, and a command by which it asks for something with whatever token it finds.
struct Reader {
    title: String,
    command: Vec<String>,
}

/// The clients for other languages, as `need_readers` of packaging/requirements installs them.
fn directory() -> PathBuf {
    let path = env::var_os("HFD_TEST_READERS")
        .expect("HFD_TEST_READERS names no directory: run the tests by `tests/run`");
    PathBuf::from(path)
}

fn readers(sandbox: &Sandbox) -> Vec<Reader> {
    let reader = |title: &str, command: &[&str]| Reader {
        title: title.to_owned(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
    };
    let python = |client: &Client| {
        let code = "from huggingface_hub import HfApi; HfApi().model_info('acme/model')";
        let title = format!("huggingface_hub {} (Python)", client.version);
        reader(&title, &[&client.program("python"), "-c", code])
    };
    let path = |name: &str| {
        let path = directory().join(name).into_os_string().into_string();
        path.expect("a path in UTF-8")
    };
    let hfjs = path("node_modules/@huggingface/hub/dist/cli.js");
    let repository = format!("{}/acme/model", sandbox.hub().endpoint());
    let clients = Client::all();
    vec![
        python(&clients[0]),
        python(&clients[clients.len() - 1]),
        reader("hf-hub 0.5.0 (Rust)", &[&path("bin/hf-hub-0-5")]),
        reader("hf-hub 1.0.0 (Rust)", &[&path("bin/hf-hub-1-0")]),
        reader("hfjs 2.17.5 (Node)", &["node", &hfjs, "models", "list"]),
        reader(
            "@huggingface/hub 2.17.5 (Node), which the program gives `process.env.HF_TOKEN`",
            &["node", &path("model.js")],
        ),
        reader(
            "git, after `hfd git setup`",
            &["git", "ls-remote", &repository],
        ),
    ]
}

/// Where a token may stand.
const SOURCES: [&str; 3] = ["token", "HF_TOKEN", "HF_TOKEN_PATH"];

struct Scene {
    sandbox: Sandbox,
    /// All that the Hub knows, all of one person.
    tokens: Vec<Token>,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let bare = sandbox.root().join("acme/model.git").into_os_string();
        let bare = bare.into_string().expect("a path in UTF-8");
        sandbox
            .git(["init", "--quiet", "--bare", bare.as_str()])
            .ok();
        sandbox.hub().add_repository(sandbox.root(), "acme/model");
        let account = |name: &str| Account::new(name, "alice").orgs(&["acme"]);
        let mut tokens = Vec::new();
        for name in ["play", "work"] {
            let token = sandbox.token_of(account(name));
            sandbox.hfd(["login", "--with-token"]).stdin(&token).ok();
            tokens.push(token);
        }
        tokens.extend(SOURCES.map(|source| sandbox.token_of(account(source))));
        sandbox.hfd(["git", "setup"]).ok();
        Self { sandbox, tokens }
    }

    fn token(&self, name: &str) -> &Token {
        let found = self.tokens.iter().find(|token| token.name == name);
        found.expect("a token of the scene")
    }

    /// The name of the token that the Hub sees when this is run.
    fn seen(&self, command: &[String], variables: &[(&str, &str)]) -> Option<String> {
        let before = self.sandbox.hub().seen().len();
        let mut run = self.sandbox.program(&command[0], &command[1..]);
        run = run.env("GIT_TERMINAL_PROMPT", "0");
        for (variable, value) in variables {
            run = run.env(variable, value);
        }
        let outcome = run.end();
        let seen = self.sandbox.hub().seen().split_off(before);
        assert!(!seen.is_empty(), "the Hub was not asked\n{outcome}");
        let used = seen.iter().filter_map(|seen| seen.token());
        let mut names: Vec<String> = used
            .map(|used| {
                let found = self.tokens.iter().find(|token| token.value == used);
                found.expect("a token of the scene").name.clone()
            })
            .collect();
        names.dedup();
        assert!(names.len() < 2, "{names:?}\n{outcome}");
        // All of them may see the model, so what has one succeeds.
        assert!(names.is_empty() || outcome.status == 0, "{outcome}");
        names.pop()
    }

    /// Those of the sources that it reads, each with a token of its own and no other beside it.
    fn reads(&self, reader: &Reader) -> Vec<&'static str> {
        let home = self.sandbox.root().join("elsewhere");
        fs::create_dir_all(&home).unwrap();
        let path = |name: &str| home.join(name).into_os_string().into_string().unwrap();
        SOURCES
            .into_iter()
            .filter(|source| {
                let value = self.token(source).value.as_str();
                let file = path(source);
                let mut variables = vec![("HF_HOME", home.to_str().unwrap())];
                match *source {
                    "HF_TOKEN" => variables.push(("HF_TOKEN", value)),
                    _ => fs::write(&file, value).unwrap(),
                }
                if *source == "HF_TOKEN_PATH" {
                    variables.push(("HF_TOKEN_PATH", &file));
                }
                let seen = self.seen(&reader.command, &variables);
                fs::remove_file(&file).ok();
                seen.as_deref() == Some(source)
            })
            .collect()
    }

    /// What it gets by `hfd exec` with these options.
    fn gets(&self, reader: &Reader, options: &[&str]) -> Option<String> {
        let words = exec(options, reader.command.clone());
        let hfd = vec!["hfd".to_owned()];
        self.seen(&[hfd, words].concat(), &[])
    }
}

#[test]
fn each_client_of_the_hub_gets_the_token_by_what_it_reads() {
    let scene = Scene::new();
    let mut table = String::from(
        "| | reads | without more | `hfd exec --as play` | `hfd exec --live --as play` |\n|---|---|---|---|---|\n",
    );
    for reader in readers(&scene.sandbox) {
        let reads = scene.reads(&reader);
        let plain = scene.seen(&reader.command, &[]);
        let given = scene.gets(&reader, &["--as", "play"]);
        let live = scene.gets(&reader, &["--live", "--as", "play"]);
        let title = &reader.title;
        // The active token, or none: never another.
        assert!(matches!(plain.as_deref(), None | Some("work")), "{title}");
        // A variable that a tool reads reaches it.
        if reads.contains(&"HF_TOKEN") {
            assert_eq!(given.as_deref(), Some("play"), "{title}");
        }
        if reads.contains(&"HF_TOKEN_PATH") {
            assert_eq!(live.as_deref(), Some("play"), "{title}");
        }
        // Each gets one without being told anything by hand.
        assert!(plain.is_some() || given.is_some(), "{title}");
        let code = |name: &str| format!("`{name}`");
        let reads: Vec<String> = reads.into_iter().map(code).collect();
        table += &format!("| {title} | {} |", reads.join(", "));
        for cell in [plain, given, live] {
            table += &format!(" {} |", cell.map_or("none".to_owned(), |name| code(&name)));
        }
        table.push('\n');
    }
    tables::write("readers", &table);
}
