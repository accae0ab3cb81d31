//! The requests, one file each. The match below is the list of what the daemon does.

mod check;
mod hand_back;
mod leave;
mod list;
mod login;
mod logout;
mod manage;
mod refresh;
mod select;
mod status;
mod stores;
mod token;
mod whoami;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hfd_proto::{Error, Home, Message, Reply, encode};
use serde::Serialize;
use tokio::time::timeout;

use crate::browser;
use crate::daemon::Daemon;
use crate::engine::leaving;

/// How long a read waits for what tools have just changed, and for values that were not seen yet. A
/// store or a file system that is slow costs a list some masks, not its answer.
const PATIENCE: Duration = Duration::from_millis(1000);

/// Answers one request with one line.
pub async fn answer(daemon: &Arc<Daemon>, message: Message, out: &mut Vec<u8>) {
    let retiring = daemon.retiring.load(Ordering::Relaxed);
    if retiring
        && !matches!(
            message,
            Message::Status(_) | Message::Retire(_) | Message::Shutdown(_)
        )
    {
        return reply(Err::<(), _>(leaving()), out);
    }
    if !matches!(
        message,
        Message::Status(_) | Message::List(_) | Message::Sync(_)
    ) {
        if let Err(error) = daemon.lock_if_idle().await {
            return reply(Err::<(), _>(error), out);
        }
        daemon.idle.used();
    }
    match message {
        Message::Token(request) => return reply(token::addressed(daemon, request).await, out),
        Message::Select(request) => reply(select::answer(daemon, request).await, out),
        Message::List(request) => reply(list::answer(daemon, request).await, out),
        Message::Login(request) => reply(login::answer(daemon, request).await, out),
        Message::BeginLogin(request) => reply(browser::begin(daemon, request).await, out),
        Message::AwaitLogin(request) => reply(browser::wait(daemon, request).await, out),
        Message::CancelLogin(request) => reply(Ok(browser::cancel(daemon, &request).await), out),
        Message::Refresh(request) => reply(refresh::answer(daemon, request).await, out),
        Message::HandBack(_) => reply(hand_back::answer(daemon).await, out),
        Message::Logout(request) => reply(logout::answer(daemon, request).await, out),
        Message::Switch(request) => reply(daemon.engine.switch(request).await, out),
        Message::Rename(request) => reply(daemon.engine.rename(request).await, out),
        Message::Restore(request) => reply(daemon.engine.restore(request).await, out),
        Message::Manage(request) => reply(manage::answer(daemon, request).await, out),
        Message::Unmanage(request) => reply(daemon.engine.unmanage(request).await, out),
        Message::Lock(request) => reply(daemon.engine.lock(true, request.home).await, out),
        Message::Unlock(request) => reply(stores::unlock(daemon, request).await, out),
        Message::Stores(request) => reply(stores::answer(daemon, &request).await, out),
        Message::Rekey(request) => reply(stores::rekey(daemon, request).await, out),
        Message::Migrate(request) => reply(daemon.engine.migrate(request).await, out),
        Message::Compare(request) => reply(daemon.engine.compare(request).await, out),
        Message::Whoami(request) => reply(whoami::answer(daemon, request).await, out),
        Message::Check(request) => reply(Ok(check::answer(daemon, request)), out),
        Message::Sync(request) => reply(daemon.engine.sync(request.home).await, out),
        Message::Status(request) => reply(Ok(status::answer(daemon, &request).await), out),
        Message::Retire(_) => reply(Ok(leave::retire(daemon)), out),
        Message::Shutdown(_) => reply(Ok(leave::now(daemon)), out),
        // The connection goes on with events after this reply.
        Message::Watch(_) => reply(Ok(hfd_proto::Watching {}), out),
    }
    daemon.untidy.notify_one();
}

/// Has the mirrors looked at where the files of `home` are not as they were last seen, so that the
/// snapshot afterwards tells of them; for at most [`PATIENCE`].
async fn follow(daemon: &Daemon, home: Option<&Home>) {
    let snapshot = daemon.snapshot();
    let in_step = match home.map(|home| (home, snapshot.mirror(home))) {
        Some((home, Some((_, now)))) => now.unchanged(home).await,
        _ => snapshot.index.had_mirror,
    };
    if !in_step {
        // The answer is the state afterwards, in step or not.
        drop(timeout(PATIENCE, daemon.engine.sync(home.cloned())).await);
    }
}

fn reply<T: Serialize>(result: Result<T, Error>, out: &mut Vec<u8>) {
    encode(&Reply::from(result), out);
}
