//! `hfd switch`

use clap::Args;
use hfd_proto::{Entry, Error, Kind, List, Switch, SwitchReply, TokenName, escape};
use serde::Serialize;

use super::completions::names;
use super::{note_ending, note_endpoint, note_override, note_pending, quoted};
use crate::cli::parse_name;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, prompt, session};

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Programs that are already running use the new token with their next request, unless they were
given one in HF_TOKEN.")]
pub(crate) struct Arguments {
    /// The token to make active [default: chosen from a menu]
    #[arg(value_parser = parse_name, add = names())]
    pub(crate) name: Option<TokenName>,
    /// In every managed directory, not only in the one of this environment
    #[arg(long)]
    pub(crate) all: bool,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let home = context.env.home()?;
    let name = match arguments.name {
        Some(name) => name,
        None => choose("hfd switch", context)?,
    };
    let request = Switch {
        name,
        home: Some(home),
        all: arguments.all,
    };
    let reply = session::request(&context.env, request)?;
    context.output.answer(&Switched(&reply))?;
    note_pending(&reply.pending, context);
    note_override(context);
    note_endpoint(&reply.name, &reply.endpoint, context);
    note_ending(Some(&reply.name), reply.expires_at, reply.renews, context);
    Ok(())
}

/// Has the person choose a token; `usage` is how it is named without a terminal.
pub(super) fn choose(usage: &str, context: &Context) -> Result<TokenName, Error> {
    if !prompt::possible(context) {
        let message = "which token? There is no terminal to ask at";
        return Err(Error::new(Kind::Usage, message).hint(format!(
            "name it: `{usage} NAME`; `hfd list` shows what there is"
        )));
    }
    let home = context.env.home_if_usable();
    let mut tokens = session::ask(&context.env, List { home })?.tokens;
    if tokens.is_empty() {
        return Err(
            Error::new(Kind::NotLoggedIn, "there are no tokens").hint("`hfd login` adds one")
        );
    }
    let start = tokens.iter().position(|entry| entry.active).unwrap_or(0);
    let items: Vec<String> = tokens.iter().map(item).collect();
    let chosen = prompt::find("Which token?", &items, start)?;
    Ok(tokens.swap_remove(chosen).name)
}

fn item(entry: &Entry) -> String {
    let details = [&entry.user, &entry.role, &entry.masked];
    let details = details.into_iter().flatten().map(|text| escape(text));
    let details: Vec<String> = details.collect();
    format!("{}  {}", entry.name.escaped(), details.join("  "))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Switched<'a>(&'a SwitchReply);

impl Answer for Switched<'_> {
    fn human(&self, page: &mut Page) {
        let name = quoted(self.0.name.as_str());
        page.line(&format!("{name} is the active token now."));
        // One directory is the rule and needs no mention.
        if self.0.mirrors.len() > 1 {
            for dir in &self.0.mirrors {
                page.line(&format!("  in {}", escape(&dir.to_string_lossy())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hfd_proto::Endpoint;

    use super::*;
    use crate::output::shown;

    #[test]
    fn a_switch_names_the_directories_where_there_are_several() {
        let reply = |mirrors: &[&str]| SwitchReply {
            name: TokenName::parse("work").unwrap(),
            endpoint: Endpoint::default(),
            expires_at: None,
            renews: false,
            mirrors: mirrors.iter().map(Into::into).collect(),
            pending: Vec::new(),
        };
        assert_eq!(
            shown(&Switched(&reply(&["/h"]))),
            "`work` is the active token now.\n"
        );
        assert_eq!(
            shown(&Switched(&reply(&["/h", "/g"]))),
            "`work` is the active token now.\n  in /h\n  in /g\n"
        );
    }
}
