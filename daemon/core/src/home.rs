//! Where Hugging Face tools look: the `token` file, the endpoint and the variables, as
//! huggingface_hub 2.4.0 finds them (`constants.py`, `utils/_auth.py`) on a POSIX system.
//!
//! Every function takes the environment as a function from name to value. A variable that is set
//! to nothing is set: upstream honours it, so it must not be turned into an unset one. Nor may one
//! that is no UTF-8, which is better given lossily than left out.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use hfd_proto::{Endpoint, Home, InvalidEndpoint};

use crate::python;

/// The path of the `token` file as the environment gives it, before it is made absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPath(String);

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
    pub fn resolve(
        env: impl Fn(&str) -> Option<String>,
        account: impl Fn(Option<&str>) -> Option<String>,
    ) -> Self {
        let user = |path: String| expand_user(path, &env, &account);
        let expand = |path: String| expand_vars(user(path), &env);
        let cache = || env("XDG_CACHE_HOME").unwrap_or_else(|| join(user("~".into()), ".cache"));
        let home = || expand(env("HF_HOME").unwrap_or_else(|| join(cache(), "huggingface")));
        Self(expand(
            env("HF_TOKEN_PATH").unwrap_or_else(|| join(home(), "token")),
        ))
    }

    /// The path, which may be relative to the current directory, or empty.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// True when the path means another file in another directory: `HF_HOME` is set to nothing or to
    /// a relative path.
    pub fn is_relative(&self) -> bool {
        !self.0.starts_with('/')
    }

    /// Where `stored_tokens` lies (`constants.py`, `HF_STORED_TOKENS_PATH`).
    pub fn stored_tokens(&self) -> PathBuf {
        PathBuf::from(join(dirname(&self.0).to_owned(), "stored_tokens"))
    }

    /// The home for a process whose current directory is `current`. Its `stored_tokens` lies beside
    /// its `token`.
    pub fn home(&self, current: &Path) -> Result<Home, NotAFile> {
        let file = self.0.rsplit('/').next().unwrap_or_default();
        if matches!(file, "" | "." | "..") {
            return Err(NotAFile);
        }
        Ok(Home {
            token_path: current.join(&self.0),
        })
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

/// `posixpath.expanduser`: a leading `~` or `~user`, up to the first slash.
fn expand_user(
    path: String,
    env: impl Fn(&str) -> Option<String>,
    account: impl Fn(Option<&str>) -> Option<String>,
) -> String {
    let Some(after) = path.strip_prefix('~') else {
        return path;
    };
    let (user, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
    let home = match user {
        "" => env("HOME").or_else(|| account(None)),
        user => account(Some(user)),
    };
    let Some(mut home) = home else { return path };
    home.truncate(home.trim_end_matches('/').len());
    home.push_str(rest);
    if home.is_empty() {
        "/".to_owned()
    } else {
        home
    }
}

/// `posixpath.expandvars`: `$NAME` and `${NAME}`; an unknown one stays, and a value is not expanded
/// again.
fn expand_vars(path: String, env: impl Fn(&str) -> Option<String>) -> String {
    if !path.contains('$') {
        return path;
    }
    let mut expanded = String::with_capacity(path.len() * 2);
    let mut rest = path.as_str();
    while let Some(dollar) = rest.find('$') {
        let (before, reference) = rest.split_at(dollar);
        let (name, length) = variable(&reference[1..]);
        let (reference, after) = reference.split_at(1 + length);
        let value = if name.is_empty() { None } else { env(name) };
        expanded.push_str(before);
        expanded.push_str(&value.map_or(Cow::Borrowed(reference), Cow::Owned));
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}

/// The name that follows a `$`, and how many bytes it takes there: letters of ASCII, digits and
/// underscores, or anything within braces. Nothing where none follows.
fn variable(text: &str) -> (&str, usize) {
    if let Some((name, _)) = text
        .strip_prefix('{')
        .and_then(|braced| braced.split_once('}'))
    {
        return (name, name.len() + "{}".len());
    }
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let end = text
        .find(|character| !is_word(character))
        .unwrap_or(text.len());
    (&text[..end], end)
}

/// `posixpath.join` with a relative second part.
fn join(mut base: String, name: &str) -> String {
    if !base.is_empty() && !base.ends_with('/') {
        base.push('/');
    }
    base.push_str(name);
    base
}

/// `posixpath.dirname`.
fn dirname(path: &str) -> &str {
    let head = &path[..path.rfind('/').map_or(0, |slash| slash + 1)];
    match head.trim_end_matches('/') {
        "" => head,
        trimmed => trimmed,
    }
}

#[cfg(test)]
mod tests;
