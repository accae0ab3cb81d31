//! Each store in each trouble: what is answered, how soon, that nothing is lost, and that it is over without a
//! restart of the daemon. The README's table.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hfd_e2e::{Outcome, Run, Sandbox, Token, eventually, processes, tables};
use serde_json::Value;

/// More than a call to a store may take, with what it takes to start a process on a busy machine.
const LIMIT: Duration = Duration::from_secs(6);

/// What needs no store takes a hundredth of it.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// A person two of whose tokens rest in the store, and in no file of other tools.
struct Scene {
    sandbox: Sandbox,
    /// Variables of every command.
    variables: Vec<(&'static str, PathBuf)>,
    /// Which the daemon has told before.
    cached: Token,
    /// Which it has never read.
    other: Token,
}

/// What ends the trouble.
type Mend<'s> = Box<dyn FnOnce() + 's>;

impl Scene {
    fn new(sandbox: Sandbox, config: &str, variables: Vec<(&'static str, PathBuf)>) -> Self {
        sandbox.configure(config);
        let (cached, other) = (sandbox.token("cached"), sandbox.token("other"));
        let scene = Self {
            sandbox,
            variables,
            cached,
            other,
        };
        for token in [&scene.cached, &scene.other] {
            scene.login(token).exited(0);
        }
        let mirror = ["mirror", "add", "--mode", "off"];
        scene.hfd(&mirror).end().exited(0);
        processes::kill9(scene.sandbox.daemon_pid());
        scene.token(&scene.cached).prints(&scene.cached);
        scene
    }

    fn keychain() -> Self {
        Self::new(Sandbox::new(), "", Vec::new())
    }

    fn file() -> Self {
        let sandbox = Sandbox::builder().no_bus().start();
        Self::new(sandbox, "store = \"file\"\n", Vec::new())
    }

    /// Its state is on a disk that is soon full.
    fn small() -> Self {
        let disk = std::env::var_os("HFD_TEST_SMALL_STATE").expect(
            "HFD_TEST_SMALL_STATE names no small disk: run the tests by `tests/run` as root",
        );
        let disk = PathBuf::from(disk);
        // Of an earlier run.
        drop(fs::remove_dir_all(disk.join("hfd")));
        let sandbox = Sandbox::builder().no_bus().start();
        let variables = vec![("XDG_STATE_HOME", disk)];
        Self::new(sandbox, "store = \"file\"\n", variables)
    }

    fn hfd(&self, words: &[&str]) -> Run<'_> {
        let run = self.sandbox.hfd(words);
        let variables = self.variables.iter();
        variables.fold(run, |run, (name, value)| run.env(name, value))
    }

    fn login(&self, token: &Token) -> Outcome {
        self.hfd(&["login", "--with-token"]).stdin(token).end()
    }

    fn token(&self, token: &Token) -> Outcome {
        self.hfd(&["token", &token.name]).end()
    }

    fn status(&self) -> (Outcome, Value) {
        let outcome = self.hfd(&["status", "--json"]).end().exited(0);
        let status = outcome.json();
        (outcome, status)
    }

    /// The encrypted file.
    fn path(&self) -> PathBuf {
        let listed = self.hfd(&["store", "list", "--json"]).end().json();
        let stores = listed["stores"].as_array().unwrap();
        let file = stores.iter().find(|store| store["id"] == "file").unwrap();
        file["detail"].as_str().unwrap().into()
    }
}

/// An answer, and how soon it came.
fn cell(what: &str, outcome: &Outcome) -> String {
    assert!(outcome.took < LIMIT, "{outcome}");
    match outcome.took < AT_ONCE {
        true => what.to_owned(),
        false => format!("{what}, after seconds"),
    }
}

fn answer(outcome: &Outcome) -> String {
    let status = outcome.status;
    cell(
        &if status == 0 {
            "✓".to_owned()
        } else {
            status.to_string()
        },
        outcome,
    )
}

/// A row of the table.
fn row(title: &str, scene: &Scene, plant: impl for<'s> FnOnce(&'s Scene) -> Mend<'s>) -> String {
    let mend = plant(scene);
    let cached = scene.token(&scene.cached);
    let pid = scene.sandbox.daemon_pid();
    let uncached = scene.token(&scene.other);
    let new = scene.sandbox.token("new");
    let login = scene.login(&new);
    let (outcome, status) = scene.status();
    let state = status["store"]["state"].as_str().unwrap().to_owned();
    let line = format!(
        "| {title} | {} | {} | {} | {} |\n",
        cell(&format!("`{state}`"), &outcome),
        answer(&cached),
        answer(&uncached),
        answer(&login),
    );
    // What is answered at all is right.
    for (outcome, token) in [(cached, &scene.cached), (uncached, &scene.other)] {
        if outcome.status == 0 {
            outcome.prints(token);
        }
    }
    mend();
    eventually(&format!("{title}: the store is used again"), || {
        let there = [&scene.cached, &scene.other].map(|token| scene.token(token).status == 0);
        there == [true, true]
    });
    for token in [&scene.cached, &scene.other] {
        scene.token(token).prints(token);
    }
    // What timed out is settled by itself; then nothing keeps the token from being stored.
    eventually(&format!("{title}: a login succeeds"), || {
        scene.login(&new).status == 0
    });
    scene.token(&new).prints(&new);
    assert_eq!(scene.status().1["unsettled"], 0, "{title}");
    assert_eq!(scene.sandbox.daemon_pid(), pid, "{title}: the same daemon");
    line
}

fn altered(path: &Path, alter: impl FnOnce(&mut Vec<u8>)) -> Mend<'static> {
    let whole = fs::read(path).unwrap();
    let mut other = whole.clone();
    alter(&mut other);
    fs::write(path, other).unwrap();
    let path = path.to_owned();
    Box::new(move || fs::write(path, whole).unwrap())
}

fn keychain_rows() -> String {
    let mut rows = String::new();
    let mut add = |title: &str, plant: for<'s> fn(&'s Scene) -> Mend<'s>| {
        rows += &row(
            &format!("Secret Service, {title}"),
            &Scene::keychain(),
            plant,
        );
    };
    add("locked", |scene| {
        scene.sandbox.keyring().lock();
        Box::new(|| scene.sandbox.keyring().unlock())
    });
    add("slow: two seconds for the first answer", |scene| {
        let frozen = scene.sandbox.keyring().freeze();
        let thawing = std::thread::spawn(|| {
            std::thread::sleep(Duration::from_secs(2));
            frozen.thaw();
        });
        Box::new(|| thawing.join().unwrap())
    });
    add("frozen", |scene| {
        let frozen = scene.sandbox.keyring().freeze();
        Box::new(|| frozen.thaw())
    });
    add("killed", |scene| {
        scene.sandbox.keyring().kill();
        Box::new(|| scene.sandbox.keyring().start())
    });
    add("restarted", |scene| {
        scene.sandbox.keyring().restart();
        Box::new(|| {})
    });
    add("its files cannot be written", |scene| {
        let directory = scene.sandbox.home().join(".local/share/keyrings");
        set_mode(&directory, 0o500);
        Box::new(move || set_mode(&directory, 0o700))
    });
    add("the bus is gone", |scene| {
        scene.sandbox.bus().stop();
        Box::new(|| {
            scene.sandbox.restart_bus();
            scene.sandbox.keyring().start();
        })
    });
    rows
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A prompt that nobody answers comes up where there is no keyring yet, so that nothing is in it.
fn prompt_row() -> String {
    let sandbox = Sandbox::builder().no_default_collection().start();
    let name = "org.gnome.keyring.SystemPrompter";
    let words = ["black-hole", "--session", &format!("--name={name}")];
    let hole = sandbox.program("dbus-test-tool", words).spawn();
    eventually("the prompter is there", || {
        sandbox.bus().owner(name).is_some()
    });
    let work = sandbox.token("work");
    let login = ["login", "--with-token"];
    let login = sandbox.hfd(login).stdin(&work).end();
    let status = sandbox.hfd(["status", "--json"]).ok();
    let state = status.json()["store"]["state"].as_str().unwrap().to_owned();
    hole.kill9();
    let (status, login) = (cell(&format!("`{state}`"), &status), answer(&login));
    format!("| Secret Service, a prompt that nobody answers | {status} | | | {login} |\n")
}

fn file_rows() -> String {
    let mut rows = String::new();
    let mut add = |title: &str, scene: &Scene, plant: for<'s> fn(&'s Scene) -> Mend<'s>| {
        rows += &row(&format!("encrypted file, {title}"), scene, plant);
    };
    add("cut short", &Scene::file(), |scene| {
        altered(&scene.path(), |bytes| bytes.truncate(60))
    });
    add("a bit flipped", &Scene::file(), |scene| {
        altered(&scene.path(), |bytes| *bytes.last_mut().unwrap() ^= 1)
    });
    add("its key file gone", &Scene::file(), |scene| {
        let key = scene.path().with_extension("hfd.key");
        let away = key.with_extension("away");
        fs::rename(&key, &away).unwrap();
        Box::new(move || fs::rename(away, key).unwrap())
    });
    add("of another key", &Scene::file(), |scene| {
        let key = scene.path().with_extension("hfd.key");
        altered(&key, |bytes| bytes[10] ^= 1)
    });
    add("open to others", &Scene::file(), |scene| {
        let path = scene.path();
        set_mode(&path, 0o644);
        Box::new(move || set_mode(&path, 0o600))
    });
    add("behind a passphrase", &Scene::file(), |scene| {
        let rekey = ["store", "rekey", "--with-passphrase"];
        scene.hfd(&rekey).stdin("open sesame").end().exited(0);
        // As after a start.
        processes::kill9(scene.sandbox.daemon_pid());
        let unlock = ["unlock", "--with-passphrase"];
        let wrong = scene.hfd(&unlock).stdin("open barley").end();
        wrong.exited(14);
        Box::new(move || {
            scene.hfd(&unlock).stdin("open sesame").end().exited(0);
        })
    });
    add("the disk full", &Scene::small(), |scene| {
        let filler = scene.variables[0].1.join("filler");
        let full = scene.sandbox.sh("cat /dev/zero >\"$FILLER\"");
        let full = full.env("FILLER", &filler).end();
        assert!(full.stderr.contains("No space left"), "{full}");
        Box::new(move || fs::remove_file(filler).unwrap())
    });
    rows
}

#[test]
fn each_store_in_each_trouble() {
    let mut table = String::from(
        "| | `hfd status` says | a token that was told before | one that was not | a login |\n|---|---|---|---|---|\n",
    );
    table += &keychain_rows();
    table += &prompt_row();
    table += &file_rows();
    tables::write("rig", &table);
}
