//! The wire between `hfd` and `hfdd`.
//!
//! One JSON object per line over a local socket; `PROTOCOL.md` beside this crate describes it for
//! clients in other languages and the files under `tests/wire/` are its specification. No async
//! runtime, no keychain, no file but the socket's place.

pub mod access;
mod connection;
mod error;
mod frame;
mod message;
mod name;
pub mod os;
mod place;
mod repository;
mod secret;
mod store;
mod word;

pub use connection::Connection;
pub use error::{Error, Kind};
pub use frame::{Frames, MAX_LINE, encode};
pub use message::*;
pub use name::{Endpoint, InvalidEndpoint, InvalidName, TokenName, escape};
pub use os::private_dir;
pub use place::{LockFile, Place, wait_unlocked};
pub use repository::{InvalidPattern, InvalidRepository, Pattern, Repository};
pub use secret::{
    InvalidPassphrase, InvalidSecret, MAX_PASSPHRASE, MAX_SECRET, Passphrase, Secret,
};
pub use store::{Protection, StoreId};
pub use word::Word;

/// The protocol versions that this build speaks. A new one is added beside the old; it is chosen
/// by the client from what the hello offers.
pub const PROTOCOL: [u32; 1] = [1];

/// The version of this build, the same for client and daemon of one release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
