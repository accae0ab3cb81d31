//! The commands, one file each.

pub(crate) mod auth;
pub(crate) mod completions;
pub(crate) mod exec;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod mirror;
pub(crate) mod rename;
pub(crate) mod restore;
pub(crate) mod service;
pub(crate) mod status;
pub(crate) mod switch;
pub(crate) mod sync;
pub(crate) mod token;
pub(crate) mod watch;
pub(crate) mod whoami;

use hfd_proto::{Pending, escape};

use crate::Context;
use crate::cli::Command;
use crate::failure::Failure;

/// Does what the command line asks for.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Login(arguments) => login::run(arguments, context),
        Command::Logout(arguments) => logout::run(arguments, context),
        Command::List => list::run(context),
        Command::Switch(arguments) => switch::run(arguments, context),
        Command::Rename(arguments) => rename::run(arguments, context),
        Command::Token(arguments) => token::run(&arguments, context),
        Command::Whoami(arguments) => whoami::run(arguments, context),
        Command::Exec(arguments) => exec::run(&arguments, context),
        Command::Restore(arguments) => restore::run(arguments, context),
        Command::Mirror(command) => mirror::run(command, context),
        Command::Lock => lock::lock(context),
        Command::Unlock => lock::unlock(context),
        Command::Status => status::run(context),
        Command::Sync => sync::run(context),
        Command::Watch => watch::run(context),
        Command::Service(command) => service::run(command, context),
        Command::Auth(arguments) => auth::run(arguments, context),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments, context),
    }
}

/// Tells of mirrors that do not hold a change yet: the change itself was made.
fn note_pending(pending: &[Pending], context: &Context) {
    for mirror in pending {
        let (dir, detail) = (mirror.dir.display(), &mirror.detail);
        context.output.note(&format!("not yet in {dir}: {detail}"));
    }
}

/// Tells that a change of the session has no effect in this environment.
fn note_override(context: &Context) {
    if let Some(variable) = context.env.beating_variable() {
        context.output.note(&format!(
            "{variable} is set in this environment and beats the active token"
        ));
    }
}

/// Text of somebody else's, in the backticks that names stand in.
fn quoted(text: &str) -> String {
    format!("`{}`", escape(text))
}
