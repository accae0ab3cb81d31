//! Finding the daemon, and starting it where there is none.
//!
//! However many clients ask at the same moment, one of them starts it: whoever holds `start.lock`.
//! An older daemon is asked to leave first; a newer one is used as it is.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use hfd_proto::os::{Own, open_own};
use hfd_proto::{
    Connection, Error, Kind, Place, Request, Retire, VERSION, private_dir, wait_unlocked,
};

use crate::autostart::Manager;
use crate::environment::Environment;
use crate::spawn::{self, ON_DEMAND, Spawner};
use crate::stop::FAREWELL;
use crate::version;

/// How long another client may take to start the daemon: an older daemon's farewell, then as long as
/// the service's unit gives it (60 s), with which it is mostly done; where that failed, a little of
/// [`spawn`].
const TURN: Duration = Duration::from_secs(110);

/// Sends one request to the daemon, started if need be, and waits for the reply.
pub(crate) fn request<R: Request>(env: &Environment, request: R) -> Result<R::Reply, Error> {
    connect(env)?.request(request)
}

/// Asks something that changes nothing, once more where the daemon ended before it answered: another
/// one is started, and knows the same.
pub(crate) fn ask<R: Request + Clone>(env: &Environment, request: R) -> Result<R::Reply, Error> {
    match connect(env)?.exchange(request.clone())? {
        Some(reply) => Ok(reply),
        None => self::request(env, request),
    }
}

/// A connection, for somebody who waits no longer than this, to a daemon that need not be started first; `None`
/// where it is not as simple as that.
pub(crate) fn at_hand(env: &Environment, end: Instant) -> Option<Connection> {
    let place = env.place().ok()?;
    let mut found = place
        .sockets()
        .filter_map(|socket| Connection::open_until(&socket, Some(end)).ok().flatten());
    found
        .next()
        .filter(|connection| connection.check_protocol().is_ok() && !is_older(connection))
}

/// A connection to a daemon of our version or a newer one that speaks our protocol.
pub(crate) fn connect(env: &Environment) -> Result<Connection, Error> {
    let place = env.place()?;
    if let Some(connection) = find(&place)? {
        connection.check_protocol()?;
        if !is_older(&connection) || Manager::runs_another_hfdd(env) {
            return Ok(connection);
        }
    }
    start(&place, env)
}

/// A connection to the daemon that runs, whatever its version; `None` when none does.
///
/// A place that refuses is passed over where there is another: with the environment of `su`,
/// `XDG_RUNTIME_DIR` is somebody else's. It becomes the error when all refuse (`HFD_SOCKET` is the
/// only one), or when a daemon is known to run, since its lock is held, and none leads to it.
pub(crate) fn find(place: &Place) -> Result<Option<Connection>, Error> {
    let mut refusals = Vec::new();
    for socket in place.sockets() {
        match Connection::open(&socket) {
            Ok(Some(connection)) => return Ok(Some(connection)),
            Ok(None) => {}
            Err(error) => refusals.push(error),
        }
    }
    let all_refuse = refusals.len() == place.sockets().count();
    // Read last: in the ordinary case nothing but a socket is touched.
    let elsewhere = place.lock_file().map(|lock| lock.socket);
    let elsewhere = elsewhere.filter(|socket| place.sockets().all(|usual| usual != *socket));
    if let Some(socket) = elsewhere {
        match Connection::open(&socket) {
            Ok(Some(connection)) => return Ok(Some(connection)),
            Ok(None) => {}
            Err(error) => refusals.push(error),
        }
    }
    match refusals.into_iter().next() {
        Some(error) if all_refuse || is_held(&place.lock()) => Err(error),
        _ => Ok(None),
    }
}

/// Whether a daemon runs here, whatever it answers.
pub(crate) fn find_running(env: &Environment) -> bool {
    env.place().is_ok_and(|place| is_held(&place.lock()))
}

/// The same for a daemon that is about to serve.
pub(crate) fn awaited(place: &Place, patience: Duration) -> Result<Option<Connection>, Error> {
    let deadline = Instant::now() + patience;
    loop {
        match find(place) {
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            found => return found,
        }
    }
}

fn is_older(connection: &Connection) -> bool {
    let theirs = connection.hello().daemon.as_str();
    theirs != VERSION && version::precedes(theirs, VERSION)
}

/// Whether a daemon runs here: it holds its lock as long as it lives.
pub(crate) fn is_held(lock: &Path) -> bool {
    matches!(wait_unlocked(lock, Instant::now()), Ok(false))
}

/// Starts the daemon, unless another client does so first.
fn start(place: &Place, env: &Environment) -> Result<Connection, Error> {
    let _turn = take_turn(place)?;
    if let Some(connection) = find(place)? {
        connection.check_protocol()?;
        if !is_older(&connection) {
            return Ok(connection);
        }
        retire(connection, place)?;
    }
    if let Some(connection) = start_service(place, env) {
        connection.check_protocol()?;
        return Ok(connection);
    }
    let ready = Spawner::beside_this_program(env, ON_DEMAND).spawn(place)?;
    let connection = Connection::open(&ready.socket)?.ok_or_else(|| {
        Error::new(
            Kind::DaemonUnreachable,
            "the daemon left as soon as it was ready",
        )
        .hint("`hfd service logs` tells why")
    })?;
    connection.check_protocol()?;
    Ok(connection)
}

/// Has the service manager start the daemon where it is installed as a service, so that there is one
/// owner of the socket, which is watched over.
///
/// What goes wrong there is no reason to fail: a container or a login without a manager shares this
/// home, and is served on demand. `hfd service status` shows what the service does.
fn start_service(place: &Place, env: &Environment) -> Option<Connection> {
    let manager = Manager::where_installed(env)?;
    let deadline = Instant::now() + Manager::PATIENCE;
    loop {
        manager.start().ok()?;
        match find(place) {
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            found => return found.ok().flatten(),
        }
    }
}

/// Waits until no other client starts a daemon; released when the file is dropped.
fn take_turn(place: &Place) -> Result<File, Error> {
    private_dir(&place.state_dir())?;
    let path = place.start_lock();
    let cannot = |error: std::io::Error| {
        let path = path.display();
        Error::new(
            Kind::DaemonUnreachable,
            format!("cannot lock {path}: {error}"),
        )
    };
    let file = open_own(&path, Own::Kept).map_err(cannot)?;
    let deadline = Instant::now() + TURN;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Error::new(
                    Kind::DaemonUnreachable,
                    "another hfd has been starting the daemon for too long",
                )
                .hint("`hfd service restart` starts afresh"));
            }
            // flock(2) has no time-out; 2 ms is short beside a daemon's start.
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Asks an older daemon to leave, and waits until it has.
fn retire(mut connection: Connection, place: &Place) -> Result<(), Error> {
    let theirs = connection.hello().daemon.clone();
    connection.request(Retire {})?;
    drop(connection);
    match wait_unlocked(&place.lock(), Instant::now() + FAREWELL) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(
            Kind::DaemonUnreachable,
            format!("hfdd {theirs} was asked to make room for {VERSION} and has not left yet"),
        )
        .hint("repeat, or end it with `hfd service restart`")),
        Err(error) => Err(spawn::unreachable(format!(
            "cannot examine {}: {error}",
            place.lock().display()
        ))),
    }
}
