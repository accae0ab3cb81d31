//! `hfd git`

use clap::{Args, Subcommand};
use hfd_proto::{Endpoint, List, Status};
use serde::Serialize;

use crate::failure::Failure;
use crate::git::config::{Config, Scope, helper};
use crate::output::{Answer, Page};
use crate::{Context, session};

/// Hubs that everybody clones from.
const EVERYBODYS: [&str; 2] = ["https://huggingface.co", "https://hf.co"];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have git ask hfd for the Hub's tokens
    #[command(after_help = "\
For huggingface.co, hf.co, your own Hub and those of your tokens git asks hfd and no other helper from then on,
each time for the repository at hand: rules and accounts are those of `hfd which --repo`. The lines go
into git's configuration; `hfd git unset` takes them out. It is run again when there is a new Hub.

Examples:
  hfd git setup
  hfd git setup --local
  git clone https://huggingface.co/acme/private
  git clone https://alice@huggingface.co/acme/private")]
    Setup(Place),
    /// Take out of git's configuration what `setup` wrote
    Unset(Place),
    /// What git runs; see gitcredentials(7)
    #[command(hide = true)]
    Credential {
        /// get, store or erase
        operation: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// In your own configuration, as without either
    #[arg(long, conflicts_with = "local")]
    global: bool,
    /// In that of the repository here
    #[arg(long)]
    local: bool,
}

impl Place {
    fn scope(&self) -> Scope {
        match self.local {
            true => Scope::Local,
            false => Scope::Global,
        }
    }
}

pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Setup(place) => set_up(place.scope(), context),
        Command::Unset(place) => unset(place.scope(), context),
        // It is answered before a command line is read as one (`crate::git`): with options it is no git.
        Command::Credential { .. } => Ok(()),
    }
}

fn set_up(scope: Scope, context: &Context) -> Result<(), Failure> {
    let env = &context.env;
    // It says first whether there is a git.
    let seen = Config::read(scope)?.set_up_for_hf(env)?;
    let (helper, hubs) = (helper(env)?, hubs(context)?);
    // After the general one: what the empty helper of a Hub takes back stands before it.
    let config = Config::read(scope)?;
    for hub in &hubs {
        config.set_up(hub, &helper)?;
    }
    // git adds a line to the section of its address, where that is there already: above what follows it.
    let config = Config::read(scope)?;
    if let Some(hub) = hubs.iter().find(|hub| !config.is_set_up(hub, &helper)) {
        context.output.note(&format!(
            "another credential.helper stands after the section of {hub} in git's configuration, and is told the \
             token, too: move it above, and repeat this"
        ));
    }
    if !seen {
        context.output.note(
            "`hf auth login --add-to-git-credential` will say that there is no helper: put git-credential-hfd \
             into PATH and repeat this, or pay no heed",
        );
    }
    context.output.answer(&SetUp {
        git: true,
        helper: Some(helper),
        hubs,
    })
}

/// Those of everybody, of the configuration and of the tokens.
fn hubs(context: &Context) -> Result<Vec<Endpoint>, Failure> {
    let env = &context.env;
    let home = env.home_if_usable();
    let everybodys = EVERYBODYS
        .into_iter()
        .filter_map(|hub| Endpoint::parse(hub).ok());
    let mut hubs: Vec<Endpoint> = everybodys.collect();
    let configured = session::ask(env, Status::default())?.endpoint;
    let tokens = session::ask(env, List { home })?.tokens;
    let theirs = tokens.into_iter().map(|token| token.endpoint);
    for hub in std::iter::once(configured).chain(theirs) {
        if !hubs.contains(&hub) {
            hubs.push(hub);
        }
    }
    Ok(hubs)
}

fn unset(scope: Scope, context: &Context) -> Result<(), Failure> {
    let config = Config::read(scope)?;
    let hubs = config.hubs();
    if !config.take_out()? {
        context.output.note("git was not set up there");
    }
    context.output.answer(&SetUp {
        git: false,
        helper: None,
        hubs,
    })
}

/// How git is set up now, and for which Hubs that is new or no longer so.
#[derive(Serialize)]
struct SetUp {
    git: bool,
    helper: Option<String>,
    hubs: Vec<Endpoint>,
}

impl Answer for SetUp {
    fn human(&self, page: &mut Page) {
        let hubs: Vec<_> = self.hubs.iter().map(Endpoint::as_str).collect();
        let hubs = hubs.join(", ");
        match self.git {
            true => page.line(&format!("git asks hfd for {hubs} from now on.")),
            false if hubs.is_empty() => {}
            false => page.line(&format!("git asks hfd no more for {hubs}.")),
        }
    }
}
