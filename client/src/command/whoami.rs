//! `hfd whoami`

use clap::Args;
use hfd_proto::{TokenName, Whoami, WhoamiReply, escape};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::completions::names;
use super::note_ending;
use crate::cli::parse_name;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, network, session, time};

#[derive(Debug, Default, Args)]
pub(crate) struct Arguments {
    /// The token to ask about [default: the one in use here]
    #[arg(value_parser = parse_name, add = names())]
    pub(crate) name: Option<TokenName>,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let reply = ask(arguments.name, context)?;
    context.output.answer(&Person(&reply))?;
    note_ending(reply.name.as_ref(), reply.expires_at, reply.renews, context);
    Ok(())
}

/// Asks the Hub, through the daemon.
pub(crate) fn ask(name: Option<TokenName>, context: &Context) -> Result<WhoamiReply, Failure> {
    let env = &context.env;
    let endpoint = env.endpoint()?;
    let from_env = match name {
        Some(_) => None,
        None => env.token()?,
    };
    let home = match (&name, &from_env) {
        (None, None) => Some(env.home()?),
        _ => None,
    };
    let request = match from_env {
        // A token of the environment belongs to the Hub of the environment, unless the daemon knows it.
        Some(token) => Whoami {
            token: Some(token),
            endpoint,
            network: network::of(env)?,
            ..Whoami::default()
        },
        None => Whoami {
            name,
            endpoint,
            home,
            network: network::of(env)?,
            ..Whoami::default()
        },
    };
    Ok(session::ask(env, request)?)
}

#[derive(Serialize)]
#[serde(transparent)]
struct Person<'a>(&'a WhoamiReply);

impl Answer for Person<'_> {
    fn human(&self, page: &mut Page) {
        let reply = self.0;
        page.field("user", &escape(&reply.user));
        if !reply.orgs.is_empty() {
            page.field("orgs", &escape(&reply.orgs.join(", ")));
        }
        if let Some(name) = &reply.name {
            page.field("token", &name.escaped());
        }
        if let Some(role) = &reply.role {
            page.field("role", &escape(role));
        }
        if let Some(moment) = reply.expires_at
            && let Some(expires) = time::expiry(moment, reply.renews, time::now())
        {
            let minute = time::minute(moment, &TimeZone::system());
            page.field("expires", &format!("{expires} ({minute})"));
        }
        if !reply.endpoint.is_default() {
            page.field("endpoint", reply.endpoint.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use hfd_proto::Endpoint;

    use super::*;
    use crate::output::shown;

    #[test]
    fn a_person_is_shown_with_what_is_known() {
        let reply = WhoamiReply {
            user: "alice".to_owned(),
            orgs: vec!["acme".to_owned(), "b\u{1b}".to_owned()],
            endpoint: Endpoint::default(),
            name: Some(TokenName::parse("work").unwrap()),
            role: None,
            expires_at: None,
            renews: false,
        };
        assert_eq!(
            shown(&Person(&reply)),
            "user      alice\norgs      acme, b\\u{1b}\ntoken     work\n"
        );
    }
}
