//! The command line: what may be said, and how it is read.

use std::ffi::OsString;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser, Subcommand};
use hfd_proto::{Endpoint, InvalidEndpoint, InvalidName, StoreId, TokenName};

use crate::command::{
    auth, completions, doctor, env, exec, git, hook, lock, login, logout, man, mirror, refresh,
    rename, restore, service, store, switch, token, trust, use_here, which, whoami,
};

/// Hugging Face tokens in the keychain, one login for every tool.
#[derive(Debug, Parser)]
#[command(
    name = "hfd",
    version = hfd_proto::VERSION,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = EXAMPLES
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Whether a program reads the output: `--json`, or its spelling in `hf auth`.
    pub(crate) fn wants_json(&self) -> bool {
        let elsewhere = matches!(&self.command, Command::Auth(auth) if auth.style.wants_json());
        self.global.json || elsewhere
    }

    /// Whether notes are unwelcome.
    pub(crate) fn wants_quiet(&self) -> bool {
        matches!(&self.command, Command::Auth(auth) if auth.style.wants_quiet())
    }
}

const EXAMPLES: &str = "\
Examples:
  hfd login                          log in; the token goes into the keychain
  printf %s \"$TOKEN\" | hfd login --with-token
  hfd list                           what there is
  hfd switch work                    make `work` the token that every tool uses
  curl -H \"Authorization: Bearer $(hfd token)\" https://huggingface.co/api/whoami-v2
  hfd exec --as ci -- python train.py

`hfd help COMMAND` tells more about a command.";

/// What holds for every command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub(crate) struct Global {
    /// Print one JSON document on stdout, and errors as JSON on stderr
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,
    /// Never ask for anything
    #[arg(long, global = true, display_order = 901)]
    pub(crate) no_input: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in: keep a token in the keychain and make it the active one
    Login(login::Arguments),
    /// Log out: remove tokens from the keychain and from the files of other tools
    Logout(logout::Arguments),
    /// List the tokens, masked
    #[command(visible_alias = "ls")]
    List,
    /// Make another token the active one
    Switch(switch::Arguments),
    /// Give a token another name
    Rename(rename::Arguments),
    /// Print the value of a token
    Token(token::Arguments),
    /// Ask the Hub whose token it is
    Whoami(whoami::Arguments),
    /// Run a program with a token in HF_TOKEN
    Exec(exec::Arguments),
    /// Print what a shell sets to have a token in its environment
    Env(env::Arguments),
    /// Have git use the right token by itself
    #[command(subcommand)]
    Git(git::Command),
    /// Print what has a shell's environment follow the directory
    Hook(hook::Arguments),
    /// Choose the token of this directory
    Use(use_here::Arguments),
    /// Show which token belongs here or to a repository, and why
    Which(which::Arguments),
    /// Let a rule file count
    Trust(trust::Arguments),
    /// Renew a token now
    Refresh(refresh::Arguments),
    /// Bring back what was logged out or replaced in the last 30 days
    Restore(restore::Arguments),
    /// The directories that hfd keeps in step with the keychain
    #[command(subcommand)]
    Mirror(mirror::Command),
    /// Hide every token: from files, from memory and from whoever asks
    Lock,
    /// End the lock, and open what a passphrase opens
    Unlock(lock::Unlocking),
    /// The places where tokens rest
    #[command(subcommand)]
    Store(store::Command),
    /// Show the state at a glance; asks no network and starts no daemon
    Status,
    /// Look at everything, and tell what is wrong with its mend
    Doctor(doctor::Arguments),
    /// Bring keychain and files together now; status 1 where files do not follow
    Sync,
    /// Follow what happens, one line per event
    Watch,
    /// Control the daemon
    #[command(subcommand)]
    Service(service::Command),
    /// The commands of `hf auth`, with their own flags
    Auth(auth::Arguments),
    /// Print the completions for a shell
    Completions(completions::Arguments),
    /// Write the man pages into a directory
    Man(man::Arguments),
}

/// The command line that scripts run in loops, `hfd token` and `hfd token NAME`, read without
/// clap, whose tables cost more than the whole lookup. Anything else is `None`: clap's business.
pub(crate) fn hot(arguments: &[OsString]) -> Option<Cli> {
    let name = match arguments {
        [_, token] if token == "token" => None,
        [_, token, name] if token == "token" => {
            let name = name.to_str().filter(|name| !name.starts_with('-'))?;
            Some(parse_name(name).ok()?)
        }
        _ => return None,
    };
    Some(Cli {
        global: Global::default(),
        command: Command::Token(token::Arguments {
            name,
            ..token::Arguments::default()
        }),
    })
}

/// Any command line.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(arguments)
}

/// The whole command line as clap knows it, for completions and man pages.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

pub(crate) fn parse_name(text: &str) -> Result<TokenName, InvalidName> {
    TokenName::parse(text)
}

pub(crate) fn parse_endpoint(text: &str) -> Result<Endpoint, InvalidEndpoint> {
    Endpoint::parse(text)
}

/// Reads the stores that this platform has.
pub(crate) fn store_parser() -> impl TypedValueParser<Value = StoreId> {
    let here = StoreId::HERE.iter();
    PossibleValuesParser::new(here.map(|store| store.as_str())).try_map(|word| {
        let mut here = StoreId::HERE.iter().copied();
        here.find(|store| store.as_str() == word)
            .ok_or("no such store")
    })
}

/// Reads a span of time: a number of seconds, or one followed by `s`, `m`, `h` or `d`.
pub(crate) fn parse_seconds(text: &str) -> Result<u64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let with_unit = units
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (digits, factor) = with_unit.unwrap_or((text, 1));
    let count = digits.parse::<u64>().ok();
    count
        .and_then(|count| count.checked_mul(factor))
        .ok_or_else(|| "a span of time is written as 90, 90s, 15m, 12h or 2d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Vec<OsString> {
        let program = std::iter::once("hfd");
        let words = program.chain(words.iter().copied());
        words.map(OsString::from).collect()
    }

    fn token(cli: Cli) -> token::Arguments {
        match cli.command {
            Command::Token(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_holds_together() {
        definition().debug_assert();
    }

    #[test]
    fn the_hot_path_reads_what_clap_would_read() {
        for words in [
            &["token"][..],
            &["token", "work"],
            &["token", "my token"],
            &["token", "ü"],
        ] {
            let arguments = line(words);
            let (hot, slow) = (hot(&arguments).unwrap(), parse(&arguments).unwrap());
            assert_eq!(hot.global, slow.global);
            assert_eq!(token(hot), token(slow));
        }
    }

    #[test]
    fn everything_else_is_left_to_clap() {
        for words in [
            &[][..],
            &["list"],
            &["token", "--json"],
            &["token", "-h"],
            &["token", ""],
            &["token", "DEFAULT"],
            &["token", "a", "b"],
            &["--json", "token"],
            &["tokens"],
        ] {
            assert!(hot(&line(words)).is_none(), "{words:?}");
        }
    }

    #[test]
    fn command_lines_that_are_accepted() {
        for words in [
            "login --with-token --name ci --no-switch --offline --endpoint https://hub.example --store file --force --json",
            "login --token hf_x",
            "logout",
            "logout a",
            "logout --all",
            "logout a --purge",
            "logout a --revoke",
            "logout --all --revoke --yes",
            "restore",
            "restore a --json",
            "mirror list",
            "mirror add",
            "mirror add /srv/hf --mode active-only",
            "mirror remove /srv/hf",
            "lock",
            "unlock --json",
            "list",
            "ls --json",
            "switch",
            "switch a --all",
            "rename a b",
            "token a --min-ttl 15m --json",
            "whoami",
            "whoami a",
            "exec -- env",
            "exec --as a -- env -x --json",
            "exec env",
            "exec --live --as a -- env",
            "env --as a --shell dotenv",
            "git setup",
            "git setup --local --json",
            "git unset --global",
            "git credential get",
            "hook zsh",
            "use",
            "use a",
            "use --unset",
            "which --repo datasets/acme/x --dir / --json",
            "trust --list",
            "trust /x --remove",
            "token --here",
            "status",
            "sync",
            "watch --json",
            "service start",
            "service logs -n 5",
            "completions bash",
            "man dir",
            "--no-input --json list",
            "list --no-input",
            "auth login --token hf_x --add-to-git-credential --force",
            "auth login --no-force",
            "auth login --no-add-to-git-credential",
            "auth logout",
            "auth logout --token-name a",
            "auth switch --token-name a",
            "auth list",
            "auth ls --format json",
            "auth token -q",
            "auth whoami --json",
            "auth whoami --format quiet --no-truncate",
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            assert!(parse(&line(&words)).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn command_lines_that_are_refused() {
        for words in [
            "login --offline",
            "login --with-token --token x",
            "login --store nope",
            "login --endpoint http://hub.example",
            "logout a --all",
            "logout a --yes",
            "rename a",
            "mirror",
            "mirror remove",
            "mirror add --mode most",
            "exec",
            "exec --as a",
            "token --min-ttl soon",
            "use a --unset",
            "which --repo a/b/c",
            "git",
            "git setup --global --local",
            "hook tcsh",
            "token a --here",
            "service",
            "nope",
            "auth",
            "auth nope",
            "switch DEFAULT",
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            let refusal = parse(&line(&words)).unwrap_err();
            assert_eq!(refusal.exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn what_follows_the_dashes_belongs_to_the_program() {
        let cli = parse(&line(&["exec", "--", "env", "--json"])).unwrap();
        assert!(!cli.wants_json());
    }

    #[test]
    fn json_may_be_asked_for_as_hf_is_asked() {
        let json = |words: &[&str]| parse(&line(words)).unwrap().wants_json();
        assert!(json(&["auth", "list", "--format", "json"]));
        assert!(json(&["auth", "--json", "list"]));
        assert!(!json(&["auth", "list", "--format", "agent"]));
    }

    #[test]
    fn spans_of_time() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("15m", 900),
            ("12h", 43_200),
            ("2d", 172_800),
        ] {
            assert_eq!(parse_seconds(text), Ok(seconds));
        }
        for text in [
            "",
            "m",
            "-1",
            "1.5h",
            "90ss",
            "99999999999999999999",
            "18446744073709551615d",
        ] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }
}
