//! What Linux alone has: Secret Service, systemd, terminals, owners and modes of files, signals.

mod desktop;
mod git;
mod keychain;
mod place;
mod process;
mod protocol;
mod service;
mod terminal;
mod withhold;
