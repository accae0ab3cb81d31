//! Bringing back what was logged out or replaced.

use serde::{Deserialize, Serialize};

use super::{Home, Pending};
use crate::name::{Endpoint, TokenName};

/// Asks what can be brought back, or brings it back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Restore {
    /// Which; without one nothing is brought back. Of several of one name it is the last that went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// The caller's Hugging Face home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// What can be brought back, and what was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreReply {
    /// The token that was asked for, now with the value that it had.
    pub restored: Option<TokenName>,
    /// What can be brought back now, the last that went first.
    pub kept: Vec<KeptEntry>,
    /// Mirrors other than the caller's that do not hold the change yet.
    #[serde(default)]
    pub pending: Vec<Pending>,
}

/// A token that was logged out or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptEntry {
    /// Its name.
    pub name: TokenName,
    /// The user it belongs to; null where the Hub was not asked.
    pub user: Option<String>,
    /// Its Hub.
    pub endpoint: Endpoint,
    /// When it went, in Unix seconds.
    pub at: i64,
    /// Until when it is kept, in Unix seconds.
    pub until: i64,
    /// `hfd`, or the directory of the mirror in which a tool did it.
    pub by: String,
    /// Whether another value took its place; otherwise it was logged out.
    pub replaced: bool,
}
