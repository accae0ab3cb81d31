//! hfd from the keychain to the real `hf`, as a person and as programs meet it.

// A test says what went wrong by failing.
#![allow(clippy::unwrap_used)]

mod browser;
mod crash;
mod daemon;
mod environment;
mod expiry;
mod faults;
mod harness;
mod homes;
mod hub;
mod import;
mod keep;
mod keychain;
mod live;
mod login;
mod long;
mod names;
mod oauth_upstream;
mod place;
mod protocol;
mod renewal;
mod revoke;
mod scenarios;
mod service;
mod terminal;
mod tokens;
mod versions;
mod wire;
mod withhold;
