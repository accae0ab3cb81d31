//! `hfd token`

use clap::Args;
use hfd_proto::{Endpoint, Error, Secret, Token, TokenName, TokenReply};
use serde::Serialize;
use zeroize::Zeroizing;

use super::completions::names;
use crate::cli::{parse_name, parse_seconds};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::rules::{self, Here};
use crate::{Context, output, session};

#[derive(Debug, Default, PartialEq, Eq, Args)]
#[command(after_help = "\
Without a name it is the token that Hugging Face tools would use here: HF_TOKEN if that is set,
else the active token. A named token is looked up whatever the environment says.

Examples:
  curl -H \"Authorization: Bearer $(hfd token)\" https://huggingface.co/api/whoami-v2
  hfd token ci --min-ttl 15m --json")]
pub(crate) struct Arguments {
    /// The token to print [default: the one in use here]
    #[arg(value_parser = parse_name, add = names())]
    pub(crate) name: Option<TokenName>,
    /// Refuse a token that ends sooner than this: 90, 15m, 12h, 2d
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub(crate) min_ttl: Option<u64>,
    /// The token that the rules choose here, as `hfd exec` does
    #[arg(long, conflicts_with = "name")]
    pub(crate) here: bool,
    /// Where the caller's programs would send it.
    #[arg(skip)]
    pub(crate) endpoint: Option<Endpoint>,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let found = match arguments.here {
        true => {
            let here = rules::here(None, context)?;
            let lookup = Arguments {
                min_ttl: arguments.min_ttl,
                ..Arguments::default()
            };
            look_up(here, lookup, &context.env)?
        }
        false => find(arguments, &context.env)?,
    };
    if context.output.is_json() {
        return context.output.json_line(&found.document(&context.env)?);
    }
    let value = found.token().expose();
    let mut line = Zeroizing::new(Vec::with_capacity(value.len() + 1));
    line.extend_from_slice(value.as_bytes());
    line.push(b'\n');
    output::print(&line)
}

/// A token and what is known of it.
#[derive(Debug)]
pub(crate) enum Found {
    /// In a variable; nothing more is known.
    InEnvironment(Secret),
    /// In the keychain.
    Kept(TokenReply),
}

/// Looks up the token that tools would use here, or the named one.
pub(crate) fn find(arguments: &Arguments, env: &Environment) -> Result<Found, Error> {
    if arguments.name.is_none()
        && let Some(token) = env.token()?
    {
        return Ok(Found::InEnvironment(token));
    }
    find_kept(arguments, env)
}

/// The token that belongs here, which is sent to `endpoint` where that is known.
pub(crate) fn here(
    here: Here,
    endpoint: Option<Endpoint>,
    env: &Environment,
) -> Result<Found, Error> {
    let lookup = Arguments {
        endpoint,
        ..Arguments::default()
    };
    look_up(here, lookup, env)
}

fn look_up(here: Here, lookup: Arguments, env: &Environment) -> Result<Found, Error> {
    match here {
        Here::Session => find(&lookup, env),
        Here::Active => find_kept(&lookup, env),
        Here::Named(name) => {
            let name = Some(name);
            find_kept(&Arguments { name, ..lookup }, env)
        }
    }
}

/// The same of what hfd keeps, whatever is in the environment.
fn find_kept(arguments: &Arguments, env: &Environment) -> Result<Found, Error> {
    let home = match arguments.name {
        // Where one that hfd does not know may have been added by another tool.
        Some(_) => env.home().ok(),
        None => Some(env.home()?),
    };
    let request = Token {
        name: arguments.name.clone(),
        home,
        min_ttl: arguments.min_ttl,
        endpoint: arguments.endpoint.clone(),
    };
    Ok(Found::Kept(session::ask(env, request)?))
}

impl Found {
    pub(crate) fn token(&self) -> &Secret {
        match self {
            Self::InEnvironment(token) => token,
            Self::Kept(reply) => &reply.token,
        }
    }

    fn document(&self, env: &Environment) -> Result<Document<'_>, Error> {
        Ok(match self {
            Self::InEnvironment(token) => Document {
                token,
                name: None,
                endpoint: env.endpoint()?.unwrap_or_default(),
                expires_at: None,
            },
            Self::Kept(reply) => Document {
                token: &reply.token,
                name: reply.name.as_ref(),
                endpoint: reply.endpoint.clone(),
                expires_at: reply.expires_at,
            },
        })
    }
}

#[derive(Serialize)]
struct Document<'a> {
    token: &'a Secret,
    name: Option<&'a TokenName>,
    endpoint: Endpoint,
    expires_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use hfd_proto::Kind;

    use super::*;

    #[test]
    fn the_environment_wins_without_a_daemon() {
        let env = Environment::of(&[("HF_TOKEN", "hf_a"), ("HF_ENDPOINT", "https://hub.example")]);
        let found = find(&Arguments::default(), &env).unwrap();
        let document = found.document(&env).unwrap();
        assert_eq!(
            serde_json::to_string(&document).unwrap(),
            r#"{"token":"hf_a","name":null,"endpoint":"https://hub.example","expires_at":null}"#
        );
    }

    #[test]
    fn without_a_home_there_is_no_session_to_read() {
        let env = Environment::of(&[("HOME", "/h"), ("HF_HOME", ".hf")]);
        let error = find(&Arguments::default(), &env).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.hint.unwrap().contains("hfd token NAME"));
    }
}
