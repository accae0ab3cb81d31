//! `hfd auth`: the commands of `hf auth` (huggingface_hub 2.4.0, `cli/auth.py`), with its flags and
//! their meaning.

use clap::{Args, Subcommand, ValueEnum};
use hfd_proto::{List, Status, TokenName, WhoamiReply, escape};
use serde::Serialize;

use super::completions::names;
use super::login::VisibleToken;
use super::{list, login, logout, switch, token, whoami};
use crate::cli::parse_name;
use crate::failure::Failure;
use crate::{Context, output, session};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) style: Style,
    #[command(subcommand)]
    command: Command,
}

/// How `hf` is told what its output should look like.
#[derive(Debug, Args)]
pub(crate) struct Style {
    /// How to print; `auto` is `human`, `quiet` spares notes
    #[arg(long, global = true, value_enum, default_value_t = Format::Auto, display_order = 898)]
    format: Format,
    /// The same as --format quiet
    #[arg(short, long, global = true, display_order = 899)]
    quiet: bool,
    /// Nothing is truncated anyway
    #[arg(long, global = true, hide = true)]
    no_truncate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Auto,
    Human,
    Agent,
    Json,
    Quiet,
}

impl Style {
    pub(crate) fn wants_json(&self) -> bool {
        self.format == Format::Json
    }

    fn is_for_agents(&self) -> bool {
        self.format == Format::Agent
    }

    pub(crate) fn wants_quiet(&self) -> bool {
        self.quiet || self.format == Format::Quiet
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Log in, unless somebody is logged in
    Login {
        /// The token itself; other users of this machine can see it while hfd runs
        #[arg(long, value_name = "TOKEN")]
        token: Option<VisibleToken>,
        #[command(flatten)]
        git: GitCredential,
        /// Log in although somebody is logged in
        #[arg(long, overrides_with = "no_force")]
        force: bool,
        #[arg(long, hide = true)]
        no_force: bool,
    },
    /// Log out: without a name, remove every token
    Logout {
        /// The token to remove
        #[arg(long, value_name = "NAME", value_parser = parse_name, add = names())]
        token_name: Option<TokenName>,
    },
    /// Make another token the active one
    Switch {
        /// The token to make active
        #[arg(long, value_name = "NAME", value_parser = parse_name, add = names())]
        token_name: Option<TokenName>,
        #[command(flatten)]
        git: GitCredential,
    },
    /// List the tokens, masked
    #[command(alias = "ls")]
    List,
    /// Print the token in use here
    Token,
    /// Ask the Hub whose token it is
    Whoami,
}

#[derive(Debug, Args)]
struct GitCredential {
    /// Accepted for compatibility; `hfd git setup` has git ask hfd, and no copy is made
    #[arg(long, overrides_with = "no_add_to_git_credential")]
    add_to_git_credential: bool,
    #[arg(long, hide = true)]
    no_add_to_git_credential: bool,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let style = arguments.style;
    match arguments.command {
        Command::Login {
            token, git, force, ..
        } => {
            git.note(context);
            log_in(token, force, context)
        }
        Command::Logout { token_name } => log_out(token_name, context),
        Command::Switch { token_name, git } => {
            git.note(context);
            let name = token_name;
            switch::run(switch::Arguments { name, all: false }, context)
        }
        Command::List => list::run(context),
        Command::Token => token::run(&token::Arguments::default(), context),
        Command::Whoami
            if style.wants_quiet() || style.is_for_agents() || context.output.is_json() =>
        {
            let reply = whoami::ask(None, context)?;
            person(&reply, &style, context)
        }
        Command::Whoami => whoami::run(whoami::Arguments::default(), context),
    }
}

impl GitCredential {
    fn note(&self, context: &Context) {
        if self.add_to_git_credential {
            context.output.note(
                "--add-to-git-credential makes no copy: `hfd git setup` has git ask hfd for the token",
            );
        }
    }
}

/// What upstream tells programs of a person.
#[derive(Serialize)]
struct Person {
    user: String,
    /// With commas between them; `None` for none.
    orgs: Option<String>,
    /// `None` for huggingface.co.
    endpoint: Option<String>,
}

fn person(reply: &WhoamiReply, style: &Style, context: &Context) -> Result<(), Failure> {
    let endpoint = &reply.endpoint;
    let person = Person {
        user: reply.user.clone(),
        orgs: (!reply.orgs.is_empty()).then(|| reply.orgs.join(",")),
        endpoint: (!endpoint.is_default()).then(|| endpoint.as_str().to_owned()),
    };
    if context.output.is_json() {
        return context.output.json_line(&person);
    }
    let mut line = escape(&person.user);
    if style.is_for_agents() {
        line.insert_str(0, "user=");
        for (key, value) in [("orgs", &person.orgs), ("endpoint", &person.endpoint)] {
            if let Some(value) = value {
                line += &format!(" {key}={}", escape(value));
            }
        }
    }
    output::print(format!("{line}\n").as_bytes())
}

/// As upstream: a token that is given is always added; without one, whoever is logged in stays so.
fn log_in(token: Option<VisibleToken>, force: bool, context: &Context) -> Result<(), Failure> {
    if token.is_none() && !force && is_logged_in(context)? {
        let note = "User is already logged in. Use `hfd auth login --force` to log in again.";
        context.output.note(note);
        return Ok(());
    }
    let arguments = login::Arguments {
        token,
        ..login::Arguments::default()
    };
    login::run(arguments, context)
}

fn is_logged_in(context: &Context) -> Result<bool, Failure> {
    if context.env.beating_variable().is_some() {
        return Ok(true);
    }
    let home = Some(context.env.home()?);
    Ok(session::ask(
        &context.env,
        Status {
            home,
            ..Status::default()
        },
    )?
    .active
    .is_some())
}

/// As upstream: nothing to log out of is no error, and nobody is asked.
fn log_out(name: Option<TokenName>, context: &Context) -> Result<(), Failure> {
    let home = context.env.home_if_usable();
    let tokens = session::ask(&context.env, List { home })?.tokens;
    if tokens.is_empty() {
        context.output.note("Not logged in!");
        return Ok(());
    }
    let all = name.is_none();
    logout::remove(
        logout::Arguments {
            name,
            all,
            ..logout::Arguments::default()
        },
        context,
    )
}
