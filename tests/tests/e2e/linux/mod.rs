//! What Linux alone has: Secret Service, systemd, terminals, owners and modes of files, signals.

mod keychain;
mod place;
mod process;
mod service;
mod terminal;
mod withhold;
