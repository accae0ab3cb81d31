//! `hfd logout`

use clap::Args;
use hfd_proto::{Entry, Error, Kind, List, Logout, LogoutReply, TokenName, escape};
use serde::Serialize;

use super::completions::names;
use super::{note_override, note_pending, quoted};
use crate::cli::parse_name;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, network, prompt, session};

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Without a name, the active token is removed; on a terminal you are asked first. It is kept in the
keychain for 30 days, and `hfd restore` brings it back. The token itself stays valid, unless --revoke
has its Hub end it: then it is of no use to anybody, on any machine, and nothing brings it back.

Examples:
  hfd logout work
  hfd logout work --revoke")]
pub(crate) struct Arguments {
    /// The token to remove [default: the active one]
    #[arg(value_parser = parse_name, add = names(), conflicts_with = "all")]
    pub(crate) name: Option<TokenName>,
    /// Remove every token
    #[arg(long)]
    pub(crate) all: bool,
    /// Keep nothing for `hfd restore`
    #[arg(long)]
    pub(crate) purge: bool,
    /// Have the Hub end the token everywhere; this cannot be undone
    #[arg(long)]
    pub(crate) revoke: bool,
    /// Do not ask whether to revoke
    #[arg(long, requires = "revoke")]
    pub(crate) yes: bool,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    // Refused before anybody is asked.
    context.env.home()?;
    if arguments.revoke {
        // What is revoked cannot be done twice.
        super::lock::open_file(context)?;
        return revoke(&arguments, context);
    }
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
        ..Logout::default()
    };
    let reply = session::request(&context.env, request)?;
    context.output.answer(&LoggedOut(&reply))?;
    if !arguments.purge {
        context
            .output
            .note("kept for 30 days: `hfd restore NAME` brings it back");
    }
    note_consequences(&reply, context);
    Ok(())
}

fn note_consequences(reply: &LogoutReply, context: &Context) {
    note_pending(&reply.pending, context);
    if reply.was_active {
        note_override(context);
    }
}

/// Revokes what was confirmed, one token after the other, and removes each that is. The first that
/// is not ends it; what was done before is told all the same.
fn revoke(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let tokens = to_revoke(arguments, context)?;
    if !arguments.yes {
        confirm_revocation(&tokens, context)?;
    }
    let mut done = LogoutReply {
        removed: Vec::new(),
        was_active: false,
        pending: Vec::new(),
    };
    let mut failure = None;
    for token in &tokens {
        let request = Logout {
            name: Some(token.name.clone()),
            revoke: true,
            home: Some(context.env.home()?),
            network: network::of(&context.env)?,
            ..Logout::default()
        };
        match session::request(&context.env, request) {
            Ok(reply) => {
                done.removed.extend(reply.removed);
                done.was_active |= reply.was_active;
                done.pending = reply.pending;
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    if failure.is_none() || !done.removed.is_empty() {
        context.output.answer(&Revoked(&done))?;
        note_consequences(&done, context);
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// The tokens that the arguments mean.
fn to_revoke(arguments: &Arguments, context: &Context) -> Result<Vec<Entry>, Error> {
    let home = context.env.home_if_usable();
    let mut tokens = session::request(&context.env, List { home })?.tokens;
    tokens.retain(|token| match &arguments.name {
        Some(name) => token.name == *name,
        None => arguments.all || token.active,
    });
    match (&arguments.name, tokens.is_empty()) {
        (Some(name), true) => {
            let name = quoted(name.as_str());
            Err(
                Error::new(Kind::NoSuchToken, format!("there is no token {name}"))
                    .hint("`hfd list` shows what there is"),
            )
        }
        (None, true) if !arguments.all => {
            Err(Error::new(Kind::NotLoggedIn, "not logged in")
                .hint("`hfd list` shows what there is"))
        }
        _ => Ok(tokens),
    }
}

/// Has the person write that this is meant; a key would be pressed too soon.
fn confirm_revocation(tokens: &[Entry], context: &Context) -> Result<(), Error> {
    if tokens.is_empty() {
        return Ok(());
    }
    if !prompt::possible(context) {
        return Err(Error::new(
            Kind::Usage,
            "revoking a token cannot be undone, and nobody can be asked",
        )
        .hint("add --yes to revoke it without being asked"));
    }
    let answer = prompt::line(&warning(tokens), &what_to_type(tokens))?;
    if answer == "yes" || matches!(tokens, [token] if answer == token.name.as_str()) {
        return Ok(());
    }
    Err(Error::new(Kind::Refused, "nothing was revoked"))
}

fn warning(tokens: &[Entry]) -> Vec<String> {
    let whose = tokens.iter().map(|token| {
        let user = token.user.as_deref().unwrap_or("an unknown user");
        let (name, user) = (quoted(token.name.as_str()), escape(user));
        format!("{name} of {user} at {}", token.endpoint)
    });
    let end = match tokens {
        [_] => "It ends everywhere, for every machine and job that has it. This cannot be undone.",
        _ => "They end everywhere, for every machine and job that has one. This cannot be undone.",
    };
    whose.chain([end.to_owned()]).collect()
}

fn what_to_type(tokens: &[Entry]) -> String {
    match tokens {
        [token] => format!(
            "Type {} or `yes` to revoke it: ",
            quoted(token.name.as_str())
        ),
        _ => format!("Type `yes` to revoke these {} tokens: ", tokens.len()),
    }
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

#[derive(Serialize)]
#[serde(transparent)]
struct Revoked<'a>(&'a LogoutReply);

impl Answer for Revoked<'_> {
    fn human(&self, page: &mut Page) {
        for name in &self.0.removed {
            page.line(&format!("Revoked and removed {}.", quoted(name.as_str())));
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
        assert_eq!(
            shown(&Revoked(&reply)),
            "Revoked and removed `a`.\nRevoked and removed `b\\u{7}`.\nNo token is active now.\n"
        );
    }

    #[test]
    fn a_revocation_says_whose_token_ends_and_where() {
        let entry = |name: &str, user: Option<&str>| -> Entry {
            let entry = serde_json::json!({
                "name": name,
                "active": false,
                "kind": "access-token",
                "role": null,
                "user": user,
                "endpoint": "https://hub.example",
                "expires_at": null,
                "masked": null,
                "store": "file",
            });
            serde_json::from_value(entry).unwrap()
        };
        let one = [entry("work\u{7}", Some("al\u{1b}ice"))];
        assert_eq!(
            warning(&one),
            [
                "`work\\u{7}` of al\\u{1b}ice at https://hub.example",
                "It ends everywhere, for every machine and job that has it. This cannot be undone.",
            ]
        );
        assert_eq!(
            what_to_type(&one),
            "Type `work\\u{7}` or `yes` to revoke it: "
        );
        let two = [entry("a", None), entry("b", None)];
        assert_eq!(
            warning(&two)[0],
            "`a` of an unknown user at https://hub.example"
        );
        assert_eq!(what_to_type(&two), "Type `yes` to revoke these 2 tokens: ");
    }
}
