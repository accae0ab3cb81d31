//! `hfd completions`

use clap::Args;
use clap_complete::Shell;

use crate::failure::Failure;
use crate::{cli, output};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hfd completions bash > ~/.local/share/bash-completion/completions/hfd
  hfd completions zsh > ~/.zfunc/_hfd
  hfd completions fish > ~/.config/fish/completions/hfd.fish")]
pub(crate) struct Arguments {
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut cli::definition(), "hfd", &mut script);
    output::print(&script)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_has_completions() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut cli::definition(), "hfd", &mut script);
            assert!(String::from_utf8(script).unwrap().contains("whoami"));
        }
    }
}
