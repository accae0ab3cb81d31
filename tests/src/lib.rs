//! The harness of hfd's end-to-end tests.
//!
//! A [`Sandbox`] is a person's session in miniature: a home, a runtime directory, a session bus
//! with a real GNOME Keyring, a mock Hub, and the real `hfd`, `hfdd`, `hf` and Python. Tests read
//! as transcripts of it:
//!
//! ```no_run
//! let sandbox = hfd_e2e::Sandbox::new();
//! let work = sandbox.token("work");
//! sandbox.hfd(["login", "--with-token"]).stdin(&work).ok();
//! sandbox.hfd(["token"]).ok().prints(&work);
//! ```
//!
//! When a sandbox ends, every process that it started must be gone, and no token may stand anywhere
//! but where tokens belong; see [`canary`].

pub mod canary;
pub mod hub;
pub mod processes;
pub mod tables;

mod bus;
mod client;
mod command;
mod desktop;
mod events;
mod eventually;
mod fault;
mod keyring;
mod sandbox;
mod stranger;
mod terminal;
mod tools;
mod user_manager;
mod windows;

pub use bus::Bus;
pub use canary::Token;
pub use client::Client;
pub use command::{Outcome, Run, Running};
pub use desktop::Desktop;
pub use events::Events;
pub use eventually::eventually;
pub use fault::{Fault, Row};
pub use keyring::{Frozen, Keyring};
pub use sandbox::{Builder, Sandbox};
pub use stranger::{Stranger, serve as serve_stranger};
pub use terminal::Terminal;
pub use user_manager::UserManager;
