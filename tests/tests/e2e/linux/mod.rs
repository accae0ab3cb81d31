//! What Linux alone has: Secret Service, systemd, terminals, owners and modes of files, signals.

mod completions;
mod desktop;
mod doctor;
mod git;
mod hook;
mod keychain;
mod place;
mod process;
mod protocol;
mod python;
mod readers;
mod rig;
mod runtime;
mod service;
mod stores;
mod terminal;
mod withhold;
