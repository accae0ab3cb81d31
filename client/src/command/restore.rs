//! `hfd restore`

use clap::Args;
use hfd_proto::{KeptEntry, Restore, RestoreReply, TokenName, escape};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::completions::names;
use super::{note_pending, quoted};
use crate::cli::parse_name;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::table::Table;
use crate::{Context, session, time};

#[derive(Debug, Args)]
#[command(after_help = "\
What `hfd logout`, another tool's logout or another value of the same name took away is kept in the
keychain for 30 days. Without a name it is listed. Of several of one name the last that went comes
back; what stands in its place can then be restored in turn.")]
pub(crate) struct Arguments {
    /// The token to bring back
    #[arg(value_parser = parse_name, add = names())]
    name: Option<TokenName>,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let request = Restore {
        name: arguments.name,
        home: context.env.home_if_usable(),
    };
    let reply = session::request(&context.env, request)?;
    context.output.answer(&Restored {
        reply: &reply,
        zone: TimeZone::system(),
    })?;
    note_pending(&reply.pending, context);
    Ok(())
}

#[derive(Serialize)]
#[serde(transparent)]
struct Restored<'a> {
    reply: &'a RestoreReply,
    #[serde(skip)]
    zone: TimeZone,
}

impl Answer for Restored<'_> {
    fn human(&self, page: &mut Page) {
        if let Some(name) = &self.reply.restored {
            page.line(&format!("{} is back.", quoted(name.as_str())));
            return;
        }
        if self.reply.kept.is_empty() {
            page.line("There is nothing to bring back.");
            return;
        }
        let mut table = Table::new(&[
            "name",
            "user",
            "went",
            "how",
            "by",
            "kept until",
            "endpoint",
        ]);
        for entry in &self.reply.kept {
            table.row(self.row(entry));
        }
        table.write(page);
    }
}

impl Restored<'_> {
    fn row(&self, entry: &KeptEntry) -> Vec<String> {
        let how = match entry.replaced {
            true => "replaced",
            false => "logged out",
        };
        let endpoint = Some(entry.endpoint.as_str()).filter(|_| !entry.endpoint.is_default());
        vec![
            entry.name.escaped(),
            entry.user.as_deref().map(escape).unwrap_or_default(),
            time::minute(entry.at, &self.zone),
            how.to_owned(),
            escape(&entry.by),
            time::day(entry.until, &self.zone),
            endpoint.unwrap_or_default().to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use hfd_proto::Endpoint;

    use super::*;
    use crate::output::shown;

    fn answer(kept: Vec<KeptEntry>) -> String {
        let reply = RestoreReply {
            restored: None,
            kept,
            pending: Vec::new(),
        };
        shown(&Restored {
            reply: &reply,
            zone: TimeZone::UTC,
        })
    }

    #[test]
    fn what_is_kept_is_a_table() {
        assert_eq!(answer(Vec::new()), "There is nothing to bring back.\n");
        let entry = KeptEntry {
            name: TokenName::parse("a\u{7}").unwrap(),
            user: Some("alice".to_owned()),
            endpoint: Endpoint::default(),
            at: 1_798_044_463,
            until: 1_800_636_463,
            by: "hfd".to_owned(),
            replaced: false,
        };
        let text = answer(vec![entry]);
        for part in [
            "a\\u{7}",
            "alice",
            "2026-12-23 16:47",
            "logged out",
            "2027-01-22",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
