use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::canary::Token;
use crate::processes;
use crate::sandbox::Sandbox;

/// How long a command may run before the test fails: above every deadline of hfd's own.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long a command may take to say its next line.
const LINE: Duration = Duration::from_secs(20);

/// A command of a sandbox that has not been started yet.
#[derive(Debug)]
#[must_use = "nothing runs before `ok`, `exits` or `spawn`"]
pub struct Run<'s> {
    sandbox: &'s Sandbox,
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    stdin: Vec<u8>,
    directory: PathBuf,
    tells: bool,
    /// Whether absolute paths among arguments and variables become those of hfd's system.
    translated: bool,
}

impl<'s> Run<'s> {
    pub(crate) fn new<A: AsRef<OsStr>>(
        sandbox: &'s Sandbox,
        program: PathBuf,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            sandbox,
            program,
            args: args
                .into_iter()
                .map(|arg| arg.as_ref().to_owned())
                .collect(),
            env: sandbox.environment().clone(),
            stdin: Vec::new(),
            directory: sandbox.home(),
            tells: false,
            translated: false,
        }
    }

    /// Paths that it is given are those of its system.
    pub(crate) fn translated(mut self) -> Self {
        self.translated = true;
        self
    }

    /// What it reads.
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_owned();
        self
    }

    /// Sets a variable for it.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Removes a variable for it.
    pub fn unset(mut self, name: &str) -> Self {
        self.env.remove(OsStr::new(name));
        self
    }

    /// Runs it in this directory instead of the home.
    pub fn within(mut self, directory: &Path) -> Self {
        self.directory = directory.to_owned();
        self
    }

    /// Its standard output is meant to hold a token, and is not searched for any. Its standard
    /// error always is.
    pub(crate) fn tells(mut self) -> Self {
        self.tells = true;
        self
    }

    /// Runs it to its end, which must be exit status 0.
    #[track_caller]
    pub fn ok(self) -> Outcome {
        self.exits(0)
    }

    /// Runs it to its end, which must be this exit status.
    #[track_caller]
    pub fn exits(self, status: i32) -> Outcome {
        let outcome = self.end();
        assert_eq!(outcome.status, status, "exit status of\n{outcome}");
        outcome
    }

    /// Runs it to its end, whatever that is.
    #[track_caller]
    pub fn end(self) -> Outcome {
        self.spawn().end()
    }

    /// Starts it.
    #[track_caller]
    pub fn spawn(self) -> Running<'s> {
        let started = Instant::now();
        let own = self.sandbox.environment();
        let given = |value: &OsString| match self.translated {
            true => self.sandbox.shown(value),
            false => value.clone(),
        };
        let env = self.env.iter().map(|(name, value)| {
            // Those of the sandbox itself are right already.
            let set_here = own.get(name) != Some(value);
            (
                name,
                if set_here {
                    given(value)
                } else {
                    value.clone()
                },
            )
        });
        // Under Wine whatever a program starts has its standard error, and would hold a pipe open.
        let notes = self.sandbox.is_windows().then(temporary_file);
        let mut child = self
            .sandbox
            .marked_command(&self.program)
            .args(self.args.iter().map(given))
            .env_clear()
            .envs(env)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(match &notes {
                Some(file) => file.try_clone().expect("a second handle").into(),
                None => Stdio::piped(),
            })
            .spawn()
            .unwrap_or_else(|error| panic!("starting {:?}: {error}", self.program));
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let bytes = self.stdin;
        // A command need not read what it is given.
        thread::spawn(move || stdin.write_all(&bytes));
        let stdout = chunks(child.stdout.take().expect("stdout is a pipe"));
        let stderr = match notes {
            Some(file) => Notes::File(file),
            None => Notes::Pipe(chunks(child.stderr.take().expect("stderr is a pipe"))),
        };
        Running {
            sandbox: self.sandbox,
            command: shown(&self.program, &self.args),
            child,
            tells: self.tells,
            started,
            stdout,
            stderr,
            heard: Vec::new(),
            ended: false,
        }
    }
}

fn temporary_file() -> File {
    tempfile::tempfile().expect("a file for what a program notes")
}

fn shown(program: &Path, args: &[OsString]) -> String {
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    let args = args.iter().map(|arg| format!(" {}", arg.to_string_lossy()));
    format!("{program}{}", args.collect::<String>())
}

/// What a pipe carries, as it comes; closed at its end.
fn chunks(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            if sender.send(chunk[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Where the standard error of a command goes.
#[derive(Debug)]
enum Notes {
    Pipe(Receiver<Vec<u8>>),
    /// It is complete when the command has ended.
    File(File),
}

/// A command that runs.
#[derive(Debug)]
pub struct Running<'s> {
    sandbox: &'s Sandbox,
    command: String,
    child: Child,
    tells: bool,
    started: Instant,
    stdout: Receiver<Vec<u8>>,
    stderr: Notes,
    /// What came on its standard output and was not taken as a line.
    heard: Vec<u8>,
    ended: bool,
}

impl Running<'_> {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its standard output, without the newline.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            match self.stdout.recv_timeout(LINE) {
                Ok(chunk) => self.heard.extend(chunk),
                Err(_) => panic!("`{}` says no more lines", self.command),
            }
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn end(mut self) -> Outcome {
        let deadline = Instant::now() + DEADLINE;
        let heard = std::mem::take(&mut self.heard);
        let stdout = self.rest(&self.stdout, heard, deadline);
        let mut stderr = match &self.stderr {
            Notes::Pipe(pipe) => self.rest(pipe, Vec::new(), deadline),
            Notes::File(_) => Vec::new(),
        };
        let status = self.child.wait().expect("a child can be waited for");
        self.ended = true;
        if let Notes::File(file) = &mut self.stderr {
            let read = file.rewind().and_then(|()| file.read_to_end(&mut stderr));
            read.expect("what was noted can be read");
        }
        if !self.tells {
            self.sandbox
                .capture(&format!("stdout of `{}`", self.command), &stdout);
        }
        self.sandbox
            .capture(&format!("stderr of `{}`", self.command), &stderr);
        Outcome {
            command: self.command.clone(),
            status: exit_status(status),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            took: self.started.elapsed(),
        }
    }

    fn rest(&self, pipe: &Receiver<Vec<u8>>, mut heard: Vec<u8>, deadline: Instant) -> Vec<u8> {
        loop {
            match pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => heard.extend(chunk),
                Err(RecvTimeoutError::Disconnected) => return heard,
                Err(RecvTimeoutError::Timeout) => panic!(
                    "`{}` (or what it left behind) holds its output open; so far:\n{}",
                    self.command,
                    String::from_utf8_lossy(&heard)
                ),
            }
        }
    }

    /// Kills it, without letting it notice.
    pub fn kill9(mut self) {
        self.kill();
    }

    /// Asks it to end (SIGTERM), and waits for that.
    #[track_caller]
    pub fn terminate(self) -> Outcome {
        processes::signal(self.pid(), rustix::process::Signal::TERM);
        self.end()
    }

    fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
        self.ended = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
    }
}

/// The exit status as a shell has it: 128 and the signal for a process that a signal ended.
fn exit_status(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command, for messages.
    pub command: String,
    /// Its exit status; 128 and the signal where one ended it.
    pub status: i32,
    /// What it printed.
    pub stdout: String,
    /// What it noted.
    pub stderr: String,
    /// From its start to its end.
    pub took: Duration,
}

impl Outcome {
    /// It must have ended with this status.
    #[track_caller]
    pub fn exited(self, status: i32) -> Self {
        assert_eq!(self.status, status, "exit status of\n{self}");
        self
    }

    /// Its output must be this and a newline.
    #[track_caller]
    pub fn prints(self, expected: impl AsRef<[u8]>) -> Self {
        let expected = String::from_utf8_lossy(expected.as_ref()).into_owned();
        assert_eq!(self.stdout, format!("{expected}\n"), "output of\n{self}");
        self
    }

    /// Its output must be empty.
    #[track_caller]
    pub fn prints_nothing(self) -> Self {
        assert_eq!(self.stdout, "", "output of\n{self}");
        self
    }

    /// Its output must hold this.
    #[track_caller]
    pub fn shows(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "no {text:?} in the output of\n{self}"
        );
        self
    }

    /// Its output must not hold this.
    #[track_caller]
    pub fn hides(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text),
            "{text:?} in the output of\n{self}"
        );
        self
    }

    /// Its notes (on standard error) must hold this.
    #[track_caller]
    pub fn notes(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in the notes of\n{self}"
        );
        self
    }

    /// It must have ended within this time.
    #[track_caller]
    pub fn within(self, limit: Duration) -> Self {
        assert!(
            self.took <= limit,
            "took {:?}, not {limit:?}:\n{self}",
            self.took
        );
        self
    }

    /// Its output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}) in the output of\n{self}"))
    }

    /// The error that it told as JSON on standard error, where nothing else may stand.
    #[track_caller]
    pub fn error(&self) -> Value {
        let document: Value = serde_json::from_str(&self.stderr)
            .unwrap_or_else(|error| panic!("no JSON ({error}) in the notes of\n{self}"));
        let error = document["error"].clone();
        assert!(
            error["kind"].is_string() && error["message"].is_string(),
            "{self}"
        );
        error
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {}", self.command)?;
        write!(f, "{}{}", self.stdout, self.stderr)?;
        write!(f, "[exit status {}, {:?}]", self.status, self.took)
    }
}

impl AsRef<[u8]> for Token {
    /// The value.
    fn as_ref(&self) -> &[u8] {
        self.value.as_bytes()
    }
}

impl AsRef<OsStr> for Token {
    /// The value.
    fn as_ref(&self) -> &OsStr {
        OsStr::new(&self.value)
    }
}
