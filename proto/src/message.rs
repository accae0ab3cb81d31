//! Requests, replies and events.
//!
//! A request is a struct; [`Request`] binds its reply to it and [`Message`] is the sum that travels
//! (`{"kind":"switch","name":"work",…}`). Unknown fields are ignored on both sides.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::name::{Endpoint, TokenName};
use crate::secret::Secret;

/// A request and the reply that belongs to it.
pub trait Request: Serialize {
    /// What the daemon answers when it can.
    type Reply: Serialize + DeserializeOwned;

    /// How long a client waits for the answer: the daemon's own deadlines (5 s for a store, 30 s
    /// for the Hub) and some to spare, so that the daemon's clearer error arrives first.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// The message that carries this request.
    fn into_message(self) -> Message;
}

macro_rules! requests {
    ($($(#[$doc:meta])* $request:ident => $reply:ty $(, patience $seconds:literal)?;)*) => {
        /// Every request, as it travels; its `kind` names it.
        #[derive(Debug, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case")]
        #[allow(clippy::large_enum_variant)] // built once and moved once
        pub enum Message { $($(#[$doc])* $request($request),)* }

        $(impl Request for $request {
            type Reply = $reply;
            $(const PATIENCE: Duration = Duration::from_secs($seconds);)?
            fn into_message(self) -> Message { Message::$request(self) }
        })*
    };
}

requests! {
    /// The value of a token.
    Token => TokenReply;
    /// What there is, masked.
    List => Listed;
    /// Log in with a token.
    Login => LoginReply, patience 45;
    /// Remove tokens.
    Logout => LogoutReply;
    /// Make a token active.
    Switch => SwitchReply;
    /// Give a token another name.
    Rename => RenameReply;
    /// Ask the Hub whose token it is.
    Whoami => WhoamiReply, patience 45;
    /// Reconcile now.
    Sync => SyncReply;
    /// The state at a glance.
    Status => StatusReply;
    /// Follow events; needs a connection of its own, which then carries [`Event`] lines.
    Watch => Watching;
    /// Leave when idle, because a newer daemon wants the place.
    Retire => Leaving;
    /// Leave now.
    Shutdown => Leaving;
}

/// The first line on a connection, sent by the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol versions that the daemon speaks.
    pub hfd: Vec<u32>,
    /// The daemon's own version, such as `0.1.0`.
    pub daemon: String,
    /// The daemon's process id.
    pub pid: u32,
}

/// An answer: `{"ok":…}` or `{"err":…}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply<T> {
    /// It was done, durably.
    Ok(T),
    /// It was not, or may not have been ([`crate::Kind::TimedOut`]).
    Err(Error),
}

impl<T> From<Result<T, Error>> for Reply<T> {
    fn from(result: Result<T, Error>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(error) => Self::Err(error),
        }
    }
}

impl<T> From<Reply<T>> for Result<T, Error> {
    fn from(reply: Reply<T>) -> Self {
        match reply {
            Reply::Ok(value) => Ok(value),
            Reply::Err(error) => Err(error),
        }
    }
}

/// The line that `hfdd` prints when it accepts connections, or instead of it the reason why not
/// (`{"err":…}`): the reply type of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The process that serves the socket.
    pub pid: u32,
    /// Where it listens.
    pub socket: PathBuf,
}

/// The caller's Hugging Face home: the absolute path of its `token` file as huggingface_hub
/// resolves it (`HF_TOKEN_PATH`, else `HF_HOME/token`). `stored_tokens` lies beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Home {
    /// The path of the `token` file.
    pub token_path: PathBuf,
}

/// A kind of place where secrets rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreId {
    /// The freedesktop.org Secret Service: GNOME Keyring, KWallet, KeePassXC.
    SecretService,
    /// macOS Keychain.
    MacosKeychain,
    /// Windows Credential Manager.
    WindowsCredentialManager,
    /// A file of hfd's own, encrypted with a key file beside it.
    File,
}

impl StoreId {
    /// As it is written in JSON, in the configuration and after `--store`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecretService => "secret-service",
            Self::MacosKeychain => "macos-keychain",
            Self::WindowsCredentialManager => "windows-credential-manager",
            Self::File => "file",
        }
    }
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

/// Variables of the caller's environment that say how to reach the Hub. They serve the one request
/// that carries them. Values are as in the environment; `ca_pem` is the content of the bundle.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// `HTTPS_PROXY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_proxy: Option<String>,
    /// `HTTP_PROXY` (lower case only, as curl: the upper-case one can be forged by CGI).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_proxy: Option<String>,
    /// `ALL_PROXY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_proxy: Option<String>,
    /// `NO_PROXY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// The certificates of `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE` or `SSL_CERT_FILE`, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

impl std::fmt::Debug for Network {
    /// A proxy's URL may hold a password, so only what is set is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("https_proxy", &self.https_proxy.is_some())
            .field("http_proxy", &self.http_proxy.is_some())
            .field("all_proxy", &self.all_proxy.is_some())
            .field("no_proxy", &self.no_proxy)
            .field("ca_pem", &self.ca_pem.is_some())
            .finish()
    }
}

/// Asks for the value of a token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Token {
    /// Which; without one, what Hugging Face tools would use in `home`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// The caller's Hugging Face home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
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
    /// The only Hub that it may be sent to.
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
    pub kind: TokenKind,
    /// `read`, `write`, `fineGrained` or another word of the Hub's; null until the Hub was asked.
    pub role: Option<String>,
    /// The user it belongs to; null until the Hub was asked.
    pub user: Option<String>,
    /// Its Hub.
    pub endpoint: Endpoint,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<i64>,
    /// First three, `****`, last four characters; null while locked or shorter than 12.
    pub masked: Option<String>,
    /// Where it rests.
    pub store: StoreId,
}

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
    pub store: StoreId,
    /// Whether it is now the active token of the caller's home.
    pub active: bool,
    /// Whether it took the place of another value of that name.
    pub replaced: bool,
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
    /// The caller's Hugging Face home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
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
}

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
    /// `imported`, `updated`, `removed`, `activated`, `written`.
    pub what: String,
}

/// Asks how things are. Needs no store and no disk, and is answered at once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The home whose active token is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// The daemon that answers.
    pub daemon: DaemonStatus,
    /// The store where new tokens go.
    pub store: StoreStatus,
    /// `none`, `session` (hfd is locked) or `keychain`.
    pub lock: LockState,
    /// The active token of the caller's home.
    pub active: Option<TokenName>,
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
    pub id: StoreId,
    /// How it is, as far as is known.
    pub state: StoreState,
    /// More, for a person.
    pub detail: Option<String>,
}

/// How a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreState {
    /// It answered the last time it was asked, or was not asked yet.
    Ready,
    /// It is there and locked.
    Locked,
    /// It is not there, or refuses.
    Unavailable,
    /// It has not answered in time.
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
    pub mode: Mode,
    /// Its active token.
    pub active: Option<TokenName>,
    /// How it is.
    pub state: MirrorState,
    /// More, for a person.
    pub detail: Option<String>,
}

/// What a mirror shows of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Every token.
    Files,
    /// The active token only.
    ActiveOnly,
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
    /// `login`, `logout`, `switch`, `rename`, `imported`, `updated`, `removed`, `activated`,
    /// `settled`, `undone`, `lagged` (events were lost: ask for the state again).
    pub event: String,
    /// The token it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TokenName>,
    /// The mirror's directory, where it happened in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
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
