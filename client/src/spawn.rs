//! Starting `hfdd`, so that nothing of the caller's circumstances stays with it: a terminal, a
//! directory, a variable with a token, a file that it would keep open.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hfd_proto::os::PROGRAM_SUFFIX;
use hfd_proto::{Error, Kind, Place, Ready, Reply};

use crate::environment::Environment;
use crate::os;

/// How long the daemon may take until it is ready: reading its index takes milliseconds, and it
/// waits for nothing else.
const READY: Duration = Duration::from_secs(10);

/// The longest ready line: a socket's path and an error are far shorter.
const READY_LINE: u64 = 16 * 1024;

/// The arguments of a daemon that no service manager runs.
pub(crate) const ON_DEMAND: &[&str] = &["--detach"];

/// How `hfdd` is started.
#[derive(Debug)]
pub(crate) struct Spawner {
    program: PathBuf,
    arguments: &'static [&'static str],
    environment: Vec<(OsString, OsString)>,
}

impl Spawner {
    /// The `hfdd` beside this program, which has its version; else the one in `PATH`.
    pub(crate) fn beside_this_program(
        env: &Environment,
        arguments: &'static [&'static str],
    ) -> Self {
        Self {
            program: neighbour().unwrap_or_else(|| PathBuf::from("hfdd")),
            arguments,
            environment: passed_on(env).collect(),
        }
    }

    /// Starts it and waits for its ready line. With [`ON_DEMAND`], `hfdd` leaves a daemon of its own
    /// session behind and ends at once, so this process gets no lasting child.
    pub(crate) fn spawn(&self, place: &Place) -> Result<Ready, Error> {
        let mut child = os::without_window(&mut Command::new(&self.program))
            .args(self.arguments)
            .current_dir(os::ROOT)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| self.cannot_start(&error))?;
        let line = read_ready_line(child.stdout.take(), READY);
        reap(&mut child);
        let log = place.log();
        let hint = "`hfd service logs` tells more, `hfdd` in the foreground shows it as it happens";
        match line {
            Ok(line) => match serde_json::from_slice::<Reply<Ready>>(&line) {
                Ok(reply) => reply.into(),
                Err(_) if line.is_empty() => Err(unreachable(format!(
                    "the daemon ended before it was ready (its log: {})",
                    log.display()
                ))
                .hint(hint)),
                Err(_) => Err(
                    unreachable("the daemon's ready line is malformed".to_owned())
                        .hint(format!("is {} an hfdd?", self.program.display())),
                ),
            },
            Err(error) => Err(unreachable(format!(
                "the daemon did not become ready: {error} (its log: {})",
                log.display()
            ))
            .hint(hint)),
        }
    }

    fn cannot_start(&self, error: &io::Error) -> Error {
        let program = self.program.display();
        if error.kind() == io::ErrorKind::NotFound {
            return unreachable("hfdd, the daemon, is not installed".to_owned())
                .hint("install hfdd beside hfd, or put its directory into PATH");
        }
        unreachable(format!("cannot start {program}: {error}"))
    }
}

/// The `hfdd` beside this program, with an absolute path.
pub(crate) fn neighbour() -> Option<PathBuf> {
    // `current_exe` is what the link leads to, so that a link in ~/bin finds its neighbour.
    let path = std::env::current_exe()
        .ok()?
        .parent()?
        .join(format!("hfdd{PROGRAM_SUFFIX}"));
    path.is_file().then_some(path)
}

pub(crate) fn unreachable(message: String) -> Error {
    Error::new(Kind::DaemonUnreachable, message)
}

/// What a daemon, and whatever starts one, sees of the caller's environment.
pub(crate) fn passed_on(env: &Environment) -> impl Iterator<Item = (OsString, OsString)> {
    let all = env.all().into_iter();
    all.filter(|(name, _)| is_passed_on(name))
}

fn is_passed_on(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        let mut passed = os::PASSED_ON.into_iter();
        passed.any(|passed| os::is_same_variable(name, passed)) || name.starts_with("LC_")
    })
}

/// Ends what has not ended, and takes its status, so that no zombie stays. The daemon that said that
/// it is ready is no child of ours; what started it has ended before.
fn reap(child: &mut Child) {
    // Where it has ended already there is nothing to kill.
    let _ = child.kill();
    let _ = child.wait();
}

/// One line without its newline; empty when the pipe was closed without one. It is read by a thread of its
/// own, since a pipe has no time limit on every system; a daemon that stays silent keeps that until hfd ends.
fn read_ready_line(stdout: Option<ChildStdout>, patience: Duration) -> io::Result<Vec<u8>> {
    let Some(stdout) = stdout else {
        return Ok(Vec::new());
    };
    let (send, line) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let mut line = Vec::new();
        let read = BufReader::new(stdout.take(READY_LINE)).read_until(b'\n', &mut line);
        // Nobody waits for it any more where it took too long.
        let _ = send.send(read.map(|_| line));
    })?;
    let mut line = line
        .recv_timeout(patience)
        .map_err(|_| io::Error::other(format!("it took longer than {READY:?}")))??;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ if line.len() + 1 >= READY_LINE as usize => {
            Err(io::Error::other("its ready line is too long"))
        }
        // Cut off, or never begun.
        _ => Ok(Vec::new()),
    }
}
