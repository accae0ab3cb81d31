//! The caller's environment: what only the client sees, read when it is needed.

use std::ffi::OsString;

use hfd_core::home::{self, Rules, TokenPath};
use hfd_proto::{Endpoint, Error, Home, Kind, Place, Secret};

use crate::os::account_home;

/// Variables that lead Hugging Face tools past the session or to another one, in the order in which
/// the tools look at them.
const OVERRIDES: [&str; 7] = [
    "HF_OIDC_RESOURCE",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HOME",
    "HF_ENDPOINT",
];

/// The variable in which the hook of a shell remembers what it has set: `MASK|ENDPOINT|NAME`.
pub(crate) const HOOK: &str = "HFD_HOOK";

/// What the hook of a shell has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    /// The masked value of `HF_TOKEN`, so that one that somebody else has set since is known.
    pub(crate) mask: String,
    /// What it has set `HF_ENDPOINT` to; empty where it has not.
    pub(crate) endpoint: String,
    /// The token's name.
    pub(crate) name: String,
}

impl Hook {
    /// What stands for a token in the marker; nothing for one that is too short to be shown in part.
    pub(crate) fn mask_of(token: &Secret) -> String {
        token.masked().unwrap_or_default()
    }

    /// As the variable has it.
    pub(crate) fn marker(&self) -> String {
        format!("{}|{}|{}", self.mask, self.endpoint, self.name)
    }
}

/// The variables of this process, or of a test.
pub(crate) struct Environment {
    source: Source,
}

enum Source {
    Process,
    #[cfg(test)]
    Fixed(std::collections::BTreeMap<String, OsString>),
}

impl Environment {
    pub(crate) fn of_process() -> Self {
        Self {
            source: Source::Process,
        }
    }

    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.to_string(), value.into()));
        Self {
            source: Source::Fixed(variables.collect()),
        }
    }

    /// The value of a variable; one that is set to nothing is set.
    pub(crate) fn raw(&self, name: &str) -> Option<OsString> {
        match &self.source {
            Source::Process => std::env::var_os(name),
            #[cfg(test)]
            Source::Fixed(variables) => variables.get(name).cloned(),
        }
    }

    /// The value as text, with U+FFFD for what is no UTF-8.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = self.raw(name)?.into_string();
        Some(value.unwrap_or_else(|value| value.to_string_lossy().into_owned()))
    }

    /// Every variable, to choose those from that the daemon gets.
    pub(crate) fn all(&self) -> Vec<(OsString, OsString)> {
        match &self.source {
            Source::Process => std::env::vars_os().collect(),
            #[cfg(test)]
            Source::Fixed(variables) => variables
                .iter()
                .map(|(name, value)| (name.into(), value.clone()))
                .collect(),
        }
    }

    /// Where daemon and socket are.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        Place::new(|name| self.raw(name))
    }

    /// The Hugging Face home, to read or to change its session.
    ///
    /// # Errors
    /// Refused where it depends on the current directory: the tools would use another one a `cd`
    /// later, and a session in a project's directory is soon committed.
    pub(crate) fn home(&self) -> Result<Home, Error> {
        let path = TokenPath::resolve(Rules::HERE, |name| self.text(name), account_home);
        if path.is_relative() {
            let variable = self.home_variable();
            return Err(Error::new(
                Kind::Refused,
                format!("{variable} is not an absolute path, so there is no session to use"),
            )
            .hint(format!(
                "set {variable} to an absolute path or unset it; `hfd token NAME` and `hfd list` work anyway"
            )));
        }
        path.home("/".as_ref())
            .map_err(|error| Error::new(Kind::Refused, error.to_string()))
    }

    /// The home, for requests that can do without.
    pub(crate) fn home_if_usable(&self) -> Option<Home> {
        self.home().ok()
    }

    /// The variable that decided where the home is.
    fn home_variable(&self) -> &'static str {
        let candidates = ["HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"];
        let set = candidates.into_iter().find(|name| self.raw(name).is_some());
        set.unwrap_or(hfd_proto::os::HOME)
    }

    /// The token that the environment holds, if any: it beats every file, as in `hf` and `gh`.
    pub(crate) fn token(&self) -> Result<Option<Secret>, Error> {
        let Some((variable, value)) = home::env_token(|name| self.text(name)) else {
            return Ok(None);
        };
        let token = Secret::parse(&zeroize::Zeroizing::new(value)).map_err(|why| {
            Error::new(Kind::Usage, format!("{variable}: {why}"))
                .hint(format!("unset {variable} to use the session"))
        })?;
        Ok(Some(token))
    }

    /// The variable whose token beats the session, if one does.
    pub(crate) fn beating_variable(&self) -> Option<&'static str> {
        home::env_token(|name| self.text(name)).map(|(variable, _)| variable)
    }

    /// Whether `HF_TOKEN` is what the hook of a shell has put there (`hfd hook`), and not a word of the
    /// person's.
    pub(crate) fn token_is_of_the_hook(&self) -> bool {
        let Some(hook) = self.hook() else {
            return false;
        };
        let token = self.text("HF_TOKEN").map(zeroize::Zeroizing::new);
        let token = token.and_then(|token| Secret::parse(&token).ok());
        token.is_some_and(|token| hook.mask == Hook::mask_of(&token))
    }

    /// Whether `HF_ENDPOINT` is the hook's, and not a word of the person's.
    pub(crate) fn endpoint_is_of_the_hook(&self) -> bool {
        let set = self.text("HF_ENDPOINT").filter(|set| !set.is_empty());
        set.is_some_and(|set| self.hook().is_some_and(|hook| hook.endpoint == set))
    }

    /// What the hook of a shell has set, if it has.
    pub(crate) fn hook(&self) -> Option<Hook> {
        let marker = self.text(HOOK)?;
        let mut parts = marker.splitn(3, '|');
        Some(Hook {
            mask: parts.next()?.to_owned(),
            endpoint: parts.next()?.to_owned(),
            name: parts.next()?.to_owned(),
        })
    }

    /// Names of the variables that beat the session or lead to another one.
    pub(crate) fn overrides(&self) -> Vec<&'static str> {
        let set = OVERRIDES
            .into_iter()
            .filter(|name| self.raw(name).is_some_and(|value| !value.is_empty()));
        set.collect()
    }

    /// The Hub of `HF_ENDPOINT`, if a person has set it.
    pub(crate) fn endpoint(&self) -> Result<Option<Endpoint>, Error> {
        if self.raw("HF_ENDPOINT").is_none() || self.endpoint_is_of_the_hook() {
            return Ok(None);
        }
        let endpoint = home::endpoint(|name| self.text(name)).map_err(|why| {
            Error::new(Kind::Usage, format!("HF_ENDPOINT: {why}"))
                .hint("unset HF_ENDPOINT, or give the Hub's address alone")
        })?;
        Ok(Some(endpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variable and the directory of somebody's home.
    const HOME: (&str, &str) = (
        hfd_proto::os::HOME,
        if cfg!(windows) { r"C:\h" } else { "/h" },
    );

    #[test]
    fn the_home_is_that_of_the_tools() {
        let token_path = |variable: (&str, &str)| {
            let home = Environment::of(&[HOME, variable]).home();
            home.map(|home| home.token_path)
        };
        let of_the_home = format!("${}/t", HOME.0);
        for (variable, expected) in [
            (("LANG", "C"), ".cache/huggingface/token"),
            (("HF_HOME", "~/hf"), "hf/token"),
            (("HF_TOKEN_PATH", of_the_home.as_str()), "t"),
        ] {
            let expected = std::path::Path::new(HOME.1).join(expected);
            assert_eq!(token_path(variable).unwrap(), expected);
        }
    }

    #[test]
    fn a_home_that_moves_with_the_directory_is_refused_by_name() {
        for (variable, value) in [("HF_HOME", ""), ("HF_HOME", ".hf"), ("HF_TOKEN_PATH", "")] {
            let env = Environment::of(&[HOME, (variable, value)]);
            let error = env.home().unwrap_err();
            assert_eq!(error.kind, Kind::Refused);
            assert!(error.message.starts_with(variable), "{error}");
            assert!(env.home_if_usable().is_none());
        }
    }

    #[test]
    fn the_token_of_the_environment_is_cleaned_as_upstream_cleans_it() {
        let env = Environment::of(&[("HF_TOKEN", " hf_a\n")]);
        assert_eq!(env.token().unwrap().unwrap().expose(), "hf_a");
        assert_eq!(env.beating_variable(), Some("HF_TOKEN"));
        let older = Environment::of(&[("HF_TOKEN", ""), ("HUGGING_FACE_HUB_TOKEN", "hf_b")]);
        assert_eq!(older.beating_variable(), Some("HUGGING_FACE_HUB_TOKEN"));
        let blank = Environment::of(&[("HF_TOKEN", " "), ("HUGGING_FACE_HUB_TOKEN", "hf_b")]);
        assert!(blank.token().unwrap().is_none());
        let canary = Environment::of(&[("HF_TOKEN", "hf_canary x")]);
        let error = canary.token().unwrap_err();
        assert!(error.message.starts_with("HF_TOKEN") && !error.message.contains("canary"));
    }

    #[test]
    fn overrides_are_names_only_and_empty_ones_override_nothing() {
        let env = Environment::of(&[("HF_TOKEN", "hf_a"), ("HF_HOME", "/x"), ("HF_ENDPOINT", "")]);
        assert_eq!(env.overrides(), ["HF_TOKEN", "HF_HOME"]);
    }

    #[test]
    fn an_endpoint_that_is_none_is_an_error_not_the_default() {
        assert_eq!(Environment::of(&[]).endpoint().unwrap(), None);
        for value in ["", "http://hub.example", "hub"] {
            let error = Environment::of(&[("HF_ENDPOINT", value)]).endpoint();
            assert_eq!(error.unwrap_err().kind, Kind::Usage);
        }
    }
}
