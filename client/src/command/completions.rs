//! `hfd completions`, and what a shell asks hfd while somebody presses Tab.

use std::ffi::OsString;

use clap::Args;
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{ArgValueCandidates, CompletionCandidate};
use hfd_proto::{Error, Kind, List, escape};

use crate::environment::Environment;
use crate::failure::Failure;
use crate::{cli, output, session};

/// The variable by which a shell's script says that it wants candidates, and in what form.
pub(crate) const ASKED: &str = "HFD_COMPLETE";

#[derive(Debug, Args)]
#[command(after_help = "\
The shell asks hfd itself for what can follow, names of tokens, too. It starts no daemon.

Examples:
  hfd completions bash > ~/.local/share/bash-completion/completions/hfd
  hfd completions zsh > ~/.zfunc/_hfd           # with fpath+=~/.zfunc before compinit
  hfd completions fish > ~/.config/fish/completions/hfd.fish")]
pub(crate) struct Arguments {
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    shell: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    output::print(&script(&arguments.shell)?)
}

fn script(shell: &str) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| Error::new(Kind::Other, error.to_string());
    let shells = Shells::builtins();
    let completer = shells
        .completer(shell)
        .ok_or_else(|| Error::new(Kind::Usage, format!("{} is no shell", escape(shell))))?;
    let mut script = Vec::new();
    completer
        .write_registration(ASKED, "hfd", "hfd", "hfd", &mut script)
        .map_err(failed)?;
    if shell == "zsh" {
        script.extend_from_slice(ZSH_AUTOLOADED);
    }
    Ok(script)
}

/// Where zsh has found the script in its `fpath`, it is the body of a function `_hfd`, called for the first Tab.
const ZSH_AUTOLOADED: &[u8] =
    b"if [[ ${funcstack[1]} == _hfd ]]; then _clap_dynamic_completer_hfd \"$@\"; fi\n";

/// Answers a shell; it asks by [`ASKED`].
pub(crate) fn answer(arguments: &[OsString]) -> Result<(), Failure> {
    let directory = std::env::current_dir().ok();
    CompleteEnv::with_factory(cli::definition)
        .var(ASKED)
        .try_complete(arguments.iter().cloned(), directory.as_deref())
        .map(drop)
        .map_err(|error| Error::new(Kind::Usage, error.to_string()).into())
}

/// The names of the tokens, of the daemon that runs: for an argument that is one.
pub(crate) fn names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let listed = listed(&Environment::of_process()).unwrap_or_default();
        let safe = listed.into_iter().filter(|(name, _)| is_safe(name));
        let candidates = safe.map(|(name, about)| {
            let about = (!about.is_empty()).then(|| about.into());
            CompletionCandidate::new(name).help(about)
        });
        candidates.collect()
    })
}

/// Whether a shell takes the name for nothing but itself: bash puts a candidate on the command line as it is,
/// and names come from a Hub or a file.
fn is_safe(name: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
    name.bytes().all(safe) && !name.starts_with('-')
}

fn listed(env: &Environment) -> Option<Vec<(String, String)>> {
    let mut connection = session::find(&env.place().ok()?).ok()??;
    let home = env.home_if_usable();
    let listed = connection.request(List { home }).ok()?;
    let tokens = listed.tokens.into_iter().map(|token| {
        let about = [token.user, token.role].into_iter().flatten();
        let about: Vec<String> = about.map(|text| escape(&text)).collect();
        (token.name.as_str().to_owned(), about.join(", "))
    });
    Some(tokens.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_that_asks_hfd() {
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let script = String::from_utf8(script(shell).unwrap()).unwrap();
            assert!(script.contains(ASKED), "{shell}");
        }
    }
}
