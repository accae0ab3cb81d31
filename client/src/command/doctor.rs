//! `hfd doctor`

use clap::Args;
use hfd_proto::{Probe, StoreEntry, escape};

use super::quoted;
use crate::Context;
use crate::doctor::{Report, Wishes, examine};
use crate::failure::Failure;
use crate::output::{Answer, Page};

#[derive(Debug, Args)]
#[command(after_help = "\
Each store is given a value of no worth, which is read back and removed. What is wrong is told with its mend, and the
exit status is 1 then. The report holds no token, and no name of your home: it can be shown to anybody.

Examples:
  hfd doctor
  hfd doctor --hub --json
  hfd doctor --repair")]
pub(crate) struct Arguments {
    /// Make hfd's index anew, of what is known and what the stores hold
    #[arg(long)]
    repair: bool,
    /// Ask the Hub, too
    #[arg(long)]
    hub: bool,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let wishes = Wishes {
        repair: arguments.repair,
        hub: arguments.hub,
    };
    let report = examine(wishes, context);
    context.output.answer(&report)?;
    match report.findings.is_empty() {
        true => Ok(()),
        false => Err(Failure::Ended(1)),
    }
}

impl Answer for Report {
    fn human(&self, page: &mut Page) {
        let hfdd = self
            .hfdd
            .as_deref()
            .map_or_else(|| "does not answer".to_owned(), escape);
        page.field("hfd", &format!("{}, hfdd {hfdd}", self.hfd));
        for store in &self.stores {
            page.field("store", &line_of(store));
        }
        for path in &self.set_aside {
            page.field("set aside", &escape(path));
        }
        for name in &self.repaired {
            page.field("found", &quoted(name.as_str()));
        }
        if self.findings.is_empty() {
            page.line("Nothing is wrong.");
            return;
        }
        for finding in &self.findings {
            page.line("");
            page.line(&page.warn(&escape(&finding.detail)));
            page.line(&format!("  {}", escape(&finding.mend)));
        }
    }
}

fn line_of(store: &StoreEntry) -> String {
    let (id, tokens) = (escape(store.id.as_str()), store.tokens);
    let default = if store.default {
        ", for new tokens"
    } else {
        ""
    };
    let state = super::store::state(&store.state);
    let took = store.probe.as_ref().map(took).unwrap_or_default();
    format!("{id}, {state}{default}, {tokens} there{took}")
}

fn took(probe: &Probe) -> String {
    let part = |what: &str, milliseconds: Option<u64>| {
        milliseconds.map_or_else(String::new, |took| format!(", {what} {took} ms"))
    };
    let (write, read) = (part("write", probe.write_ms), part("read", probe.read_ms));
    format!("{write}{read}{}", part("remove", probe.remove_ms))
}
