//! Which token belongs where.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Home;
use crate::error::Error;
use crate::name::{Endpoint, TokenName};
use crate::repository::{Pattern, Repository};
use crate::secret::Secret;
use crate::word::Word;

/// Asks which token belongs to a place. The daemon opens nothing of the caller's: the rules come
/// with the request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Select {
    /// The repository that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// The Hub where it would be sent. Without one, any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The user whose token is asked for, as the address of a repository may say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What has been said about it; of several rule files, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The caller's environment holds a token, for this Hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Endpoint>,
    /// The caller's Hugging Face home, whose active token is the last resort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// Whether the token's value is wanted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub value: bool,
}

/// One thing that was said about which token to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Where it was said.
    pub source: Source,
    /// The file that says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The repositories that it is for; without one, whatever is done there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// The token; null where nobody has trusted the file, whose words count for nothing.
    #[serde(default)]
    pub name: Option<TokenName>,
}

/// Where something about the token was said, the strongest first: the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// `--as`.
    Argument,
    /// `HFD_AS`.
    Shell,
    /// `HF_TOKEN`: a value without a name.
    Environment,
    /// The user that the address names.
    User,
    /// A rule file of a directory.
    File,
    /// `[rules]` in the configuration.
    Configuration,
    /// The active token of the home.
    Active,
    /// The only token of that Hub.
    Only,
}

/// Which token belongs there, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    /// The token; null where there is none, and where it is that of the environment.
    pub chosen: Option<Chosen>,
    /// Why there is none, or no value of it.
    pub error: Option<Error>,
    /// All that was said, in the order in which it was asked.
    pub considered: Vec<Considered>,
}

/// The token that was selected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Its name.
    pub name: TokenName,
    /// Its user, if the Hub has said so.
    pub user: Option<String>,
    /// The only Hub that it may be sent to: the one asked about where that is an alias of its own.
    pub endpoint: Endpoint,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<i64>,
    /// Its value, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// One thing that was said, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// Where it was said.
    pub source: Word<Source>,
    /// The file that says it.
    pub path: Option<PathBuf>,
    /// The repositories that it is for.
    pub pattern: Option<Pattern>,
    /// The token.
    pub name: Option<TokenName>,
    /// What came of it.
    pub verdict: Word<Verdict>,
}

/// What came of something that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is the answer.
    Chosen,
    /// Something before it was.
    Outranked,
    /// It is for other repositories.
    OtherRepository,
    /// Its token belongs to another Hub.
    OtherHub,
    /// There is no such token. It was the answer, and is the error: nothing after it stands in for it.
    Missing,
    /// Nobody has trusted the file as it is.
    Untrusted,
}
