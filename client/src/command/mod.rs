//! The commands, one file each.

pub(crate) mod auth;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod exec;
pub(crate) mod git;
pub(crate) mod hook;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod mirror;
pub(crate) mod refresh;
pub(crate) mod rename;
pub(crate) mod restore;
pub(crate) mod service;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod switch;
pub(crate) mod sync;
pub(crate) mod token;
pub(crate) mod trust;
pub(crate) mod use_here;
pub(crate) mod watch;
pub(crate) mod which;
pub(crate) mod whoami;

use hfd_proto::{Endpoint, Pending, TokenName, escape};

pub(crate) use status::elsewhere;

use crate::cli::Command;
use crate::failure::Failure;
use crate::{Context, time};

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
        Command::Env(arguments) => env::run(&arguments, context),
        Command::Git(command) => git::run(command, context),
        Command::Hook(arguments) => hook::run(&arguments),
        Command::Use(arguments) => use_here::run(arguments, context),
        Command::Which(arguments) => which::run(arguments, context),
        Command::Trust(arguments) => trust::run(arguments, context),
        Command::Refresh(arguments) => refresh::run(arguments, context),
        Command::Restore(arguments) => restore::run(arguments, context),
        Command::Mirror(command) => mirror::run(command, context),
        Command::Lock => lock::lock(context),
        Command::Unlock(arguments) => lock::unlock(&arguments, context),
        Command::Store(command) => store::run(command, context),
        Command::Status => status::run(context),
        Command::Doctor(arguments) => doctor::run(&arguments, context),
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

/// Tells that tools would send the token that is active now to a Hub which is not its own: the files
/// that they read say nothing of Hubs.
fn note_endpoint(name: &TokenName, own: &Endpoint, context: &Context) {
    // What is wrong with the variable was told before anything was changed, or concerns nobody here.
    let Ok(named) = context.env.endpoint() else {
        return;
    };
    if let Some(note) = endpoint_note(name, own, named) {
        context.output.note(&note);
    }
}

fn endpoint_note(name: &TokenName, own: &Endpoint, named: Option<Endpoint>) -> Option<String> {
    if named.unwrap_or_default() == *own {
        return None;
    }
    let name = quoted(name.as_str());
    Some(match own.is_default() {
        true => format!("{name} belongs to {own}: unset HF_ENDPOINT for tools"),
        false => format!("{name} belongs to {own}: set HF_ENDPOINT={own} for tools"),
    })
}

/// How long before its end a token that nobody renews is worth a warning, in seconds: over a weekend.
const SOON: i64 = 3 * 86_400;

/// Tells that a token ends soon and stays so, or has ended.
fn note_ending(name: Option<&TokenName>, expires_at: Option<i64>, renews: bool, context: &Context) {
    if let Some(warning) = ending_warning(name, expires_at, renews, time::now()) {
        context.output.note(&warning);
    }
}

fn ending_warning(
    name: Option<&TokenName>,
    expires_at: Option<i64>,
    renews: bool,
    now: i64,
) -> Option<String> {
    let left = expires_at?.saturating_sub(now);
    let when = time::expiry(expires_at?, false, now)?;
    let token = name.map_or_else(|| "this token".to_owned(), |name| quoted(name.as_str()));
    match (left <= 0, renews) {
        (true, true) => Some(format!("{token} {when} and was not renewed yet")),
        (true, false) => Some(format!("{token} {when}: `hfd login` gets a new one")),
        (false, false) if left <= SOON => Some(format!(
            "{token} ends {when} and cannot renew itself: `hfd login` gets a new one"
        )),
        (false, _) => None,
    }
}

/// Text of somebody else's, in the backticks that names stand in.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", escape(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_to_be_told_of_another_hub() {
        let name = TokenName::parse("work").unwrap();
        let hub = || Endpoint::parse("https://hub.example").unwrap();
        let note = |own: Endpoint, named| endpoint_note(&name, &own, named);
        assert_eq!(note(Endpoint::default(), None), None);
        assert_eq!(note(hub(), Some(hub())), None);
        assert_eq!(
            note(hub(), None).unwrap(),
            "`work` belongs to https://hub.example: set HF_ENDPOINT=https://hub.example for tools"
        );
        assert_eq!(
            note(Endpoint::default(), Some(hub())).unwrap(),
            "`work` belongs to https://huggingface.co: unset HF_ENDPOINT for tools"
        );
    }

    #[test]
    fn an_end_is_warned_of_where_something_can_be_done() {
        let name = TokenName::parse("work").ok();
        let warning = |left: i64, renews| ending_warning(name.as_ref(), Some(left), renews, 0);
        for (left, renews, words) in [
            (SOON + 1, false, None),
            (SOON, true, None),
            (
                SOON,
                false,
                Some("`work` ends in 3 days and cannot renew itself: `hfd login` gets a new one"),
            ),
            (
                -7_200,
                false,
                Some("`work` ended 2 hours ago: `hfd login` gets a new one"),
            ),
            (
                -7_200,
                true,
                Some("`work` ended 2 hours ago and was not renewed yet"),
            ),
        ] {
            assert_eq!(warning(left, renews).as_deref(), words);
        }
        assert_eq!(ending_warning(None, None, false, 0), None);
    }
}
