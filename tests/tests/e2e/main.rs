//! hfd from the keychain to the real `hf`, as a person and as programs meet it.

// A test says what went wrong by failing.
#![allow(clippy::unwrap_used)]

mod browser;
mod crash;
mod daemon;
mod environment;
mod expiry;
mod homes;
mod hub;
mod import;
mod keep;
mod linux;
mod live;
mod login;
mod long;
mod names;
mod parts;
mod protocol;
mod renewal;
mod revoke;
mod scenarios;
mod select;
mod tokens;
mod versions;
mod windows;
mod wire;
