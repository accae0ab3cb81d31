//! `hfd logout`

use clap::Args;
use hfd_proto::{Entry, Error, Kind, List, Logout, LogoutReply, TokenName};
use serde::Serialize;

use super::{note_override, note_pending, quoted};
use crate::cli::parse_name;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, prompt, session};

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Without a name, the active token is removed; on a terminal you are asked first. It is kept in the
keychain for 30 days, and `hfd restore` brings it back. The token itself stays valid: revoke it in the settings of the Hub if it has leaked.")]
pub(crate) struct Arguments {
    /// The token to remove [default: the active one]
    #[arg(value_parser = parse_name, conflicts_with = "all")]
    pub(crate) name: Option<TokenName>,
    /// Remove every token
    #[arg(long)]
    pub(crate) all: bool,
    /// Keep nothing for `hfd restore`
    #[arg(long)]
    pub(crate) purge: bool,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    // Refused before anybody is asked.
    context.env.home()?;
    if arguments.name.is_none() && prompt::possible(context) {
        ask(arguments.all, context)?;
    }
    remove(arguments, context)
}

/// Logs out without asking.
pub(super) fn remove(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let request = Logout {
        name: arguments.name,
        all: arguments.all,
        purge: arguments.purge,
        home: Some(context.env.home()?),
    };
    let reply = session::request(&context.env, request)?;
    context.output.answer(&LoggedOut(&reply))?;
    if !arguments.purge {
        context
            .output
            .note("kept for 30 days: `hfd restore NAME` brings it back");
    }
    note_pending(&reply.pending, context);
    if reply.was_active {
        note_override(context);
    }
    Ok(())
}

/// Has the person confirm; there is nothing to ask where there is nothing to remove.
fn ask(all: bool, context: &Context) -> Result<(), Error> {
    let home = context.env.home_if_usable();
    let mut tokens = session::ask(&context.env, List { home })?.tokens;
    tokens.retain(|entry| all || entry.active);
    if tokens.is_empty() || prompt::confirm(&question(&tokens))? {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, "nothing was removed"))
}

fn question(tokens: &[Entry]) -> String {
    match tokens {
        [token] => {
            let name = quoted(token.name.as_str());
            match &token.user {
                Some(user) => format!("Remove {name} of {user}?"),
                None => format!("Remove {name}?"),
            }
        }
        _ => format!("Remove {} tokens?", tokens.len()),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct LoggedOut<'a>(&'a LogoutReply);

impl Answer for LoggedOut<'_> {
    fn human(&self, page: &mut Page) {
        for name in &self.0.removed {
            page.line(&format!("Removed {}.", quoted(name.as_str())));
        }
        if self.0.was_active {
            page.line("No token is active now.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::shown;

    #[test]
    fn a_logout_names_what_is_gone() {
        let names = ["a", "b\u{7}"].map(|name| TokenName::parse(name).unwrap());
        let reply = LogoutReply {
            removed: names.to_vec(),
            was_active: true,
            pending: Vec::new(),
        };
        assert_eq!(
            shown(&LoggedOut(&reply)),
            "Removed `a`.\nRemoved `b\\u{7}`.\nNo token is active now.\n"
        );
    }
}
