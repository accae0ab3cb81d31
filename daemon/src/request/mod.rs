//! The requests, one file each. The match below is the list of what the daemon does.

mod leave;
mod list;
mod login;
mod status;
mod token;
mod whoami;

use std::sync::Arc;

use hfd_proto::{Error, Message, Reply, encode};
use serde::Serialize;

use crate::daemon::Daemon;

/// Answers one request with one line.
pub async fn answer(daemon: &Arc<Daemon>, message: Message, out: &mut Vec<u8>) {
    match message {
        Message::Token(request) => reply(token::answer(daemon, request).await, out),
        Message::List(request) => reply(list::answer(daemon, request).await, out),
        Message::Login(request) => reply(login::answer(daemon, request).await, out),
        Message::Logout(request) => reply(daemon.engine.logout(request).await, out),
        Message::Switch(request) => reply(daemon.engine.switch(request).await, out),
        Message::Rename(request) => reply(daemon.engine.rename(request).await, out),
        Message::Whoami(request) => reply(whoami::answer(daemon, request).await, out),
        Message::Sync(request) => reply(daemon.engine.sync(request.home).await, out),
        Message::Status(request) => reply(Ok(status::answer(daemon, &request)), out),
        Message::Retire(_) => reply(leave::retire(daemon).await, out),
        Message::Shutdown(_) => reply(Ok(leave::now(daemon)), out),
        // The connection takes it before it comes here, because it changes what follows.
        Message::Watch(_) => reply(Ok(hfd_proto::Watching {}), out),
    }
}

fn reply<T: Serialize>(result: Result<T, Error>, out: &mut Vec<u8>) {
    encode(&Reply::from(result), out);
}
