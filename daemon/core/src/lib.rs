//! The pure part of hfd: no file, no clock, no environment, no thread. Bytes, times and variables
//! come in as arguments, and `clippy.toml` beside this crate keeps it so.
//!
//! [`observe`] parses what a mirror holds, [`view`] says what it should hold, [`reconcile`] compares
//! the two, [`explain`] tells what a write does and why, [`model`] is what the daemon
//! knows of tokens without their values, and [`select`] which of them belongs to a repository or a directory.

pub mod explain;
pub mod home;
pub mod ini;
pub mod model;
pub mod observe;
mod python;
pub mod reconcile;
pub mod renewal;
pub mod rules;
pub mod select;
pub mod text;
pub mod view;
