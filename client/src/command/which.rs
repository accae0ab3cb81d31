//! `hfd which`

use std::path::PathBuf;

use clap::Args;
use hfd_proto::{
    Considered, Endpoint, Kind, Repository, Select, Selected, Source, TokenName, Verdict, Word,
    escape,
};
use serde::Serialize;

use super::completions::names;
use super::quoted;
use crate::Context;
use crate::cli::{parse_endpoint, parse_name};
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::rules::{self, Said};
use crate::table::Table;

#[derive(Debug, Args)]
#[command(after_help = "\
What was said about the token is asked in this order: --as, HFD_AS, HF_TOKEN, the user in the address
of a repository, rules for the repository (of .hfd.toml here or above, then of [rules] in config.toml),
`use` in .hfd.toml, the active token, the only token of the Hub. A token of another Hub is passed over;
one that is gone is an error.

Examples:
  hfd which
  hfd which --repo acme/model
  hfd which --repo datasets/acme/data --dir ~/src/acme --json")]
pub(crate) struct Arguments {
    /// For a repository, as git would ask [OWNER/NAME, datasets/OWNER/NAME, spaces/OWNER/NAME]
    #[arg(long, value_name = "REPO", value_parser = Repository::parse)]
    repo: Option<Repository>,
    /// In another directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// At another Hub [default: HF_ENDPOINT, else any, and for a repository huggingface.co]
    #[arg(long, value_name = "URL", value_parser = parse_endpoint)]
    endpoint: Option<Endpoint>,
    /// As if `--as NAME` were said
    #[arg(long = "as", value_name = "NAME", value_parser = parse_name, add = names())]
    name: Option<TokenName>,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let directory = match &arguments.dir {
        // As a program sees it that is there: `..` and links lead where they lead.
        Some(dir) => dir.canonicalize().map_err(|error| {
            let dir = escape(&dir.to_string_lossy());
            hfd_proto::Error::new(Kind::Usage, format!("{dir}: {error}"))
        })?,
        None => rules::current_directory()?,
    };
    let said = Said::about(&directory, arguments.name.as_ref(), &context.env)?;
    let named = context.env.endpoint()?;
    let of_repository = || arguments.repo.as_ref().map(|_| Endpoint::default());
    let question = Select {
        endpoint: arguments.endpoint.or(named).or_else(of_repository),
        repository: arguments.repo,
        ..Select::default()
    };
    let selected = rules::ask(said, question, &context.env)?;
    // What was considered is worth seeing above all where there is no answer.
    context.output.answer(&Which(&selected))?;
    match selected.error {
        Some(error) if context.output.is_json() => {
            Err(Failure::Ended(error.kind.exit_status().into()))
        }
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Which<'a>(&'a Selected);

impl Answer for Which<'_> {
    fn human(&self, page: &mut Page) {
        let considered = &self.0.considered;
        let chosen = considered
            .iter()
            .find(|said| said.verdict == Verdict::Chosen);
        match (&self.0.chosen, chosen) {
            (Some(token), Some(said)) => {
                let name = quoted(token.name.as_str());
                let user = token.user.as_deref().map(escape);
                let user = user.map(|user| format!(" ({user})")).unwrap_or_default();
                page.line(&format!("{name}{user}, by {}", place(said)));
            }
            (None, Some(said)) => page.line(&format!("the token of {}", place(said))),
            (_, None) => {}
        }
        if considered.len() > 1 || chosen.is_none() {
            let mut table = Table::new(&["", "said by", "for", "token", ""]);
            for said in considered {
                table.row(row(said));
            }
            table.write(page);
        }
        let untrusted = considered
            .iter()
            .find(|said| said.verdict == Verdict::Untrusted);
        if let Some(path) = untrusted.and_then(|said| said.path.as_ref()) {
            let path = escape(&path.to_string_lossy());
            page.line(&format!(
                "`hfd trust {path}` shows what it says, and trusts it."
            ));
        }
    }
}

fn row(said: &Considered) -> Vec<String> {
    let pattern = said.pattern.as_ref().map(ToString::to_string);
    let verdict = match &said.verdict {
        Word::Known(Verdict::Chosen) => "",
        Word::Known(Verdict::Outranked) => "something above says otherwise",
        Word::Known(Verdict::OtherRepository) => "for other repositories",
        Word::Known(Verdict::OtherHub) => "belongs to another Hub",
        Word::Known(Verdict::Missing) => "there is no such token",
        Word::Known(Verdict::Untrusted) => "nobody has trusted this file as it is",
        Word::Unknown(word) => word,
    };
    let mark = if said.verdict == Verdict::Chosen {
        "*"
    } else {
        ""
    };
    vec![
        mark.to_owned(),
        place(said),
        pattern.unwrap_or_default(),
        said.name
            .as_ref()
            .map(TokenName::escaped)
            .unwrap_or_default(),
        escape(verdict),
    ]
}

fn place(said: &Considered) -> String {
    let source = match &said.source {
        Word::Known(Source::Argument) => "--as",
        Word::Known(Source::Shell) => "HFD_AS",
        Word::Known(Source::Environment) => "HF_TOKEN",
        Word::Known(Source::User) => "the user in the address",
        Word::Known(Source::Active) => "being active",
        Word::Known(Source::Only) => "being the only one of that Hub",
        Word::Known(Source::File | Source::Configuration) => "a file",
        Word::Unknown(word) => word,
    };
    match &said.path {
        Some(path) => escape(&path.to_string_lossy()),
        None => escape(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::shown;

    #[test]
    fn the_answer_and_what_lost() {
        let reply = serde_json::json!({
            "chosen": { "name": "work", "user": "alice", "endpoint": "https://huggingface.co", "expires_at": null },
            "error": null,
            "considered": [
                { "source": "file", "path": "/h/.hfd.toml", "pattern": "acme/*", "name": "work", "verdict": "chosen" },
                { "source": "file", "path": "/h/x/.hfd.toml", "pattern": null, "name": null, "verdict": "untrusted" },
                { "source": "active", "path": null, "pattern": null, "name": "play", "verdict": "outranked" },
            ],
        });
        let selected: Selected = serde_json::from_value(reply).unwrap();
        assert_eq!(
            shown(&Which(&selected)),
            "`work` (alice), by /h/.hfd.toml\n   \
             said by         for     token\n\
             *  /h/.hfd.toml    acme/*  work\n   \
             /h/x/.hfd.toml                 nobody has trusted this file as it is\n   \
             being active            play   something above says otherwise\n\
             `hfd trust /h/x/.hfd.toml` shows what it says, and trusts it.\n"
        );
    }
}
