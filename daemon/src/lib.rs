//! `hfdd`: the daemon that owns the keychain and keeps the token files in step with it.
//!
//! ARCHITECTURE.md at the root tells how the parts work together; [`request`] lists what it does.

pub mod arena;
mod browser;
mod clock;
pub mod config;
pub mod connection;
pub mod daemon;
mod desktop;
pub mod engine;
pub mod follow;
pub mod hub;
mod idle;
pub mod journal;
pub mod listen;
pub mod lock;
pub mod log;
pub mod memory;
pub mod mirror;
pub mod notify;
mod os;
pub mod process;
mod renew;
pub mod request;
pub mod scrub;
pub mod snapshot;
mod start;
pub mod store;
pub mod stores;
pub mod values;

pub use start::main;
