//! The operating system, as far as it differs for a client: processes, programs, consoles. Each system
//! has a module with the same names; whoever calls has no `cfg`.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;
