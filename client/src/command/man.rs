//! `hfd man`

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man;
use hfd_proto::{Error, Kind, escape};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, cli};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to write them; made if it is missing
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let directory = arguments.directory.as_path();
    let pages = pages().map_err(|error| cannot_write(directory, &error))?;
    write(directory, &pages).map_err(|error| cannot_write(directory, &error))?;
    context.output.answer(&Written {
        directory,
        pages: pages.into_iter().map(|page| page.file).collect(),
    })
}

struct ManPage {
    file: String,
    roff: Vec<u8>,
}

fn write(directory: &Path, pages: &[ManPage]) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    pages
        .iter()
        .try_for_each(|page| std::fs::write(directory.join(&page.file), &page.roff))
}

fn cannot_write(directory: &Path, error: &io::Error) -> Error {
    let directory = directory.display();
    Error::new(
        Kind::Other,
        format!("cannot write into {directory}: {error}"),
    )
}

/// One page for `hfd` and one for every command.
fn pages() -> io::Result<Vec<ManPage>> {
    let mut command = cli::definition().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let mut waiting = vec![command];
    while let Some(command) = waiting.pop() {
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        waiting.extend(shown.cloned());
        pages.push(page(command)?);
    }
    pages.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(pages)
}

fn page(command: clap::Command) -> io::Result<ManPage> {
    let after = command.get_after_help().map(ToString::to_string);
    let has_commands = command.has_subcommands();
    let man = Man::new(command);
    let mut roff = Vec::new();
    man.render_title(&mut roff)?;
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    man.render_options_section(&mut roff)?;
    if has_commands {
        man.render_subcommands_section(&mut roff)?;
    }
    if let Some(after) = after {
        notes_and_examples(&after, &mut roff)?;
    }
    exit_status(&mut roff)?;
    Ok(ManPage {
        file: man.get_filename(),
        roff,
    })
}

fn notes_and_examples(after: &str, roff: &mut Vec<u8>) -> io::Result<()> {
    let (notes, examples) = after.split_once("Examples:\n").unwrap_or((after, ""));
    if !notes.trim().is_empty() {
        writeln!(roff, ".SH NOTES\n{}", literal(notes.trim()))?;
    }
    if !examples.is_empty() {
        writeln!(
            roff,
            ".SH EXAMPLES\n.nf\n{}\n.fi",
            literal(examples.trim_end())
        )?;
    }
    Ok(())
}

/// The one table of exit statuses, [`Kind`], as a section.
fn exit_status(roff: &mut Vec<u8>) -> io::Result<()> {
    writeln!(roff, ".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\ndone")?;
    for kind in Kind::ALL {
        let (status, meaning) = (kind.exit_status(), literal(kind.meaning()));
        writeln!(roff, ".TP\n\\fB{status}\\fR\n{meaning}")?;
    }
    Ok(())
}

/// Text in which roff sees no escape, no control line and no typographic dash (groff_char(7)).
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = escaped
        .lines()
        .map(|line| match line.starts_with(['.', '\'']) {
            true => format!("\\&{line}"),
            false => line.to_owned(),
        });
    lines.collect::<Vec<String>>().join("\n")
}

#[derive(Serialize)]
struct Written<'a> {
    directory: &'a Path,
    pages: Vec<String>,
}

impl Answer for Written<'_> {
    fn human(&self, page: &mut Page) {
        let directory = escape(&self.directory.to_string_lossy());
        page.line(&format!("{} pages in {directory}", self.pages.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_the_exit_statuses() {
        let pages = pages().unwrap();
        let page = |file: &str| {
            let page = pages.iter().find(|page| page.file == file).unwrap();
            String::from_utf8(page.roff.clone()).unwrap()
        };
        assert!(page("hfd.1").contains("SUBCOMMANDS"));
        assert!(page("hfd-service-logs.1").contains("\\fB15\\fR"));
        let login = page("hfd-login.1");
        assert!(login.contains(".SH EXAMPLES") && login.contains("with\\-token"));
        for kind in Kind::ALL {
            assert!(login.contains(&format!("\\fB{}\\fR", kind.exit_status())));
        }
        assert!(pages.iter().all(|page| !page.file.contains("-help")));
    }

    #[test]
    fn text_cannot_become_a_request_of_roff() {
        assert_eq!(literal(".so x\n'y\na\\b"), "\\&.so x\n\\&'y\na\\eb");
    }
}
