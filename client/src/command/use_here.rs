//! `hfd use`

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use hfd_core::rules::RuleFile;
use hfd_proto::{Error, Kind, List, TokenName, escape};
use serde::Serialize;

use super::completions::names;
use super::{quoted, switch, trust};
use crate::cli::parse_name;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::rules::{self, FILE_NAME, Trusted};
use crate::{Context, os, session};

#[derive(Debug, Args)]
#[command(after_help = "\
It is written into .hfd.toml of the current directory, and holds for all below it, for `hfd exec`, `hfd env`,
the hook of a shell and git. `hfd token` and other tools follow the active token as before. Rules for
repositories stand beside it, or in config.toml:

  use = \"work\"

  [rules]
  \"acme/*\" = \"work\"
  \"datasets/acme/open\" = \"play\"

Examples:
  hfd use work
  hfd use --unset")]
pub(crate) struct Arguments {
    /// The token to use here [default: chosen from a menu]
    #[arg(value_parser = parse_name, add = names())]
    name: Option<TokenName>,
    /// Take the directory's word back
    #[arg(long, conflicts_with = "name")]
    unset: bool,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let path = rules::current_directory()?.join(FILE_NAME);
    let name = match arguments.name {
        None if !arguments.unset => Some(switch::choose("hfd use", context)?),
        name => name,
    };
    if let Some(name) = &name {
        let home = context.env.home_if_usable();
        let tokens = session::ask(&context.env, List { home })?.tokens;
        if !tokens.iter().any(|token| token.name == *name) {
            let message = format!("there is no token named {}", quoted(name.as_str()));
            return Err(Error::new(Kind::NoSuchToken, message)
                .hint("`hfd list` shows the names")
                .into());
        }
    }
    let before = rules::read_rules(&path)?;
    if let Some(text) = &before
        && !Trusted::load(&context.env.place()?)?.holds(text)
    {
        // Else somebody else's rules would be trusted with it.
        let shown = escape(&path.to_string_lossy());
        return Err(Error::new(
            Kind::Refused,
            format!("{shown} is there already, and not trusted"),
        )
        .hint("`hfd trust` shows what it says, and trusts it")
        .into());
    }
    let before = before.map(|text| text.content).unwrap_or_default();
    let after = edited(&before, name.as_ref()).ok_or_else(|| {
        let shown = escape(&path.to_string_lossy());
        Error::new(
            Kind::Other,
            format!("{shown} is written in a way that hfd does not change"),
        )
        .hint("edit it by hand, and `hfd trust` it")
    })?;
    write(&path, &after)?;
    trust::own(&path, &after, context)?;
    context.output.answer(&Used { path, name })
}

/// The rule file with another word for the directory, everything else as it was; `None` where a line does
/// not do.
fn edited(before: &str, name: Option<&TokenName>) -> Option<String> {
    let line = name.map(|name| format!("use = {}\n", toml_string(name.as_str())));
    let is_use = |line: &str| {
        let rest = line.trim_start().strip_prefix("use");
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let (mut after, mut top) = (line.unwrap_or_default(), true);
    for line in before.split_inclusive('\n') {
        top = top && !line.trim_start().starts_with('[');
        if !(top && is_use(line)) {
            after.push_str(line);
        }
    }
    let was: RuleFile = toml::from_str(before).ok()?;
    let is: RuleFile = toml::from_str(&after).ok()?;
    (is.all.as_ref() == name && is.rules == was.rules).then_some(after)
}

/// A basic string of TOML: JSON's escapes are among its own. (DEL is not among JSON's: such a name is found
/// not to come back.)
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn write(path: &Path, content: &str) -> Result<(), Error> {
    let cannot = |error: std::io::Error| {
        let path = escape(&path.to_string_lossy());
        Error::new(Kind::Other, format!("cannot write {path}: {error}"))
    };
    if content.trim().is_empty() {
        return match os::remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot(error)),
            _ => Ok(()),
        };
    }
    // It holds no secret, and a repository may want to keep it: an ordinary file, replaced whole. A link
    // stays one.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let new = path.with_extension(format!("toml.{}", std::process::id()));
    let options = &mut OpenOptions::new();
    let written = options.write(true).create_new(true).open(&new);
    let written = written.and_then(|mut file| file.write_all(content.as_bytes()));
    let replaced = written.and_then(|()| os::replace(&new, path));
    replaced.map_err(|error| {
        // It may not have been made.
        drop(os::remove(&new));
        cannot(error)
    })
}

#[derive(Serialize)]
struct Used {
    path: PathBuf,
    name: Option<TokenName>,
}

impl Answer for Used {
    fn human(&self, page: &mut Page) {
        let path = escape(&self.path.to_string_lossy());
        page.line(&match &self.name {
            Some(name) => {
                let name = quoted(name.as_str());
                format!("{name} is used here and below from now on ({path}).")
            }
            None => "This directory has no token of its own any more.".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TokenName {
        TokenName::parse(text).unwrap()
    }

    #[test]
    fn only_the_directorys_own_line_changes() {
        let (work, odd) = (name("work"), name("a\"b\\c é"));
        assert_eq!(edited("", Some(&work)).unwrap(), "use = \"work\"\n");
        let before = "# ours\nuse = 'play'\n\n[rules]\n\"use/*\" = \"x\" # why\n";
        assert_eq!(
            edited(before, Some(&work)).unwrap(),
            "use = \"work\"\n# ours\n\n[rules]\n\"use/*\" = \"x\" # why\n"
        );
        assert_eq!(
            edited(before, None).unwrap(),
            "# ours\n\n[rules]\n\"use/*\" = \"x\" # why\n"
        );
        let text = edited("", Some(&odd)).unwrap();
        assert_eq!(toml::from_str::<RuleFile>(&text).unwrap().all, Some(odd));
    }

    #[test]
    fn what_a_line_cannot_change_is_left_alone() {
        assert_eq!(
            edited("use = '''play'''\n[rules]\nuse = \"x\"\n", None).as_deref(),
            Some("[rules]\nuse = \"x\"\n")
        );
        assert_eq!(edited("\"use\" = \"play\"\n", Some(&name("work"))), None);
        assert_eq!(edited("use = '''\nplay'''\n", Some(&name("work"))), None);
    }
}
