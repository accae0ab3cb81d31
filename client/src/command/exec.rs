//! `hfd exec`

use std::ffi::OsString;
use std::io;
use std::process::Command;

use clap::Args;
use hfd_proto::{Endpoint, Error, Kind, List, Sync, TokenName, TokenReply};

use super::completions::names;
use super::token::{self, Found};
use super::{ending_warning, note_ending};
use crate::cli::parse_name;
use crate::environment::{Environment, HOOK};
use crate::failure::Failure;
use crate::live::{self, NotRun, Pinned};
use crate::rules::{self, Here};
use crate::{Context, os, session, time};

/// The status of a shell when a program cannot be run, or is not there (POSIX, 2.8.2).
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

#[derive(Debug, Args)]
#[command(after_help = "\
The program takes the place of hfd, so its exit status and signals are its own. 126 means that it
cannot be run, 127 that it was not found. A job that outlives its token is run with --live: it finds
the token in a private file, which holds the new one when that is renewed or logged in again, and is
gone while hfd is locked or the token logged out.

Examples:
  hfd exec -- python train.py
  hfd exec --live -- python train-for-weeks.py
  hfd exec --as ci -- sh -c 'curl -H \"Authorization: Bearer $HF_TOKEN\" https://huggingface.co/api/whoami-v2'")]
pub(crate) struct Arguments {
    /// The token to run it with [default: what HFD_AS or the directory says, else the one in use here]
    #[arg(long = "as", value_name = "NAME", value_parser = parse_name, add = names())]
    name: Option<TokenName>,
    /// Give it a file that is kept fresh (HF_TOKEN_PATH) in place of HF_TOKEN
    #[arg(long)]
    live: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let here = rules::here(arguments.name.as_ref(), context)?;
    let mut command = Command::new(os::program(&arguments.command[0]));
    command
        .args(&arguments.command[1..])
        .env_remove("HF_TOKEN")
        .env_remove("HUGGING_FACE_HUB_TOKEN")
        // What was chosen holds for hfd and git within, too, and is not the hook's to take back.
        .env_remove(rules::SHELL)
        .env_remove(HOOK);
    if context.env.endpoint_is_of_the_hook() {
        command.env_remove("HF_ENDPOINT");
    }
    let error = if arguments.live {
        let pinned = pin(&here, context)?;
        set_endpoint(&mut command, &pinned.endpoint, &context.env)?;
        // git and hfd know no HF_TOKEN_PATH of this kind.
        command.env(rules::SHELL, pinned.name.as_str());
        match live::run(command, pinned, &context.env, context.output) {
            Ok(0) => return Ok(()),
            Ok(status) => return Err(Failure::Ended(status)),
            Err(NotRun::Token(error)) => return Err(error.into()),
            Err(NotRun::Program(error)) => error,
        }
    } else {
        let found = look_up(&here, context)?;
        command.env("HF_TOKEN", found.token().expose());
        if let Found::Kept(reply) = &found {
            note_soon(reply, context);
            set_endpoint(&mut command, &reply.endpoint, &context.env)?;
        }
        match os::run_in_place(&mut command) {
            Ok(0) => return Ok(()),
            Ok(status) => return Err(Failure::Ended(status)),
            Err(error) => error,
        }
    };
    let status = match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    };
    let program = arguments.command[0].to_string_lossy();
    let error = Error::new(Kind::Other, format!("cannot run {program}: {error}"));
    Err(Failure::Error { error, status })
}

fn look_up(here: &Here, context: &Context) -> Result<Found, Error> {
    token::here(here.clone(), context.env.endpoint()?, &context.env)
}

/// The token as it is now, and its name, by which it is followed from here on.
fn pin(here: &Here, context: &Context) -> Result<Pinned, Error> {
    let no_name = |what: &str| {
        Error::new(Kind::Usage, format!("{what} cannot be kept fresh"))
            .hint("name a token that hfd keeps with --as NAME; `hfd list` shows them")
    };
    let mut found = look_up(here, context)?;
    if let Found::Kept(TokenReply { name: None, .. }) = found {
        // Another tool has just written it: hfd gives it a name when it takes it up.
        let home = context.env.home_if_usable();
        session::request(&context.env, Sync { home })?;
        found = look_up(here, context)?;
    }
    if let Found::Kept(reply) = &found {
        note_soon(reply, context);
    }
    match found {
        Found::InEnvironment(_) => Err(no_name("the token of HF_TOKEN")),
        Found::Kept(TokenReply { name: None, .. }) => Err(no_name("a token without a name")),
        Found::Kept(TokenReply {
            name: Some(name),
            endpoint,
            token: value,
            ..
        }) => Ok(Pinned {
            name,
            endpoint,
            value,
        }),
    }
}

/// Tells that the token ends while the program may still run. Whether it renews itself is asked
/// only where that matters: a lookup tells what most lookups are for.
fn note_soon(reply: &TokenReply, context: &Context) {
    if ending_warning(reply.name.as_ref(), reply.expires_at, false, time::now()).is_none() {
        return;
    }
    let home = context.env.home_if_usable();
    let listed = session::request(&context.env, List { home });
    let renews = listed.is_ok_and(|listed| {
        let mut tokens = listed.tokens.iter();
        tokens.any(|token| Some(&token.name) == reply.name.as_ref() && token.renews)
    });
    note_ending(reply.name.as_ref(), reply.expires_at, renews, context);
}

fn set_endpoint(command: &mut Command, own: &Endpoint, env: &Environment) -> Result<(), Error> {
    if let Some(endpoint) = endpoint_to_set(own, env)? {
        command.env("HF_ENDPOINT", endpoint.as_str());
    }
    Ok(())
}

/// The program must send the token to its own Hub, or to an alias of it, which is what the daemon names
/// then: that is set where the environment names none, and another one is refused.
pub(super) fn endpoint_to_set<'a>(
    own: &'a Endpoint,
    env: &Environment,
) -> Result<Option<&'a Endpoint>, Error> {
    match env.endpoint()? {
        None if own.is_default() => Ok(None),
        None => Ok(Some(own)),
        Some(named) if named == *own => Ok(None),
        Some(named) => Err(Error::new(
            Kind::Refused,
            format!("the token belongs to {own}, and HF_ENDPOINT names {named}"),
        )
        .hint("unset HF_ENDPOINT, or choose a token of that Hub with --as")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_its_own_hub_or_nowhere() {
        let hub = Endpoint::parse("https://hub.example").unwrap();
        let default = Endpoint::default();
        let nothing = Environment::of(&[]);
        let names_hub = Environment::of(&[("HF_ENDPOINT", "https://hub.example/")]);
        assert_eq!(endpoint_to_set(&default, &nothing).unwrap(), None);
        assert_eq!(endpoint_to_set(&hub, &nothing).unwrap(), Some(&hub));
        assert_eq!(endpoint_to_set(&hub, &names_hub).unwrap(), None);
        let refused = endpoint_to_set(&default, &names_hub).unwrap_err();
        assert_eq!(refused.kind, Kind::Refused);
    }
}
