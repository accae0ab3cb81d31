//! Logging in with a browser (RFC 8628), and what comes of it later.

use serde::{Deserialize, Serialize};

use super::{Home, LoginReply, Network, Pending};
use crate::name::{Endpoint, TokenName};
use crate::store::StoreId;

/// Begins a login that a person grants in a browser. The daemon waits for that, whether or not the
/// client stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginLogin {
    /// A local name instead of the Hub's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// The home to make it active in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// Make it the active token of `home`.
    #[serde(default = "yes")]
    pub switch: bool,
    /// The Hub; huggingface.co without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Where to keep it; the configured store without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreId>,
    /// Replace a token of that name although it belongs to another user or endpoint, and do not join
    /// a login that is under way: that one ends.
    #[serde(default)]
    pub force: bool,
    /// The client to log in as; the configured one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How the caller reaches the Hub.
    #[serde(default)]
    pub network: Network,
}

fn yes() -> bool {
    true
}

/// A login that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginBegun {
    /// What `await-login` and `cancel-login` name it by.
    pub id: u64,
    /// Where the person goes. From the Hub: escape it, and open nothing but `https`.
    pub url: String,
    /// The same with the code filled in.
    pub complete_url: String,
    /// What the person types there.
    pub code: String,
    /// How many seconds are left.
    pub expires_in: u64,
    /// Whether it was under way already, begun by another client with the same wishes.
    pub joined: bool,
}

/// Waits for a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitLogin {
    /// Which.
    pub id: u64,
    /// How many seconds at most; 20 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// How far a login is. One that was denied, or has expired, is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginState {
    /// The finished login; null while it waits.
    pub login: Option<LoginReply>,
    /// How many seconds are left.
    pub expires_in: u64,
    /// Why a login that was granted is not stored yet: the daemon goes on trying.
    pub trouble: Option<String>,
}

/// Ends a login that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelLogin {
    /// Which.
    pub id: u64,
}

/// Whether there was one to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginCancelled {
    /// False where it had been granted, and is kept, or had ended otherwise.
    pub cancelled: bool,
}

/// Renews a token now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refresh {
    /// Which; without one, the active token of `home`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// The caller's Hugging Face home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// A renewed token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshReply {
    /// Its name.
    pub name: TokenName,
    /// When it ends now, in Unix seconds.
    pub expires_at: Option<i64>,
}

/// Puts refresh tokens back into the files, because nobody will be there to renew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandBack {}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandBackReply {
    /// Mirrors that do not hold them yet.
    pub pending: Vec<Pending>,
}
