//! `hfd exec --live`: a program whose token stays fresh while it runs.
//!
//! hfd stays as the program's parent. Its main thread passes signals on and waits for the end
//! ([`child`]), a second one follows the daemon ([`follow`]) and keeps the file ([`mod@file`]) that
//! `HF_TOKEN_PATH` names.

mod child;
mod file;
mod follow;

use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use hfd_proto::{Endpoint, Error, Kind, Secret, TokenName};

use crate::environment::Environment;
use crate::output::Output;
use child::Signals;
use file::LiveFile;
use follow::Follower;

/// The token of a program, pinned when that starts.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// Its name.
    pub(crate) name: TokenName,
    /// The Hub that the program was told of, and so the only one whose token it may be given.
    pub(crate) endpoint: Endpoint,
    /// Its value now.
    pub(crate) value: Secret,
}

/// Why a program has no exit status.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// It could not be started.
    Program(io::Error),
    /// Its token could not be put where it would have looked.
    Token(Error),
}

/// Runs the program to its end, with `HF_TOKEN_PATH` naming a file that holds the token as it is at
/// every moment. The result is its exit status, 128 and the signal where one ended it.
pub(crate) fn run(
    mut command: Command,
    pinned: Pinned,
    env: &Environment,
    output: Output,
) -> Result<i32, NotRun> {
    let cannot = |error: io::Error| {
        NotRun::Token(Error::new(
            Kind::Other,
            format!("cannot run a program with a live token: {error}"),
        ))
    };
    // From here on a signal ends the program, and with it hfd, which takes the file away.
    let signals = Signals::catch().map_err(cannot)?;
    let mut file = LiveFile::new(&env.place().map_err(NotRun::Token)?).map_err(NotRun::Token)?;
    file.hold(Some(&pinned.value)).map_err(cannot)?;
    command.env("HF_TOKEN_PATH", file.path());
    let mut child = command.spawn().map_err(NotRun::Program)?;
    let file = Arc::new(Mutex::new(Some(file)));
    let follower = Follower::new(pinned, Arc::clone(&file), output);
    // It ends with this process: what it waits for may never come.
    let following = std::thread::Builder::new().spawn(move || follower.run());
    if let Err(error) = following {
        output.note(&format!("the token will not be kept fresh: {error}"));
    }
    let status = signals.until_end(&mut child).map_err(cannot);
    drop(file.lock().unwrap_or_else(PoisonError::into_inner).take());
    status
}
