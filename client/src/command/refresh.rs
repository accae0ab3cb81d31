//! `hfd refresh`

use clap::Args;
use hfd_proto::{Refresh, RefreshReply, TokenName};
use serde::Serialize;

use super::completions::names;
use super::quoted;
use crate::cli::parse_name;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, session, time};

#[derive(Debug, Args)]
#[command(after_help = "\
The daemon renews tokens by itself, days before they end; this is for those who do not want to wait.")]
pub(crate) struct Arguments {
    /// The token to renew [default: the active one]
    #[arg(value_parser = parse_name, add = names())]
    name: Option<TokenName>,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let request = Refresh {
        name: arguments.name,
        home: context.env.home_if_usable(),
    };
    let reply = session::request(&context.env, request)?;
    context.output.answer(&Renewed(reply))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Renewed(RefreshReply);

impl Answer for Renewed {
    fn human(&self, page: &mut Page) {
        let name = quoted(self.0.name.as_str());
        let end = self.0.expires_at;
        let end = end.and_then(|end| time::expiry(end, false, time::now()));
        match end {
            Some(end) => page.line(&format!("{name} is renewed; it ends {end}.")),
            None => page.line(&format!("{name} is renewed.")),
        }
    }
}
