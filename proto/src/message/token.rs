//! Looking tokens up, and asking whose they are.

use serde::{Deserialize, Serialize};

use super::{Home, Network};
use crate::name::{Endpoint, TokenName};
use crate::secret::Secret;
use crate::store::StoreId;
use crate::word::Word;

/// Asks for the value of a token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Token {
    /// Which; without one, what Hugging Face tools would use in `home`. One that is not known is
    /// looked for there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// The caller's Hugging Face home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// Where the caller's programs would send it (`HF_ENDPOINT`); see [`TokenReply::endpoint`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Refuse a token that ends sooner than this many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ttl: Option<u64>,
}

/// A token with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenReply {
    /// The access token.
    pub token: Secret,
    /// Its name; null for a bare token that hfd has not stored yet.
    pub name: Option<TokenName>,
    /// The only Hub that it may be sent to: the one asked about where that is an alias of its own.
    pub endpoint: Endpoint,
    /// When it ends, in Unix seconds; null where it does not or that is not known.
    pub expires_at: Option<i64>,
}

/// Asks for all tokens.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct List {
    /// The home whose active token is marked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// All tokens, in code point order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// At most 4,096.
    pub tokens: Vec<Entry>,
}

/// A token as it is listed: everything but its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: TokenName,
    /// Whether the asking home's `token` file holds it.
    pub active: bool,
    /// What sort of credential it is.
    pub kind: Word<TokenKind>,
    /// `read`, `write`, `fineGrained` or another word of the Hub's; null until the Hub was asked.
    pub role: Option<String>,
    /// The user it belongs to; null until the Hub was asked.
    pub user: Option<String>,
    /// Its Hub.
    pub endpoint: Endpoint,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<i64>,
    /// Whether hfd can renew it before that.
    #[serde(default)]
    pub renews: bool,
    /// First three, `****`, last four characters; null while locked or shorter than 12.
    pub masked: Option<String>,
    /// Where it rests.
    pub store: Word<StoreId>,
}

/// What sort of credential a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// Made by hand in the Hub's settings.
    AccessToken,
    /// From a browser login; may carry a refresh token.
    Oauth,
}

/// Asks the Hub about a token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Whoami {
    /// Which stored token; without one, `token`, else the active one of `home`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// A value of the caller's own (`HF_TOKEN`), to be sent to `endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The caller's `HF_ENDPOINT`. For a stored token it must be the token's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The caller's Hugging Face home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// How the caller reaches the Hub.
    pub network: Network,
}

/// Whose token it is, as the Hub says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoamiReply {
    /// The user's (or organisation's) name.
    pub user: String,
    /// The names of the organisations that the user belongs to.
    pub orgs: Vec<String>,
    /// The Hub that said so.
    pub endpoint: Endpoint,
    /// The stored name of the token, if it has one.
    pub name: Option<TokenName>,
    /// The role of the token, if the Hub says.
    pub role: Option<String>,
    /// When it ends, in Unix seconds; null where it does not or that is not known.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// Whether hfd can renew it before that.
    #[serde(default)]
    pub renews: bool,
}

/// A program had a token refused: asks that the Hub be asked about it, once and in the background.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// The value. One that is not stored is sent nowhere.
    pub token: Secret,
    /// Where it was refused.
    pub endpoint: Endpoint,
}

/// It was heard. Whether anything comes of it is not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checking {}
