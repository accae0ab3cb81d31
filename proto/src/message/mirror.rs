//! Mirrors, and whether anything is shown in them.

use serde::{Deserialize, Serialize};

use super::{Home, MirrorStatus, Mode, Pending};
use crate::secret::Passphrase;

/// Makes a directory a mirror, or gives a mirror another mode.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manage {
    /// Its `token` file.
    pub home: Home,
    /// What it shows from now on.
    pub mode: Mode,
}

/// A directory that is managed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManageReply {
    /// How it is.
    pub mirror: MirrorStatus,
}

/// Ends the management of a mirror; its files stay as they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unmanage {
    /// Its `token` file.
    pub home: Home,
}

/// A directory that is no mirror any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmanageReply {
    /// How it was.
    pub mirror: MirrorStatus,
}

/// Locks hfd: takes the tokens out of the mirrors and of memory, and tells none until it is
/// unlocked, also after a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lock {
    /// The caller's Hugging Face home, whose files must follow; others may do so later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// Ends the lock.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Unlock {
    /// What opens the encrypted token file, for as long as the daemon runs or until it is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Passphrase>,
    /// Whether that is all that is to be opened; with a passphrase it is refused while hfd is locked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub store_only: bool,
    /// The caller's Hugging Face home, whose files must follow; others may do so later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// Locked or unlocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockReply {
    /// Whether it was before.
    pub was_locked: bool,
    /// Mirrors other than the caller's that do not show it yet.
    #[serde(default)]
    pub pending: Vec<Pending>,
}
