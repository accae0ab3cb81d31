//! `hfd hook`: a shell whose environment follows the directory.

use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Before each prompt the shell then has HF_TOKEN of the directory's own token (`hfd use`, .hfd.toml), and
has it no more in a directory without one. An HF_TOKEN that you have set yourself stays.

Examples:
  eval \"$(hfd hook bash)\"          # at the end of ~/.bashrc
  eval \"$(hfd hook zsh)\"           # at the end of ~/.zshrc
  hfd hook fish | source           # in ~/.config/fish/config.fish")]
pub(crate) struct Arguments {
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The status of the last command is kept for the prompt to show.
const BASH: &str = r#"_hfd_hook() {
  local status=$? again=
  if [[ $PWD == "${_hfd_seen-}" ]]; then again=--again; fi
  _hfd_seen=$PWD
  eval "$(command hfd env --hook --shell bash $again)"
  return $status
}
if [[ ";${PROMPT_COMMAND[*]:-};" != *";_hfd_hook;"* ]]; then
  if [[ "$(declare -p PROMPT_COMMAND 2>&1)" == "declare -a"* ]]; then
    PROMPT_COMMAND=(_hfd_hook "${PROMPT_COMMAND[@]}")
  else
    PROMPT_COMMAND="_hfd_hook${PROMPT_COMMAND:+;$PROMPT_COMMAND}"
  fi
fi
"#;

const ZSH: &str = r#"_hfd_hook() {
  local again=()
  if [[ $PWD == "${_hfd_seen-}" ]]; then again=(--again); fi
  _hfd_seen=$PWD
  eval "$(command hfd env --hook --shell zsh $again)"
}
typeset -ag precmd_functions
if (( ! ${precmd_functions[(I)_hfd_hook]} )); then
  precmd_functions=(_hfd_hook $precmd_functions)
fi
"#;

const FISH: &str = r#"function _hfd_hook --on-event fish_prompt
  set -l again
  if test "$PWD" = "$_hfd_seen"
    set again --again
  end
  set -g _hfd_seen $PWD
  command hfd env --hook --shell fish $again | source
end
"#;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let script = match arguments.shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    };
    output::print(script.as_bytes())
}
