//! `hfd trust`

use std::path::{Path, PathBuf};

use clap::Args;
use hfd_proto::{Error, Kind, TokenName, escape};
use serde::Serialize;

use crate::Context;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::rules::{self, FILE_NAME, Trusted};

#[derive(Debug, Args)]
#[command(after_help = "\
A rule file comes with whatever is cloned or unpacked, so its words count only after this command, and
only as long as it stays as it is: another content, another owner or another place, and it is unknown again.

Examples:
  hfd trust
  hfd trust ~/src/acme
  hfd trust --list
  hfd trust --remove ~/src/acme/.hfd.toml")]
pub(crate) struct Arguments {
    /// The rule file, or its directory [default: the nearest one here or above]
    path: Option<PathBuf>,
    /// Show which rule files are trusted
    #[arg(long, conflicts_with_all = ["path", "remove"])]
    list: bool,
    /// Trust it no longer
    #[arg(long)]
    remove: bool,
}

pub(crate) fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let place = context.env.place()?;
    if arguments.list {
        let trusted = Trusted::load(&place)?;
        let files = trusted.entries().iter();
        let files = files.map(|entry| File {
            path: &entry.path,
            as_it_is: rules::read_rules(&entry.path)
                .ok()
                .flatten()
                .is_some_and(|text| trusted.holds(&text)),
        });
        return context.output.answer(&Files(files.collect()));
    }
    let path = rule_file(arguments.path.as_deref())?;
    if arguments.remove {
        // The file may be gone, and its directory, too.
        let path = rules::placed(&path).unwrap_or(path);
        let was = Trusted::change(&place, |trusted| trusted.remove(&path))?;
        return context.output.answer(&Ended { path: &path, was });
    }
    let text = rules::read_rules(&path)?.ok_or_else(|| no_file(&path))?;
    let content = text.parse()?;
    let before = Trusted::load(&place)?;
    let changed = before.of(&text.path).is_some() && !before.holds(&text);
    Trusted::change(&place, |trusted| trusted.add(&text))?;
    let rules = content.rules.0.iter();
    let rules = rules.map(|(pattern, name)| (pattern.to_string(), name));
    context.output.answer(&Begun {
        path: &text.path,
        changed,
        all: content.all.as_ref(),
        rules: rules.collect(),
    })
}

/// The rule file that is meant, by its absolute path.
fn rule_file(path: Option<&Path>) -> Result<PathBuf, Error> {
    let Some(path) = path else {
        let directory = rules::current_directory()?;
        return rules::nearest(&directory).ok_or_else(|| no_file(&directory.join(FILE_NAME)));
    };
    let path = std::path::absolute(path).map_err(|error| {
        let path = escape(&path.to_string_lossy());
        Error::new(Kind::Usage, format!("{path}: {error}"))
    })?;
    Ok(match path.is_dir() {
        true => path.join(FILE_NAME),
        false => path,
    })
}

fn no_file(path: &Path) -> Error {
    let path = escape(&path.to_string_lossy());
    Error::new(Kind::Usage, format!("there is no rule file {path}"))
        .hint("`hfd use NAME` makes one for this directory")
}

/// Trusts a rule file that hfd itself has just written, where it still holds that; one that it has removed
/// is not trusted any more.
pub(super) fn own(path: &Path, content: &str, context: &Context) -> Result<(), Error> {
    let place = context.env.place()?;
    let change = match rules::read_rules(path)? {
        Some(text) if text.content == content => Trusted::change(&place, |all| all.add(&text)),
        _ => {
            let path = rules::placed(path).unwrap_or_else(|_| path.to_owned());
            Trusted::change(&place, |all| all.remove(&path))
        }
    };
    change.map(drop)
}

#[derive(Serialize)]
struct Begun<'a> {
    path: &'a Path,
    /// Whether it was trusted as it was before.
    changed: bool,
    #[serde(rename = "use")]
    all: Option<&'a TokenName>,
    rules: Vec<(String, &'a TokenName)>,
}

impl Answer for Begun<'_> {
    fn human(&self, page: &mut Page) {
        let path = escape(&self.path.to_string_lossy());
        let now = if self.changed {
            "trusted again, as it is now"
        } else {
            "trusted"
        };
        page.line(&format!("{path} is {now}:"));
        if let Some(name) = &self.all {
            page.line(&format!("  here and below: {}", name.escaped()));
        }
        for (pattern, name) in &self.rules {
            page.line(&format!("  {pattern}: {}", name.escaped()));
        }
    }
}

#[derive(Serialize)]
struct Ended<'a> {
    path: &'a Path,
    was: bool,
}

impl Answer for Ended<'_> {
    fn human(&self, page: &mut Page) {
        let path = escape(&self.path.to_string_lossy());
        page.line(&match self.was {
            true => format!("{path} is not trusted any more."),
            false => format!("{path} was not trusted."),
        });
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Files<'a>(Vec<File<'a>>);

#[derive(Serialize)]
struct File<'a> {
    path: &'a Path,
    as_it_is: bool,
}

impl Answer for Files<'_> {
    fn human(&self, page: &mut Page) {
        for file in &self.0 {
            let path = escape(&file.path.to_string_lossy());
            let changed = if file.as_it_is {
                ""
            } else {
                "  (changed since, so it does not count)"
            };
            page.line(&format!("{path}{changed}"));
        }
        if self.0.is_empty() {
            page.line("No rule file is trusted.");
        }
    }
}
