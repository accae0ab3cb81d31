//! A daemon made of a socket and a thread, an `hfdd` made of a shell script, and a place for both
//! that is nobody's home. Each system has a module with the same names, but there are no shell scripts on Windows.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as os;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as os;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hfd_proto::{LockFile, Place, private_dir};
use interprocess::local_socket::traits::ListenerExt as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Stream, ToFsName as _};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a fake daemon does with a request.
pub(crate) enum Answer {
    Line(Value),
    /// Answers, then gives up socket and lock.
    Leave(Value),
    /// Hangs up.
    HangUp,
    /// Says nothing, and holds the connection.
    Silence,
}

/// A home with a runtime directory, and a copy of `hfd` that finds only the `hfdd` put beside it.
pub(crate) struct Desk {
    dir: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["home", "run", "bin"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        os::put_beside(
            Path::new(env!("CARGO_BIN_EXE_hfd")),
            &dir.path().join("bin"),
        );
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn place(&self) -> Place {
        let variables = os::variables(self);
        Place::new(move |name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.clone().into())
        })
        .unwrap()
    }

    /// The first place where a client looks.
    pub(crate) fn socket(&self) -> PathBuf {
        os::socket(self)
    }

    /// Holds the lock as the daemon at `socket` would.
    pub(crate) fn hold_lock(&self, socket: &Path) -> File {
        let place = self.place();
        private_dir(&place.state_dir()).unwrap();
        let lock = File::create(place.lock()).unwrap();
        lock.lock().unwrap();
        let content = LockFile::of_this_process(socket.to_owned());
        fs::write(place.lock_text(), serde_json::to_vec(&content).unwrap()).unwrap();
        lock
    }

    /// How often that `hfdd` was started.
    pub(crate) fn starts(&self) -> usize {
        let starts = fs::read_to_string(self.path("starts")).unwrap_or_default();
        starts.lines().count()
    }

    /// `hfd` with this place and nothing else of our environment.
    pub(crate) fn hfd(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("hfd");
        command.args(arguments);
        command
    }

    /// Any program, likewise.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = os::command(self, program);
        command
            .env_clear()
            .envs(os::variables(self))
            .env("PATH", os::search_path(self))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.hfd(arguments).output().unwrap())
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A daemon on a thread. It lives as long as the test.
#[derive(Clone)]
pub(crate) struct FakeDaemon {
    seen: Arc<Mutex<Vec<Value>>>,
    connections: Arc<AtomicUsize>,
}

impl FakeDaemon {
    /// Listens at `socket`, greets with `hello` (nothing where it is null) and answers by `answer`.
    /// `lock` is given up with [`Answer::Leave`].
    pub(crate) fn listen(
        socket: &Path,
        hello: Value,
        lock: Option<File>,
        answer: impl Fn(&Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        os::make_room(socket);
        let listener = ListenerOptions::new()
            .name(socket.to_fs_name::<GenericFilePath>().unwrap())
            .reclaim_name(false);
        let listener = os::ours(listener).create_sync().unwrap();
        let fake = Self {
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let served = Arc::new(Served {
            fake: fake.clone(),
            hello,
            socket: socket.to_owned(),
            lock: Mutex::new(lock),
            answer: Box::new(answer),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                served.fake.connections.fetch_add(1, Ordering::SeqCst);
                let served = served.clone();
                std::thread::spawn(move || served.serve(stream.unwrap()));
            }
        });
        fake
    }

    /// How often it was connected to so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The kinds of the requests so far.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let kinds = seen
            .iter()
            .map(|request| request["kind"].as_str().unwrap().to_owned());
        kinds.collect()
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.seen.lock().unwrap().clone()
    }
}

struct Served {
    fake: FakeDaemon,
    hello: Value,
    socket: PathBuf,
    lock: Mutex<Option<File>>,
    answer: Box<dyn Fn(&Value) -> Answer + Send + Sync>,
}

impl Served {
    fn serve(&self, stream: Stream) {
        if !self.hello.is_null() {
            writeln!(&stream, "{}", self.hello).unwrap();
        }
        let lines = BufReader::new(&stream).lines();
        for line in lines.map_while(Result::ok) {
            let request: Value = serde_json::from_str(&line).unwrap();
            let answer = (self.answer)(&request);
            self.fake.seen.lock().unwrap().push(request);
            match answer {
                Answer::Line(line) => writeln!(&stream, "{line}").unwrap(),
                Answer::Leave(line) => {
                    writeln!(&stream, "{line}").unwrap();
                    os::remove(&self.socket);
                    self.lock.lock().unwrap().take();
                }
                Answer::HangUp => return,
                Answer::Silence => {}
            }
        }
    }
}

/// The greeting of a daemon of `version`.
pub(crate) fn hello(version: &str) -> Value {
    json!({ "hfd": [1], "daemon": version, "pid": std::process::id() })
}

/// The answer to `token`.
pub(crate) fn token(value: &str) -> Value {
    json!({ "ok": {
        "token": value, "name": "work", "endpoint": "https://huggingface.co", "expires_at": null
    }})
}

/// A daemon that knows one token, and leaves when it is asked to.
pub(crate) fn keeper(value: &'static str) -> impl Fn(&Value) -> Answer + Send + Sync + 'static {
    move |request| match request["kind"].as_str().unwrap() {
        "token" => Answer::Line(token(value)),
        "retire" | "shutdown" => Answer::Leave(json!({ "ok": { "pid": 1 } })),
        kind => Answer::Line(json!({ "err": { "kind": "usage", "message": kind } })),
    }
}
