//! `config.toml`: what a person may set. Every key has a default; a wrong key or value is an error
//! that names the line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hfd_core::rules::Rules;
use hfd_proto::os::{config_dir, how_to_close, open_without_waiting};
use hfd_proto::{Endpoint, Error, Kind, StoreId, escape};
use serde::{Deserialize, Deserializer};

use crate::os;
use crate::scrub::scrub;

/// More than any configuration needs; a mistaken path does not fill the memory.
const MAX_CONFIG: u64 = 256 * 1024;

/// The short name of huggingface.co, which leads there.
const HF_CO: &str = "https://hf.co";

/// The configuration of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Your Hub: where a login goes that names none, and whose tokens other tools write into the
    /// files. It is set here and never taken from a caller's environment, which a cloned repository
    /// may have written: refresh tokens go there.
    pub endpoint: Endpoint,
    /// Where new tokens rest; without it, the keychain of the platform.
    #[serde(deserialize_with = "store_of_this_platform")]
    pub store: Option<StoreId>,
    /// How much is logged.
    pub log: Level,
    /// hfd locks itself when no token was asked for this long.
    #[serde(deserialize_with = "span")]
    pub lock_after: Option<Duration>,
    /// Whether refresh tokens are kept out of the files.
    pub refresh_tokens: RefreshTokens,
    /// How the daemon itself reaches the Hub.
    pub network: Network,
    /// What is known of a Hub, by its address.
    pub hub: BTreeMap<Endpoint, AtHub>,
    /// Which token belongs to which repositories. The client reads it; here it is checked.
    pub rules: Rules,
}

/// `[network]`. What the environment of a client says comes before it, for that client's request.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The proxy for `https`, as in `HTTPS_PROXY`; may hold a user and a password.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// A file of certificates in PEM that replaces the system's, by its absolute path.
    #[serde(deserialize_with = "absolute")]
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for Network {
    /// The proxy's address may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("proxy", &self.proxy.is_some())
            .field("no_proxy", &self.no_proxy)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}

/// `[hub."https://hub.example"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AtHub {
    /// Other endpoints that a token of this one may be sent to, such as a mirror of the Hub.
    pub aliases: Vec<Endpoint>,
    /// The client that browser logins there are made as, instead of huggingface_hub's.
    pub client_id: Option<String>,
    /// As in `[network]`, for this Hub and its aliases alone.
    #[serde(deserialize_with = "absolute")]
    pub ca_file: Option<PathBuf>,
}

/// Whether refresh tokens are kept out of the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefreshTokens {
    /// While hfd runs as a service: otherwise nobody might be there to renew.
    #[default]
    Auto,
    /// Always.
    Withhold,
    /// Never.
    Share,
}

/// How much is logged: everything of this level and above.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Only what went wrong.
    Error,
    /// Also what may.
    Warn,
    /// Also what happened.
    #[default]
    Info,
    /// Also the names of tokens and how things are done.
    Debug,
    /// Everything.
    Trace,
}

impl std::str::FromStr for Level {
    type Err = Error;

    /// Reads a level as `HFD_LOG` and `log` in `config.toml` write it.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text.trim() {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            other => Err(
                Error::new(Kind::Usage, format!("`{}` is no log level", escape(other)))
                    .hint("the levels are error, warn, info, debug and trace"),
            ),
        }
    }
}

impl Config {
    /// The path of the file, in the directory for configuration; none where the environment names none.
    pub fn path(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        Some(config_dir(env)?.join("config.toml"))
    }

    /// Reads the file; a missing one is the default.
    ///
    /// # Errors
    /// [`Kind::Usage`] naming file and line where a key or a value is wrong, and where the file
    /// cannot be read; [`Kind::Refused`] where another user could have written it, since it says
    /// where tokens may be sent.
    pub fn load(path: &Path) -> Result<Self, Error> {
        match read(path)? {
            Some(text) => toml::from_str(&text).map_err(|error| wrong(path, &text, &error)),
            None => Ok(Self::default()),
        }
    }

    /// Whether refresh tokens are kept out of the files, by a daemon that is a service or is not.
    pub fn withholds(&self, service: bool) -> bool {
        match self.refresh_tokens {
            RefreshTokens::Auto => service,
            RefreshTokens::Withhold => true,
            RefreshTokens::Share => false,
        }
    }

    /// Whether a token of `own` may be sent to `asked`: its own endpoint, or an alias of it. An
    /// alias holds in one direction. That of huggingface.co need not be configured: hf.co is the
    /// Hub's own short name, which people clone from.
    pub fn same_endpoint(&self, own: &Endpoint, asked: &Endpoint) -> bool {
        own == asked
            || (own.is_default() && asked.as_str() == HF_CO)
            || self
                .hub
                .get(own)
                .is_some_and(|at| at.aliases.contains(asked))
    }
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    let shown = escape(&path.display().to_string());
    let cannot = |why: &str| {
        Error::new(Kind::Usage, format!("{shown} cannot be read: {why}"))
            .hint("mend it, or move it away to use the defaults")
    };
    // A FIFO would wait for its writer for ever.
    let file = match open_without_waiting(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(&error.to_string())),
    };
    let metadata = file
        .metadata()
        .map_err(|error| cannot(&error.to_string()))?;
    if !metadata.is_file() {
        return Err(cannot("it is not a regular file"));
    }
    if os::is_others(&file).map_err(|error| cannot(&error.to_string()))? {
        return Err(Error::new(
            Kind::Refused,
            format!("{shown} can be written by another user"),
        )
        .hint(format!("make it yours alone: {}", how_to_close(&shown))));
    }
    let mut bytes = Vec::new();
    file.take(MAX_CONFIG + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot(&error.to_string()))?;
    if bytes.len() as u64 > MAX_CONFIG {
        return Err(cannot("it is too large"));
    }
    let text = String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8"))?;
    Ok(Some(text))
}

fn wrong(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..at]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
        + 1;
    // The first line: the rest repeats the place.
    let what = error.message().lines().next().unwrap_or_default();
    Error::new(
        Kind::Usage,
        escape(&scrub(&format!("{}, line {line}: {what}", path.display()))),
    )
    .hint("the README describes the keys and their values")
}

/// One of the stores that this platform has.
fn store_of_this_platform<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<StoreId>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut here = StoreId::HERE.iter().copied();
    here.find(|store| store.as_str() == text)
        .map(Some)
        .ok_or_else(|| {
            let here: Vec<_> = StoreId::HERE
                .iter()
                .map(|id| format!("`{}`", id.as_str()))
                .collect();
            serde::de::Error::custom(format!(
                "`{text}` is no store here: use {}",
                here.join(" or ")
            ))
        })
}

/// A span of time: a number and `s`, `m`, `h` or `d`. At least a minute, so that nobody locks
/// themselves out between two commands.
fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let parsed = units.iter().find_map(|(unit, factor)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(*factor)
    });
    match parsed {
        Some(seconds) if seconds >= 60 => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(serde::de::Error::custom(
            "a span of time of at least a minute is written as 90s, 15m, 12h or 2d",
        )),
    }
}

/// The daemon's working directory is `/`, so a relative path would mean what nobody intended.
fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.is_absolute() {
        Ok(Some(path))
    } else {
        Err(serde::de::Error::custom("the path is not absolute"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an absolute path begins with.
    const ROOT: &str = if cfg!(windows) { "C:" } else { "" };

    fn load(content: impl AsRef<[u8]>) -> Result<Config, Error> {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("config.toml");
        std::fs::write(&path, content).unwrap();
        Config::load(&path)
    }

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[cfg(unix)] // Windows has a specification of its own
    #[test]
    fn the_path_follows_the_xdg_specification() {
        let path = |vars: &'static [(&str, &str)]| {
            Config::path(move |name| {
                let found = vars.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.into())
            })
        };
        assert_eq!(
            path(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")]).unwrap(),
            Path::new("/c/hfd/config.toml")
        );
        assert_eq!(
            path(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "relative")]).unwrap(),
            Path::new("/h/.config/hfd/config.toml")
        );
        assert_eq!(path(&[("HOME", "")]), None);
    }

    #[test]
    fn a_missing_or_empty_file_is_the_default() {
        let temp = tempfile::tempdir().unwrap();
        let missing = Config::load(&temp.path().join("none/config.toml")).unwrap();
        assert_eq!(missing, Config::default());
        assert_eq!(missing.log, Level::Info);
        assert!(missing.endpoint.is_default());
        assert_eq!(load("").unwrap(), Config::default());
        assert_eq!(load("# only a comment\n").unwrap(), Config::default());
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            endpoint = "https://hub.example/"
            store = "file"
            log = "debug"
            lock_after = "15m"
            refresh_tokens = "withhold"
            [network]
            proxy = "http://user:canary@proxy.example:3128"
            no_proxy = "internal.example"
            ca_file = "/etc/ca.pem"
            [hub."https://hub.example"]
            aliases = ["https://mirror.example/", "https://mirror.example:8443"]
            client_id = "ours"
            ca_file = "/etc/hub.pem"
            "#;
        let config = load(text.replace("/etc", &format!("{ROOT}/etc"))).unwrap();
        let at_root = |path: &str| PathBuf::from(format!("{ROOT}{path}"));
        assert_eq!(config.endpoint, endpoint("https://hub.example"));
        assert_eq!(config.store, Some(StoreId::File));
        assert_eq!(config.log, Level::Debug);
        assert_eq!(config.lock_after, Some(Duration::from_secs(900)));
        assert_eq!(config.network.no_proxy.as_deref(), Some("internal.example"));
        assert_eq!(config.network.ca_file, Some(at_root("/etc/ca.pem")));
        assert!(!format!("{config:?}").contains("canary"));
        assert_eq!(config.refresh_tokens, RefreshTokens::Withhold);
        let at = &config.hub[&endpoint("https://hub.example")];
        assert_eq!(at.client_id.as_deref(), Some("ours"));
        assert_eq!(at.ca_file, Some(at_root("/etc/hub.pem")));
        let (own, alias) = (
            endpoint("https://hub.example"),
            endpoint("https://mirror.example"),
        );
        assert!(config.same_endpoint(&own, &own));
        assert!(config.same_endpoint(&own, &alias));
        assert!(!config.same_endpoint(&alias, &own));
        assert!(!config.same_endpoint(&Endpoint::default(), &alias));
        assert!(!config.same_endpoint(&own, &endpoint("https://mirror.example:444")));
        let (hub, short) = (Endpoint::default(), endpoint("https://hf.co"));
        assert!(config.same_endpoint(&hub, &short) && !config.same_endpoint(&short, &hub));
        assert!(!config.same_endpoint(&own, &short));
        assert!(!config.same_endpoint(&hub, &endpoint("https://hf.co:444")));
    }

    #[test]
    fn a_wrong_key_or_value_names_the_line() {
        for (content, line, word) in [
            ("lock_after = \"5s\"", 1, "at least a minute"),
            ("lock_after = \"soon\"", 1, "at least a minute"),
            ("\n\nstor = \"file\"\n", 3, "stor"),
            ("store = \"keychain\"\n", 1, "`keychain` is no store here"),
            ("log = \"info\"\nlog = \"warn\"\n", 2, "duplicate"),
            ("\nlog = \"loud\"\n", 2, "loud"),
            ("log = 1\n", 1, "string"),
            ("[network]\nproxy = 3\n", 2, "string"),
            ("[network]\n\nca_file = \"ca.pem\"\n", 3, "absolute"),
            ("[network]\nhttp_proxy = \"x\"\n", 2, "http_proxy"),
            ("[hub.\"http://hub.example\"]\naliases = []\n", 1, "http://"),
            (
                "[hub.\"https://a\"]\naliases = [\n \"b\",\n]\n",
                2,
                "https://",
            ),
            ("log = \"info\"\nlog = \n", 2, ""),
            ("\nendpoint = \"http://hub.example\"\n", 2, "http://"),
        ] {
            let error = load(content).unwrap_err();
            assert_eq!(error.kind, Kind::Usage, "{content}");
            let place = format!("config.toml, line {line}: ");
            assert!(error.message.contains(&place), "{content}: {error}");
            assert!(error.message.contains(word), "{content}: {error}");
            assert!(error.hint.is_some());
        }
    }

    #[test]
    fn what_is_not_readable_text_is_an_error() {
        assert!(
            load(b"log = \"\xff\"")
                .unwrap_err()
                .message
                .contains("UTF-8")
        );
        assert!(
            load("#".repeat(300_000))
                .unwrap_err()
                .message
                .contains("large")
        );
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(Config::load(temp.path()).unwrap_err().kind, Kind::Usage);
    }

    #[cfg(unix)] // Windows opens no directory as a file, and says that below a file there is nothing
    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let error = Config::load(temp.path()).unwrap_err();
        assert!(error.message.contains("not a regular file"), "{error}");
        let fifo = temp.path().join("fifo");
        // rustix has no call for it on macOS.
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let error = Config::load(&fifo).unwrap_err();
        assert!(error.message.contains("not a regular file"), "{error}");
        let file = temp.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Config::load(&file.join("below")).unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
    }

    #[cfg(unix)] // modes are Unix's
    #[test]
    fn a_file_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("config.toml");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(Config::load(&path).unwrap_err().kind, Kind::Refused);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(Config::load(&path).unwrap(), Config::default());
    }

    #[test]
    fn levels_are_read_from_the_environment_too() {
        assert_eq!("trace".parse::<Level>().unwrap(), Level::Trace);
        let error = "zbus=trace".parse::<Level>().unwrap_err();
        assert_eq!(error.kind, Kind::Usage);
        assert!(Level::Error < Level::Debug);
    }
}
