//! Where Hugging Face tools look: the `token` file, the endpoint and the variables, as
//! huggingface_hub 2.4.0 finds them (`constants.py`, `utils/_auth.py`).
//!
//! Every function takes the environment as a function from name to value. A variable that is set
//! to nothing is set: upstream honours it, so it must not be turned into an unset one. Nor may one
//! that is no UTF-8, which is better given lossily than left out.

use std::path::{Path, PathBuf};

use hfd_proto::{Endpoint, Home, InvalidEndpoint};

use crate::python;

mod posix;
mod windows;

/// Whose rules paths follow: Python's `os.path` is a module per system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// `posixpath`
    Posix,
    /// `ntpath`
    Windows,
}

/// The path of the `token` file as the environment gives it, before it is made absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPath {
    path: String,
    rules: Rules,
}

/// `HF_TOKEN_PATH` is set to nothing, or to a directory: no Hugging Face tool can use it, and each
/// of their requests fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("HF_TOKEN_PATH names a directory, not a file")]
pub struct NotAFile;

impl TokenPath {
    /// Resolves `HF_TOKEN_PATH`, `HF_HOME` and `XDG_CACHE_HOME` (`constants.py`, `HF_HOME` and
    /// `HF_TOKEN_PATH`). `HUGGINGFACE_CO_STAGING`, which serves upstream's own tests, is ignored.
    ///
    /// `account` gives the home directory of the named user, or of the calling one (asked only when
    /// `HOME` is not set), from the password database; where it does not know, `~` is left as it is.
    /// Windows has none, and it is not asked there.
    pub fn resolve(
        rules: Rules,
        env: impl Fn(&str) -> Option<String>,
        account: impl Fn(Option<&str>) -> Option<String>,
    ) -> Self {
        let user = |path: String| rules.expand_user(path, &env, &account);
        let expand = |path: String| rules.expand_vars(user(path), &env);
        let join = |base: String, name: &str| rules.join(base, name);
        let cache = || env("XDG_CACHE_HOME").unwrap_or_else(|| join(user("~".into()), ".cache"));
        let home = || expand(env("HF_HOME").unwrap_or_else(|| join(cache(), "huggingface")));
        let path = expand(env("HF_TOKEN_PATH").unwrap_or_else(|| join(home(), "token")));
        Self { path, rules }
    }

    /// The path, which may be relative to the current directory, or empty.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// True when the path means another file in another directory: `HF_HOME` is set to nothing or to
    /// a relative path.
    pub fn is_relative(&self) -> bool {
        !self.rules.is_absolute(&self.path)
    }

    /// Where `stored_tokens` lies (`constants.py`, `HF_STORED_TOKENS_PATH`).
    pub fn stored_tokens(&self) -> PathBuf {
        let (directory, _) = self.rules.split(&self.path);
        PathBuf::from(self.rules.join(directory.to_owned(), "stored_tokens"))
    }

    /// The home for a process whose current directory is `current`. Its `stored_tokens` lies beside
    /// its `token`.
    pub fn home(&self, current: &Path) -> Result<Home, NotAFile> {
        let (_, file) = self.rules.split(&self.path);
        if matches!(file, "" | "." | "..") {
            return Err(NotAFile);
        }
        Ok(Home {
            token_path: current.join(&self.path),
        })
    }
}

impl Rules {
    /// Those of the system that this is built for.
    pub const HERE: Self = match cfg!(windows) {
        true => Self::Windows,
        false => Self::Posix,
    };

    fn expand_user(
        self,
        path: String,
        env: impl Fn(&str) -> Option<String>,
        account: impl Fn(Option<&str>) -> Option<String>,
    ) -> String {
        match self {
            Self::Posix => posix::expand_user(path, env, account),
            Self::Windows => windows::expand_user(path, env),
        }
    }

    fn expand_vars(self, path: String, env: impl Fn(&str) -> Option<String>) -> String {
        match self {
            Self::Posix => posix::expand_vars(path, env),
            Self::Windows => windows::expand_vars(path, env),
        }
    }

    /// `os.path.join` with a relative second part.
    fn join(self, base: String, name: &str) -> String {
        match self {
            Self::Posix => posix::join(base, name),
            Self::Windows => windows::join(&base, name),
        }
    }

    /// `os.path.split`: the directory, without slashes at its end, and the name in it.
    fn split(self, path: &str) -> (&str, &str) {
        match self {
            Self::Posix => posix::split(path),
            Self::Windows => windows::split(path),
        }
    }

    fn is_absolute(self, path: &str) -> bool {
        match self {
            Self::Posix => path.starts_with('/'),
            Self::Windows => windows::is_absolute(path),
        }
    }
}

/// The Hub that `HF_ENDPOINT` names, or the default one (`constants.py`, `ENDPOINT`). Set to nothing
/// it is an error, as upstream then has no host to speak to.
pub fn endpoint(env: impl Fn(&str) -> Option<String>) -> Result<Endpoint, InvalidEndpoint> {
    env("HF_ENDPOINT").map_or_else(|| Ok(Endpoint::default()), |value| Endpoint::parse(&value))
}

/// The token in the environment and the name of its variable, if a tool would use one
/// (`_get_token_from_environment`): `HF_TOKEN`, or the older name when that is unset or empty. One
/// that holds only white space counts, and is no token.
pub fn env_token(env: impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]
        .into_iter()
        .filter_map(|name| Some((name, env(name)?)))
        .find(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, clean_token(value)))
        .filter(|(_, value)| !value.is_empty())
}

/// Whether tools send no token unless told to (`HF_HUB_DISABLE_IMPLICIT_TOKEN`; `_is_true`).
pub fn implicit_disabled(env: impl Fn(&str) -> Option<String>) -> bool {
    env("HF_HUB_DISABLE_IMPLICIT_TOKEN")
        .is_some_and(|value| matches!(value.to_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
}

/// `_clean_token`: line breaks go wherever they are, white space at both ends.
fn clean_token(mut value: String) -> String {
    if value.contains(['\r', '\n']) {
        value.retain(|character| !matches!(character, '\r' | '\n'));
    }
    match python::strip(&value) {
        stripped if stripped.len() == value.len() => value,
        stripped => stripped.to_owned(),
    }
}

#[cfg(test)]
mod tests;
