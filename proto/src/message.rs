//! Requests, replies and events.
//!
//! A request is a struct; [`Request`] binds its reply to it and [`Message`] is the sum that travels
//! (`{"kind":"switch","name":"work",…}`). Unknown fields are ignored on both sides.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;

mod browser;
mod caller;
mod mirror;
mod restore;
mod select;
mod session;
mod state;
mod store;
mod token;

pub use browser::*;
pub use caller::*;
pub use mirror::*;
pub use restore::*;
pub use select::*;
pub use session::*;
pub use state::*;
pub use store::*;
pub use token::*;

/// A request and the reply that belongs to it.
pub trait Request: Serialize {
    /// The `kind` that names it on the wire.
    const KIND: &'static str;

    /// What the daemon answers when it can.
    type Reply: Serialize + DeserializeOwned;

    /// How long a client waits for the answer: the daemon's own deadlines (5 s for a store, 30 s
    /// for the Hub) and some to spare, so that the daemon's clearer error arrives first.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// The message that carries this request.
    fn into_message(self) -> Message;
}

/// Does something for every request there is; see [`each_request`].
pub trait RequestVisitor {
    /// Does it for the request `R`.
    fn visit<R: Request>(&mut self);
}

macro_rules! requests {
    ($($(#[$doc:meta])* $kind:literal $request:ident => $reply:ty $(, patience $seconds:literal)?;)*) => {
        /// Every request, as it travels; its `kind` names it.
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        #[allow(clippy::large_enum_variant)] // built once and moved once
        pub enum Message { $($(#[$doc])* #[serde(rename = $kind)] $request($request),)* }

        $(impl Request for $request {
            const KIND: &'static str = $kind;
            type Reply = $reply;
            $(const PATIENCE: Duration = Duration::from_secs($seconds);)?
            fn into_message(self) -> Message { Message::$request(self) }
        })*

        /// Calls `visitor` once for every request, in the order of [`Message`]. What has to hold of
        /// each of them is checked so, and a new one is checked without being named anywhere else.
        pub fn each_request(visitor: &mut impl RequestVisitor) {
            $(visitor.visit::<$request>();)*
        }
    };
}

requests! {
    /// The value of a token.
    "token" Token => TokenReply;
    /// Which token belongs to a place.
    "select" Select => Selected;
    /// What there is, masked.
    "list" List => Listed;
    /// Log in with a token.
    "login" Login => LoginReply, patience 45;
    /// Begin a login with a browser.
    "begin-login" BeginLogin => LoginBegun, patience 45;
    /// Wait for it.
    "await-login" AwaitLogin => LoginState, patience 45;
    /// End it.
    "cancel-login" CancelLogin => LoginCancelled;
    /// Renew a token now.
    "refresh" Refresh => RefreshReply, patience 45;
    /// Put refresh tokens back into the files.
    "hand-back" HandBack => HandBackReply;
    /// Remove tokens.
    "logout" Logout => LogoutReply, patience 45;
    /// Make a token active.
    "switch" Switch => SwitchReply;
    /// Give a token another name.
    "rename" Rename => RenameReply;
    /// Bring back what was logged out or replaced.
    "restore" Restore => RestoreReply;
    /// Make a directory a mirror, or change its mode.
    "manage" Manage => ManageReply;
    /// End the management of a mirror.
    "unmanage" Unmanage => UnmanageReply;
    /// Hide every token.
    "lock" Lock => LockReply;
    /// Show them again.
    "unlock" Unlock => LockReply;
    /// Ask the Hub whose token it is; where that does not know it, renew it and ask once more.
    "whoami" Whoami => WhoamiReply, patience 45;
    /// Have the Hub asked about a token that it has just refused.
    "check" Check => Checking;
    /// Reconcile now.
    "sync" Sync => SyncReply;
    /// The state at a glance.
    "status" Status => StatusReply;
    /// How each store is.
    "stores" Stores => StoresReply, patience 60;
    /// Encrypt the token file with a new key.
    "rekey" Rekey => Rekeyed;
    /// Move tokens to a store.
    "migrate" Migrate => Migrated;
    /// Compare the index with the stores.
    "compare" Compare => Compared;
    /// Follow events; needs a connection of its own, which then carries [`Event`] lines.
    "watch" Watch => Watching;
    /// Leave when idle, because a newer daemon wants the place.
    "retire" Retire => Leaving;
    /// Leave now.
    "shutdown" Shutdown => Leaving;
}

/// The first line on a connection, sent by the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol versions that the daemon speaks.
    pub hfd: Vec<u32>,
    /// The daemon's own version, such as `0.1.0`.
    pub daemon: String,
    /// The daemon's process id.
    pub pid: u32,
}

/// An answer: `{"ok":…}` or `{"err":…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply<T> {
    /// It was done, durably.
    Ok(T),
    /// It was not, or may not have been ([`crate::Kind::TimedOut`]).
    Err(Error),
}

impl<T> From<Result<T, Error>> for Reply<T> {
    fn from(result: Result<T, Error>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(error) => Self::Err(error),
        }
    }
}

impl<T> From<Reply<T>> for Result<T, Error> {
    fn from(reply: Reply<T>) -> Self {
        match reply {
            Reply::Ok(value) => Ok(value),
            Reply::Err(error) => Err(error),
        }
    }
}

/// The line that `hfdd` prints when it accepts connections, or instead of it the reason why not
/// (`{"err":…}`): the reply type of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The process that serves the socket.
    pub pid: u32,
    /// Where it listens.
    pub socket: PathBuf,
}
