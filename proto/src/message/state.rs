//! How things are, what happens, and the end of the daemon.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Home;
use crate::name::{Endpoint, TokenName};
use crate::store::StoreId;
use crate::word::Word;

/// Reads the mirrors again and brings store and files together.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sync {
    /// The caller's Hugging Face home, which becomes the first mirror where there is none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReply {
    /// A line for each thing done: the token, what happened to it, and why.
    pub changes: Vec<Change>,
    /// The mirrors afterwards.
    pub mirrors: Vec<MirrorStatus>,
}

/// One thing that a sync did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The token.
    pub name: TokenName,
    /// The mirror's directory.
    pub dir: PathBuf,
    /// `imported`, `updated`, `removed`, `activated`, `deactivated`: a tool did it, and hfd followed;
    /// `written`, `put-back`, `taken-out`: hfd did it.
    pub what: String,
    /// Why, in a few words: `another tool added it`.
    #[serde(default)]
    pub why: String,
    /// When, in Unix seconds.
    #[serde(default)]
    pub at: i64,
}

/// Asks how things are: answered from memory, once the store has said a first time how it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The home whose active token is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// The Hub of the caller's tools (`HF_ENDPOINT`); see [`StatusReply::endpoint`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
}

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// The daemon that answers.
    pub daemon: DaemonStatus,
    /// The store where new tokens go.
    pub store: StoreStatus,
    /// `none`, `session` (hfd is locked) or `keychain`.
    pub lock: Word<LockState>,
    /// The active token of the caller's home.
    pub active: Option<TokenName>,
    /// When that ends, in Unix seconds; null where it does not or that is not known.
    #[serde(default)]
    pub expires_at: Option<i64>,
    /// Whether hfd can renew it before that.
    #[serde(default)]
    pub renews: bool,
    /// How many tokens there are.
    pub tokens: usize,
    /// The mirrors.
    pub mirrors: Vec<MirrorStatus>,
    /// The service manager that runs the daemon, null for one started on demand.
    pub service: Option<String>,
    /// Changes whose store call timed out and which are not settled yet.
    pub unsettled: usize,
    /// Whether cached tokens are kept out of swap.
    pub locked_memory: bool,
    /// The Hub whose tokens other tools are taken to write: the one asked about, where that is an
    /// alias of the configured one.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// Whether refresh tokens are kept out of the files.
    #[serde(default)]
    pub withheld: bool,
    /// Tokens that a person should look after.
    #[serde(default)]
    pub attention: Vec<Attention>,
}

/// Something about a token that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// The token.
    pub name: TokenName,
    /// What it is: `session-ended`, `rejected`, `not-renewed`, `ends-soon`, `ended`.
    pub what: String,
    /// In one sentence, with what to do.
    pub detail: String,
    /// When the token ends, in Unix seconds.
    pub expires_at: Option<i64>,
}

/// The daemon that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The protocol version in use.
    pub protocol: u32,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Where it listens.
    pub socket: PathBuf,
}

/// A store and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Which.
    pub id: Word<StoreId>,
    /// How it is, as far as is known.
    pub state: Word<StoreState>,
    /// More, for a person.
    pub detail: Option<String>,
}

/// How a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreState {
    /// It answered the last time it was asked.
    Ready,
    /// It is there and locked.
    Locked,
    /// It is not there, or refuses.
    Unavailable,
    /// It has not answered in time, or was not asked yet.
    Waiting,
}

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockState {
    /// Nothing.
    None,
    /// hfd itself.
    Session,
    /// The keychain.
    Keychain,
}

/// A mirror and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorStatus {
    /// Its directory.
    pub dir: PathBuf,
    /// What it shows.
    pub mode: Word<Mode>,
    /// Its active token.
    pub active: Option<TokenName>,
    /// How it is.
    pub state: Word<MirrorState>,
    /// More, for a person.
    pub detail: Option<String>,
    /// What was done there last, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Change>,
}

/// What a mirror shows of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Every token.
    Files,
    /// The active token only.
    ActiveOnly,
    /// Every token, in memory alone: the files are links into the runtime directory.
    Runtime,
    /// Nothing.
    Off,
}

/// How a mirror is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MirrorState {
    /// Files and store agree.
    InSync,
    /// A change has not reached the files, or not the store, yet.
    Pending,
    /// Files and store do not come together.
    Conflict,
    /// A file cannot be read, or does not parse; it is left as it is.
    Unreadable,
    /// The directory is not there.
    Absent,
    /// The file system does not answer.
    Waiting,
}

/// Follows events.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Watch {}

/// Events follow, one per line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watching {}

/// Something happened. Carries no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `login`, `logout`, `switch`, `rename`, `restore`, `managed`, `unmanaged`, `locked`,
    /// `unlocked`; those of [`Change::what`] (in a mirror); `renewed`, `session-ended`; `settled`,
    /// `undone` (what came of a change that had timed out); `lagged` (events were lost: ask for the
    /// state again).
    pub event: String,
    /// The token it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// The name that it had before a `rename`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<TokenName>,
    /// The mirror's directory, where it happened in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Why, where that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When, in Unix seconds; an older daemon does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
}

/// Asks the daemon to leave when idle.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Retire {}

/// Asks the daemon to leave now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Shutdown {}

/// The daemon leaves; its socket and lock are free when the process has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// The process to wait for.
    pub pid: u32,
}
