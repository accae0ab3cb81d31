//! Changing what there is and what is active.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Home, Network};
use crate::name::{Endpoint, TokenName};
use crate::secret::Secret;
use crate::store::StoreId;
use crate::word::Word;

/// Stores a token, after asking the Hub whose it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    /// The access token.
    pub token: Secret,
    /// A local name instead of the Hub's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// The home to make it active in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// Make it the active token of `home`.
    #[serde(default = "yes")]
    pub switch: bool,
    /// Do not ask the Hub; needs `name`.
    #[serde(default)]
    pub offline: bool,
    /// The Hub it belongs to; huggingface.co without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Where to keep it; the configured store without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreId>,
    /// Replace a token of that name although it belongs to another user or endpoint.
    #[serde(default)]
    pub force: bool,
    /// How the caller reaches the Hub.
    #[serde(default)]
    pub network: Network,
}

fn yes() -> bool {
    true
}

/// A finished login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginReply {
    /// The name it was stored under.
    pub name: TokenName,
    /// Whose it is; null when the Hub was not asked.
    pub user: Option<String>,
    /// Its role; null when the Hub was not asked or did not say.
    pub role: Option<String>,
    /// Its Hub.
    pub endpoint: Endpoint,
    /// Where it rests.
    pub store: Word<StoreId>,
    /// Whether it is now the active token of the caller's home.
    pub active: bool,
    /// Whether it took the place of another value of that name.
    pub replaced: bool,
    /// Whether the caller's home became a mirror by this, one that shows the active token alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub managed: bool,
    /// Mirrors other than the caller's that do not hold the change yet.
    #[serde(default)]
    pub pending: Vec<Pending>,
}

/// A mirror that does not hold a change yet, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The mirror's directory.
    pub dir: PathBuf,
    /// Why, in one sentence.
    pub detail: String,
}

/// Removes tokens.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Logout {
    /// Which; without one, the active token of `home`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// All of them instead.
    pub all: bool,
    /// Keep nothing for `restore`, also nothing of what was kept of these names before.
    #[serde(skip_serializing_if = "is_false")]
    pub purge: bool,
    /// First have the token's own Hub revoke it everywhere, which cannot be undone; then it is
    /// removed as by `purge`. Not with `all`: each is revoked or not.
    #[serde(skip_serializing_if = "is_false")]
    pub revoke: bool,
    /// The caller's Hugging Face home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// How the caller reaches the Hub, for `revoke`.
    #[serde(skip_serializing_if = "is_default")]
    pub network: Network,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_default(network: &Network) -> bool {
    *network == Network::default()
}

/// What a logout removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutReply {
    /// The names that are gone from the keychain and from the mirrors.
    pub removed: Vec<TokenName>,
    /// Whether the caller's home has lost its active token.
    pub was_active: bool,
    /// Mirrors other than the caller's that do not hold the change yet.
    #[serde(default)]
    pub pending: Vec<Pending>,
}

/// Makes a token active.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Switch {
    /// Which.
    pub name: TokenName,
    /// The home to switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// In every mirror, not only in `home`.
    #[serde(default)]
    pub all: bool,
}

/// A finished switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchReply {
    /// The token that is active now.
    pub name: TokenName,
    /// Its Hub.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// When it ends, in Unix seconds; null where it does not or that is not known.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// Whether hfd can renew it before that.
    #[serde(default)]
    pub renews: bool,
    /// The directories of the mirrors that were switched.
    pub mirrors: Vec<PathBuf>,
    /// Mirrors that were asked for and are not switched yet.
    #[serde(default)]
    pub pending: Vec<Pending>,
}

/// Gives a token another name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rename {
    /// Its name now.
    pub old: TokenName,
    /// Its name afterwards.
    pub new: TokenName,
    /// The caller's Hugging Face home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// A finished renaming.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameReply {
    /// The name it has now.
    pub name: TokenName,
    /// Mirrors other than the caller's that do not hold the change yet.
    #[serde(default)]
    pub pending: Vec<Pending>,
}
