//! File leases: how the system says that nobody has a file open. Each system has a module with the
//! same names.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(super) use linux::{EXIST, Lease, take, take_to_look};

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(super) use macos::{EXIST, Lease, take, take_to_look};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(super) use windows::{EXIST, Lease, take, take_to_look};

/// What the file is leased for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To read it. The file must be open for reading only.
    Read,
    /// To write it.
    Write,
}

/// Why there is no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Somebody has the file open.
    #[cfg_attr(target_os = "macos", expect(dead_code, reason = "there nobody knows"))]
    Open,
    /// This file system, or this system, has no leases.
    Unsupported,
}
