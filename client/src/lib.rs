//! `hfd`, the client: it turns a command line into a request to the daemon and the reply into text
//! or JSON.
//!
//! It touches no keychain and no network. It reads what the daemon cannot know, the caller's
//! environment and terminal, starts the daemon where none answers (`session`), and prints.

mod autostart;
mod browser;
mod cli;
mod command;
mod doctor;
mod environment;
mod failure;
mod git;
mod live;
mod network;
mod os;
mod output;
mod prompt;
mod rules;
mod session;
mod spawn;
mod stdin;
mod stop;
mod table;
mod terminal;
mod time;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use environment::Environment;
use failure::Failure;
use output::Output;

/// What a command works with beside its arguments.
struct Context {
    env: Environment,
    output: Output,
    /// Never ask: prompts belong to the client, and this forbids all of them.
    no_input: bool,
}

/// Runs `hfd` with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let env = Environment::of_process();
    os::harden();
    let hot = cli::hot(&arguments);
    if hot.is_none() {
        if let Some(operation) = git::operation(&arguments) {
            return git::run(operation, env);
        }
        if env.raw(command::completions::ASKED).is_some() {
            return match command::completions::answer(&arguments) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failure::report(&failure, false),
            };
        }
    }
    let cli = match hot.map_or_else(|| cli::parse(&arguments), Ok) {
        Ok(cli) => cli,
        Err(refusal) => return failure::usage(&refusal, &arguments),
    };
    let json = cli.wants_json();
    let context = Context {
        env,
        output: Output::new(json, cli.wants_quiet()),
        no_input: cli.global.no_input,
    };
    let outcome = match command::run(cli.command, &context) {
        Err(failure) if failure.is_locked() => unlocked(failure, &arguments, &context),
        outcome => outcome,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure::report(&failure, json),
    }
}

/// Asks for what opens the encrypted file, where that is why the command failed, and runs it once more.
fn unlocked(failure: Failure, arguments: &[OsString], context: &Context) -> Result<(), Failure> {
    match (command::lock::open_file(context), cli::parse(arguments)) {
        (Ok(true), Ok(again)) => command::run(again.command, context),
        (Err(why), _) if !why.is_locked() => Err(why),
        _ => Err(failure),
    }
}
