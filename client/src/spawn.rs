//! Starting `hfdd`, so that nothing of the caller's circumstances stays with it: a terminal, a
//! directory, a variable with a token, a file that it would keep open.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use hfd_proto::{Error, Kind, Place, Ready, Reply};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use crate::environment::Environment;

/// How long the daemon may take until it is ready: reading its index takes milliseconds, and it
/// waits for nothing else.
const READY: Duration = Duration::from_secs(10);

/// The longest ready line: a socket's path and an error are far shorter.
const READY_LINE: usize = 16 * 1024;

/// What of the caller's environment the daemon may see: who and where the person is, how to reach
/// the session bus and its dialogs, and its own settings. `LC_*` comes with `LANG`.
const PASSED_ON: [&str; 19] = [
    "HOME",
    "USER",
    "LOGNAME",
    "PATH",
    "LANG",
    "TZ",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_SESSION_ID",
    "XDG_SESSION_TYPE",
    "XDG_CURRENT_DESKTOP",
    "HFD_SOCKET",
    "HFD_LOG",
];

/// How `hfdd` is started.
#[derive(Debug)]
pub(crate) struct Spawner {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Spawner {
    /// The `hfdd` beside this program, which has its version; else the one in `PATH`.
    pub(crate) fn beside_this_program(env: &Environment) -> Self {
        Self {
            program: neighbour().unwrap_or_else(|| PathBuf::from("hfdd")),
            environment: passed_on(env).collect(),
        }
    }

    /// Starts it and waits for its ready line. With `--detach`, `hfdd` leaves a daemon of its own
    /// session behind and ends at once, so this process gets no lasting child.
    pub(crate) fn spawn(&self, place: &Place) -> Result<Ready, Error> {
        let mut child = Command::new(&self.program)
            .arg("--detach")
            .current_dir("/")
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| self.cannot_start(&error))?;
        let line = read_ready_line(child.stdout.take(), Instant::now() + READY);
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
    let path = std::env::current_exe().ok()?.parent()?.join("hfdd");
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
    PASSED_ON.iter().any(|passed| name == *passed)
        || name.to_str().is_some_and(|name| name.starts_with("LC_"))
}

/// Ends what has not ended, and takes its status, so that no zombie stays. The daemon that said that
/// it is ready is no child of ours; what started it has ended before.
fn reap(child: &mut Child) {
    // It is our child and not waited for, so that this is it. Where it has ended there is nothing to kill.
    let _ = kill_process(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

/// One line without its newline; empty when the pipe was closed without one.
fn read_ready_line(stdout: Option<ChildStdout>, deadline: Instant) -> io::Result<Vec<u8>> {
    let Some(mut stdout) = stdout else {
        return Ok(Vec::new());
    };
    let (mut line, mut chunk) = (Vec::new(), [0; 512]);
    loop {
        wait_readable(&stdout, deadline)?;
        let length = stdout.read(&mut chunk)?;
        line.extend_from_slice(&chunk[..length]);
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok(line);
        }
        if length == 0 {
            return Ok(Vec::new());
        }
        if line.len() > READY_LINE {
            return Err(io::Error::other("its ready line is too long"));
        }
    }
}

fn wait_readable(stdout: &ChildStdout, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&timeout)) {
        Ok(0) => Err(io::Error::other(format!("it took longer than {READY:?}"))),
        Ok(_) => Ok(()),
        // Stopped and continued (Ctrl-Z): the deadline still holds.
        Err(rustix::io::Errno::INTR) => wait_readable(stdout, deadline),
        Err(error) => Err(error.into()),
    }
}
