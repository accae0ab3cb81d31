//! The stores, and what is in them.

use serde::{Deserialize, Serialize};

use super::StoreState;
use crate::error::Error;
use crate::name::TokenName;
use crate::secret::Passphrase;
use crate::store::{Protection, StoreId};
use crate::word::Word;

/// Asks each store how it is. None is opened, no dialog appears.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stores {
    /// The only one that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<StoreId>,
    /// Whether each that is open is to take a value, give it back and remove it again.
    pub probe: bool,
}

/// Every store of this system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoresReply {
    /// The one where new tokens go, and the others.
    pub stores: Vec<StoreEntry>,
}

/// One store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEntry {
    /// Which.
    pub id: Word<StoreId>,
    /// How it is.
    pub state: Word<StoreState>,
    /// More, for a person.
    pub detail: Option<String>,
    /// What to do about it, where it is not as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether new tokens go there.
    pub default: bool,
    /// How many tokens rest there.
    pub tokens: usize,
    /// What opens one that hfd itself encrypts; null before there is anything to be opened.
    pub protection: Option<Word<Protection>>,
    /// What came of the probe, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// How a store took a value, gave it back and removed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Milliseconds that the first took; null for what was not reached.
    pub write_ms: Option<u64>,
    /// The second.
    pub read_ms: Option<u64>,
    /// The third.
    pub remove_ms: Option<u64>,
    /// Why it went no further.
    pub error: Option<Error>,
}

/// Encrypts the token file with a new key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rekey {
    /// What opens it from now on; without one the key lies in the key file as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Passphrase>,
}

/// The token file has another key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekeyed {
    /// What opens it now.
    pub protection: Word<Protection>,
}

/// Moves some of the tokens that rest elsewhere to a store; to be asked again until none is left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Migrate {
    /// Where to.
    pub to: StoreId,
    /// Only tells what would be moved.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was moved, each token read back at its new place before it left the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrated {
    /// The tokens, or those that would be.
    pub moved: Vec<TokenName>,
    /// How many of what is kept for `hfd restore` were, or would be.
    pub kept: usize,
    /// How many of either kind are left.
    pub left: usize,
    /// Tokens whose store does not hold them; they stay as they are.
    pub missing: Vec<TokenName>,
}

/// Compares the index with what the stores hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Compare {
    /// Writes the index anew, and takes up what it did not know.
    pub repair: bool,
}

/// Where index and stores differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Tokens whose store does not hold them.
    pub missing: Vec<TokenName>,
    /// How many tokens stores hold that the index does not know.
    pub unknown: usize,
    /// Tokens that the repair took up.
    pub found: Vec<TokenName>,
    /// Stores that could not be read.
    pub unread: Vec<Word<StoreId>>,
    /// Whether the index is on the disk.
    pub index: bool,
}
