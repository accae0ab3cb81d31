//! A child in place of oneself: what is sent to hfd, its stops and its end.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use unix::Signals;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(super) use windows::Signals;
