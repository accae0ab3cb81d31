//! `hfd rename`

use clap::Args;
use hfd_proto::{Rename, RenameReply, TokenName};
use serde::Serialize;

use super::completions::names;
use super::{note_pending, quoted};
use crate::cli::parse_name;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, session};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Its name now
    #[arg(value_parser = parse_name, add = names())]
    old: TokenName,
    /// Its name afterwards
    #[arg(value_parser = parse_name)]
    new: TokenName,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { old, new } = arguments;
    let home = context.env.home_if_usable();
    let request = Rename {
        old: old.clone(),
        new,
        home,
    };
    let reply = session::request(&context.env, request)?;
    context.output.answer(&Renamed {
        old: &old,
        reply: &reply,
    })?;
    note_pending(&reply.pending, context);
    Ok(())
}

#[derive(Serialize)]
#[serde(transparent)]
struct Renamed<'a> {
    #[serde(skip)]
    old: &'a TokenName,
    reply: &'a RenameReply,
}

impl Answer for Renamed<'_> {
    fn human(&self, page: &mut Page) {
        let (old, new) = (quoted(self.old.as_str()), quoted(self.reply.name.as_str()));
        page.line(&format!("{old} is called {new} now."));
    }
}
