//! What has been said about which token to use: in variables, in rule files of directories, and in the
//! configuration. What counts of it is for `hfd_core::select` to say, which the daemon asks.

mod file;
mod trust;

use std::path::{Path, PathBuf};

use hfd_core::rules::Rules;
use hfd_proto::os::config_dir;
use hfd_proto::{Error, Kind, Rule, Select, Selected, Source, TokenName, Verdict, escape};
use serde::Deserialize;

use file::Found;
pub(crate) use file::{FILE_NAME, nearest, placed, read_rules};
pub(crate) use trust::Trusted;

use crate::environment::Environment;
use crate::{Context, os, session};

/// As the daemon reads at most.
const MAX_CONFIG: u64 = 256 * 1024;

/// The variable that chooses a token for one shell.
pub(crate) const SHELL: &str = "HFD_AS";

/// All that is said about a directory, in the order in which [`Select`] wants it.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) rules: Vec<Rule>,
    /// Rule files that nobody has trusted as they are.
    pub(crate) untrusted: Vec<PathBuf>,
}

/// Which token a program gets that is run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Here {
    /// The one that was named.
    Named(TokenName),
    /// What Hugging Face tools would use by themselves.
    Session,
    /// The active one, whatever is in `HF_TOKEN`, which the hook of a shell has put there.
    Active,
}

impl Said {
    /// Reads everything. `argument` is what `--as` named.
    pub(crate) fn about(
        directory: &Path,
        argument: Option<&TokenName>,
        env: &Environment,
    ) -> Result<Self, Error> {
        let mut said = Self::default();
        let plain = |source, name| Rule {
            source,
            path: None,
            pattern: None,
            name: Some(name),
        };
        said.rules
            .extend(argument.map(|name| plain(Source::Argument, name.clone())));
        said.rules
            .extend(of_shell(env)?.map(|name| plain(Source::Shell, name)));
        let mut trusted = None;
        for found in file::upwards(directory) {
            let trusted = match &trusted {
                Some(trusted) => trusted,
                None => trusted.insert(Trusted::load(&env.place()?)?),
            };
            said.take(found, trusted);
        }
        let (path, rules) = configured(env)?;
        let path = path.as_deref().map(shown);
        said.rules
            .extend(rules.0.into_iter().map(|(pattern, name)| Rule {
                source: Source::Configuration,
                path: path.clone(),
                pattern: Some(pattern),
                name: Some(name),
            }));
        Ok(said)
    }

    fn take(&mut self, found: Found, trusted: &Trusted) {
        let path = found.path;
        let rule = |pattern, name| Rule {
            source: Source::File,
            path: Some(shown(&path)),
            pattern,
            name,
        };
        match found.text.filter(|text| trusted.holds(text)) {
            None => {
                self.rules.push(rule(None, None));
                self.untrusted.push(path);
            }
            // Only what parses is ever trusted.
            Some(text) => {
                let content = text.parse().unwrap_or_default();
                let rules = content.rules.0.into_iter();
                self.rules
                    .extend(rules.map(|(pattern, name)| rule(Some(pattern), Some(name))));
                self.rules
                    .extend(content.all.map(|name| rule(None, Some(name))));
            }
        }
    }
}

/// A path for people to read: JSON has no other text than Unicode.
fn shown(path: &Path) -> PathBuf {
    path.to_string_lossy().into_owned().into()
}

/// Which token a program gets that is run in the current directory. The daemon is asked only where
/// something was said.
pub(crate) fn here(argument: Option<&TokenName>, context: &Context) -> Result<Here, Error> {
    if let Some(name) = argument {
        return Ok(Here::Named(name.clone()));
    }
    let env = &context.env;
    let by_hook = env.token_is_of_the_hook();
    if env.beating_variable().is_some() && !by_hook && of_shell(env)?.is_none() {
        return Ok(Here::Session);
    }
    let directory = current_directory()?;
    let said = Said::about(&directory, None, env)?;
    for path in &said.untrusted {
        let path = path.display();
        context.output.note(&format!(
            "{path} is not trusted, so its rules do not count; `hfd trust {path}` shows them and trusts it"
        ));
    }
    let active = if by_hook { Here::Active } else { Here::Session };
    let says_something = |rule: &Rule| rule.pattern.is_none() && rule.name.is_some();
    if !said.rules.iter().any(says_something) {
        return Ok(active);
    }
    let selected = ask(said, Select::default(), env)?;
    if let Some(error) = selected.error {
        return Err(error);
    }
    let by_rule = selected.considered.iter().any(|said| {
        let by_rule = said.source == Source::Shell || said.source == Source::File;
        by_rule && said.verdict == Verdict::Chosen
    });
    Ok(match selected.chosen {
        Some(chosen) if by_rule => Here::Named(chosen.name),
        _ => active,
    })
}

/// Asks the daemon what counts of it.
pub(crate) fn ask(said: Said, question: Select, env: &Environment) -> Result<Selected, Error> {
    session::ask(env, whole(said, question, env)?)
}

/// A question with all that is said.
pub(crate) fn whole(said: Said, question: Select, env: &Environment) -> Result<Select, Error> {
    let in_variable = env.beating_variable().is_some() && !env.token_is_of_the_hook();
    let endpoint = env.endpoint()?;
    let environment = in_variable.then(|| endpoint.clone().unwrap_or_default());
    Ok(Select {
        rules: said.rules,
        environment,
        home: env.home_if_usable(),
        endpoint: question.endpoint.or(endpoint),
        ..question
    })
}

/// The token of this shell.
fn of_shell(env: &Environment) -> Result<Option<TokenName>, Error> {
    let Some(name) = env.text(SHELL).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    TokenName::parse(name).map(Some).map_err(|why| {
        Error::new(Kind::Usage, format!("{SHELL}: {why}")).hint(format!("unset {SHELL}"))
    })
}

/// Where the caller is.
pub(crate) fn current_directory() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|error| {
        Error::new(Kind::Other, format!("no current directory: {error}"))
            .hint("go to one that exists")
    })
}

/// The part of `config.toml` that is for the client; the daemon checks the rest.
#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    rules: Rules,
}

fn configured(env: &Environment) -> Result<(Option<PathBuf>, Rules), Error> {
    let none = (None, Rules::default());
    let Some(path) = config_dir(|name| env.raw(name)).map(|dir| dir.join("config.toml")) else {
        return Ok(none);
    };
    let Some(text) = file::read(&path, MAX_CONFIG)? else {
        return Ok(none);
    };
    let shown = escape(&path.to_string_lossy());
    if !os::is_ours_alone(&text.file).unwrap_or(false) {
        let message = format!("{shown} can be written by another user");
        return Err(Error::new(Kind::Refused, message).hint("make it yours alone"));
    }
    match toml::from_str::<Config>(&text.content) {
        Ok(config) => Ok((Some(path), config.rules)),
        Err(error) => {
            let what = file::first_line(&error);
            let hint =
                "mend it; `hfd service restart` names the line of what the daemon does not take";
            Err(Error::new(Kind::Usage, format!("{shown}: {what}")).hint(hint))
        }
    }
}
