//! From the command line to the accept loop.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use hfd_core::model::Salt;
use hfd_proto::os::Stream;
use hfd_proto::{
    Connection, Error, Kind, LockFile, Place, Ready, Reply, Retire, StoreId, VERSION, private_dir,
};
use tokio::sync::{Notify, broadcast, watch};

use crate::browser::Logins;
use crate::clock::Clock;
use crate::config::{Config, Level};
use crate::daemon::{Checks, Daemon, EVENTS, Refusals};
use crate::engine::{Engine, Parts};
use crate::follow::follow;
use crate::hub::Hub;
use crate::idle::{self, Idle};
use crate::journal::Journal;
use crate::listen::{self, Signals, Socket};
use crate::lock::Lock;
use crate::log::{self, Destination};
use crate::memory;
use crate::mirror::Guests;
use crate::notify::{self, Manager};
use crate::os::since_boot;
use crate::process::{self, Side};
use crate::renew::{self, Renewals};
use crate::snapshot::Snapshot;
use crate::stores::Stores;
use crate::values::Values;

const USAGE: &str = "\
hfdd keeps Hugging Face tokens in the keychain; hfd is the command to talk to it.

Usage: hfdd [--detach] [--service]

  --detach   run in the background, and log to hfdd.log in the state directory
  --service  run for systemd (Type=notify), launchd or a logon of Windows, in the place of a daemon
             that was started on demand
  --version  print the version

It prints one line when it is ready, {\"ok\":{\"pid\":…,\"socket\":…}}, or {\"err\":…}.
";

/// How long a daemon that finds another one running waits for it to be reachable.
const OTHER: Duration = Duration::from_secs(5);

/// How long a service waits for one that it asked to make room: what is under way there (5 s), its last
/// tokens (36 s), change and replies (6 s).
const ROOM: Duration = Duration::from_secs(48);

/// What a leaving daemon gives a change that is under way: as long as the change itself may take.
const LAST_CHANGE: Duration = Duration::from_secs(5);

/// What it gives a renewal that the Hub has been asked for, and a browser login that was granted: as long
/// as the Hub may take (30 s), and then the store.
const LAST_TOKENS: Duration = Duration::from_secs(36);

/// What it gives the replies of what is done.
const LAST_REPLIES: Duration = Duration::from_secs(1);

/// The whole program.
pub fn main() -> ExitCode {
    let outcome = match arguments() {
        Ok(Order::Print(text)) => return print(text.as_bytes()),
        Ok(Order::Serve(mode)) => serve(mode),
        Ok(Order::Detach(mode)) => match process::detach() {
            Ok(Side::Parent) => return ExitCode::SUCCESS,
            Ok(Side::Daemon) => serve(mode),
            Err(error) => {
                let message = format!("hfdd cannot leave its terminal: {error}");
                Err(Error::new(Kind::DaemonUnreachable, message))
            }
        },
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

enum Order {
    Serve(Mode),
    Detach(Mode),
    Print(String),
}

/// For whom it serves.
enum Mode {
    /// Whoever started it, and looks on.
    Foreground,
    /// The client that started it on demand, and all others from then on.
    Detached,
    /// A session, as its service.
    Service(Manager),
}

fn arguments() -> Result<Order, Error> {
    let (mut detach, mut service) = (false, None);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--detach" => detach = true,
            "--service" => service = Some(manager()?),
            "--version" | "-V" => return Ok(Order::Print(format!("hfdd {VERSION}\n"))),
            "--help" | "-h" => return Ok(Order::Print(USAGE.to_owned())),
            _ => return Err(usage("unknown argument")),
        }
    }
    // Both: Windows starts a program at logon, and it has to leave the console by itself.
    Ok(match (detach, service) {
        (false, None) => Order::Serve(Mode::Foreground),
        (true, None) => Order::Detach(Mode::Detached),
        (false, Some(manager)) => Order::Serve(Mode::Service(manager)),
        (true, Some(manager)) => Order::Detach(Mode::Service(manager)),
    })
}

fn manager() -> Result<Manager, Error> {
    Manager::find(|name| std::env::var_os(name)).map_err(|error| {
        Error::new(
            Kind::Usage,
            format!("--service is for a service manager: {error}"),
        )
        .hint("`hfd service install` has it run the daemon")
    })
}

fn usage(what: &str) -> Error {
    Error::new(Kind::Usage, what).hint("hfdd --help shows the arguments")
}

/// The error as the ready line's other half, and for a person.
fn failed(error: &Error) -> ExitCode {
    say(&Reply::<Ready>::Err(error.clone()));
    let hint = error
        .hint
        .as_deref()
        .map(|hint| format!(" ({hint})"))
        .unwrap_or_default();
    drop(writeln!(std::io::stderr(), "hfdd: {error}{hint}"));
    ExitCode::from(error.kind.exit_status())
}

fn say(line: &Reply<Ready>) {
    let mut bytes = Vec::new();
    hfd_proto::encode(line, &mut bytes);
    print(&bytes);
}

/// Nobody may be listening any more; the daemon serves all the same.
fn print(bytes: &[u8]) -> ExitCode {
    let mut out = std::io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(mode: Mode) -> Result<(), Error> {
    let not_hardened = process::harden();
    memory::share_heap();
    let env = |name: &str| std::env::var_os(name);
    let place = Place::new(env)?;
    let state = place.state_dir();
    private_dir(&state)?;
    let config = match Config::path(env) {
        Some(path) => Config::load(&path)?,
        None => Config::default(),
    };
    let Some(lock) = take_lock(&place, &mode)? else {
        return Ok(());
    };
    let destination = match &mode {
        Mode::Foreground => Destination::of_stderr(env),
        Mode::Service(manager) if manager.keeps_stderr() => Destination::of_stderr(env),
        Mode::Detached | Mode::Service(_) => {
            let path = place.log();
            path.parent().map(private_dir).transpose()?;
            Destination::File(path)
        }
    };
    log::start(destination, level(&config)?)?;
    for (what, error) in not_hardened {
        tracing::warn!(%error, "{what}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // There is room for so many from the start; more than these at once are rare.
        .max_io_events_per_tick(128)
        .build()
        .map_err(|error| Error::new(Kind::Other, format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(Box::pin(run(place, config, lock, mode)));
    // A thread that a file system holds is not waited for.
    runtime.shutdown_background();
    outcome
}

/// `HFD_LOG`, else the configured level.
fn level(config: &Config) -> Result<Level, Error> {
    match std::env::var("HFD_LOG") {
        Ok(level) if !level.is_empty() => level.parse().map_err(|_| {
            Error::new(Kind::Usage, "HFD_LOG is not a log level")
                .hint("use error, warn, info, debug or trace")
        }),
        _ => Ok(config.log),
    }
}

/// The lock; `None` when another daemon holds it and serves, where whoever asked was told then.
/// One that is just ending holds it too, for a moment: then it is our turn. A service ends the one
/// that was started on demand, since the session is to have its daemon watched over.
fn take_lock(place: &Place, mode: &Mode) -> Result<Option<Lock>, Error> {
    let takes_over = matches!(mode, Mode::Service(_));
    let deadline = Instant::now() + if takes_over { ROOM } else { OTHER };
    let (mut woken, mut asked) = (false, false);
    loop {
        let lock = Lock::take(place)
            .map_err(|error| Error::new(Kind::Other, format!("cannot take the lock: {error}")))?;
        if lock.is_some() {
            return Ok(lock);
        }
        if let Some(other) = place.lock_file() {
            if takes_over {
                asked = asked || retire(&other);
            } else if Stream::connect(&other.socket).is_ok() {
                let LockFile { pid, socket, .. } = other;
                say(&Reply::Ok(Ready { pid, socket }));
                return Ok(None);
            }
            if !asked && !woken {
                woken = process::wake(other.pid);
            }
        }
        if Instant::now() >= deadline {
            return Err(Error::new(
                Kind::DaemonUnreachable,
                "another hfdd is running and cannot be reached",
            )
            .hint("`hfd service restart` ends it and starts another"));
        }
        // flock(2) has no time-out; 5 ms is short beside a process's end.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Asks another daemon to make room; false where it cannot be asked, or not yet.
fn retire(other: &LockFile) -> bool {
    let connection = Connection::open(&other.socket).ok().flatten();
    connection.is_some_and(|mut connection| {
        connection.check_protocol().is_ok() && connection.request(Retire {}).is_ok()
    })
}

async fn run(place: Place, config: Config, lock: Lock, mode: Mode) -> Result<(), Error> {
    let signals = Signals::install()
        .map_err(|error| Error::new(Kind::Other, format!("cannot handle signals: {error}")))?;
    let state = place.state_dir();
    let journal = Journal::open(&state, new_salt()?).map_err(|error| {
        let told = Error::new(Kind::Other, format!("cannot open the index: {error}"));
        match error.kind() == std::io::ErrorKind::InvalidData {
            true => told.hint("`hfd doctor --repair` makes a new one of what the stores hold"),
            false => told,
        }
    })?;
    let socket = Socket::bind(&place)?;
    listen::announce(&lock, socket.path())?;
    let lock = Arc::new(lock);
    let default = config.store.unwrap_or(StoreId::HERE[0]);
    let stores = Arc::new(Stores::new(default, state));
    let values = Arc::new(Values::new(journal.index.salt, Arc::clone(&stores)));
    let (publish, published) = watch::channel(Arc::new(Snapshot {
        index: Arc::clone(&journal.index),
        mirrors: std::collections::BTreeMap::new(),
        unsettled: journal.unsettled.len(),
    }));
    let (events, _) = broadcast::channel(EVENTS);
    let (moved, where_) = watch::channel::<PathBuf>(socket.path().to_owned());
    let leave = Arc::new(Notify::new());
    let clock = Arc::new(Clock::default());
    // One that is started on demand beside an installed service (a login without a manager) leaves what
    // that withholds where it is.
    let stays = journal.index.withhold && Manager::is_installed(|name| std::env::var_os(name));
    let withhold = config.withholds(service(&mode).is_some() || stays);
    let engine = Engine::start(Parts {
        journal,
        stores: Arc::clone(&stores),
        values: Arc::clone(&values),
        publish,
        events: events.clone(),
        lock: Some(Arc::clone(&lock)),
        leave: Arc::clone(&leave),
        withhold,
        clock: Arc::clone(&clock),
        endpoint: config.endpoint.clone(),
    })
    .map_err(|error| Error::new(Kind::Other, format!("cannot start a thread: {error}")))?;
    tokio::spawn(follow(engine.clone(), published.clone()));
    let ready = Ready {
        pid: std::process::id(),
        socket: socket.path().to_owned(),
    };
    let idle = Arc::new(Idle::new(config.lock_after, since_boot));
    tokio::spawn(idle::follow(
        Arc::clone(&idle),
        engine.clone(),
        published.clone(),
    ));
    let daemon = Arc::new(Daemon {
        hub: Hub::new(&config),
        config,
        stores,
        values,
        guests: Guests::default(),
        state: published,
        engine,
        events,
        socket: where_,
        started: Instant::now(),
        clock,
        renewals: Renewals::default(),
        logins: Logins::default(),
        refusals: Refusals::default(),
        checks: Checks::default(),
        jitter: jitter()?,
        service: service(&mode),
        busy: AtomicUsize::new(0),
        idle,
        retiring: AtomicBool::new(false),
        untidy: Notify::new(),
        leave,
    });
    tokio::spawn(renew::follow(Arc::clone(&daemon)));
    let following = Arc::clone(&daemon);
    tokio::spawn(async move { following.follow_keychain().await });
    tracing::info!(version = VERSION, socket = %ready.socket.display(), "ready");
    say(&Reply::Ok(ready));
    match &mode {
        Mode::Foreground => {}
        Mode::Detached => {
            if let Err(error) = process::leave_stdout() {
                tracing::warn!(%error, "standard output stays open");
            }
        }
        Mode::Service(manager) => tell(manager, notify::READY),
    }
    listen::serve(Arc::clone(&daemon), socket, signals, place, &lock, moved).await;
    if let Mode::Service(manager) = &mode {
        tell(manager, notify::STOPPING);
    }
    let tokens = async { tokio::join!(daemon.renewals.rest(), daemon.logins.rest()) };
    if tokio::time::timeout(LAST_TOKENS, tokens).await.is_err() {
        tracing::warn!("a login or a renewal is cut off; what the Hub answers is lost");
    }
    if tokio::time::timeout(LAST_CHANGE, daemon.engine.rest())
        .await
        .is_err()
    {
        tracing::warn!("a change is cut off; it is settled at the next start");
    }
    // What is answered is also sent.
    drop(tokio::time::timeout(LAST_REPLIES, daemon.answered()).await);
    tracing::info!("left");
    Ok(())
}

fn new_salt() -> Result<Salt, Error> {
    random().map(Salt)
}

fn jitter() -> Result<f64, Error> {
    Ok(f64::from(u16::from_le_bytes(random()?)) / f64::from(u16::MAX))
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(Kind::Other, format!("no random numbers: {error}")))?;
    Ok(bytes)
}

fn tell(manager: &Manager, what: &str) {
    if let Err(error) = manager.tell(what) {
        tracing::warn!(%error, "the service manager was not told {what}");
    }
}

/// What `status` names as the one that runs this daemon.
fn service(mode: &Mode) -> Option<String> {
    match mode {
        Mode::Service(manager) => Some(manager.name().to_owned()),
        Mode::Foreground | Mode::Detached => None,
    }
}
