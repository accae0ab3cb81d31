//! `hfd man`

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man;
use hfd_proto::{Error, Kind, VERSION, escape};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::{Context, cli, time};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to write them; made if it is missing
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let directory = arguments.directory.as_path();
    // Who makes a package that can be made again says when it was (reproducible-builds.org).
    let epoch = context.env.text("SOURCE_DATE_EPOCH");
    let epoch = epoch.and_then(|epoch| epoch.trim().parse().ok());
    let date = time::day(epoch.unwrap_or_else(time::now), &TimeZone::UTC);
    let pages = pages(&date).map_err(|error| cannot_write(directory, &error))?;
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
fn pages(date: &str) -> io::Result<Vec<ManPage>> {
    let mut command = cli::definition().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let mut waiting = vec![command];
    while let Some(command) = waiting.pop() {
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        waiting.extend(shown.cloned());
        pages.push(page(command, date)?);
    }
    pages.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(pages)
}

fn page(command: clap::Command, date: &str) -> io::Result<ManPage> {
    let after = command.get_after_help().map(ToString::to_string);
    let has_commands = command.has_subcommands();
    let man = Man::new(command);
    let file = man.get_filename();
    let title = file.trim_end_matches(".1").to_ascii_uppercase();
    let man = man.title(title).date(date).source(format!("hfd {VERSION}"));
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
    let roff = folded(&String::from_utf8_lossy(&roff)).into_bytes();
    Ok(ManPage { file, roff })
}

/// What mandoc(1) finds fault with, mended: running text in lines that are not too long and end with a word,
/// no break beside a space between paragraphs. What is shown as it stands stays so.
fn folded(roff: &str) -> String {
    let (mut text, mut as_it_is) = (String::with_capacity(roff.len()), false);
    let lines: Vec<&str> = roff.lines().collect();
    for (at, &line) in lines.iter().enumerate() {
        let beside = [at.checked_sub(1), Some(at + 1)];
        let mut beside = beside.into_iter().flatten().filter_map(|at| lines.get(at));
        let is_space = |line: &str| line.trim_end().is_empty() || line == ".sp";
        if line == ".br" && beside.any(|line| is_space(line)) {
            continue;
        }
        let line = match line.trim_end() {
            _ if as_it_is => line,
            "" => ".sp",
            line => line,
        };
        as_it_is = (as_it_is || line == ".nf") && line != ".fi";
        let mut column = 0;
        for (index, word) in line.split(' ').enumerate() {
            // A line that began with one of these would be a request.
            let may_begin =
                !as_it_is && !line.starts_with('.') && !word.starts_with(['.', '\'', ' ']);
            if index > 0 && may_begin && !word.is_empty() && column + 1 + word.len() > 78 {
                text.push('\n');
                column = 0;
            } else if index > 0 {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += word.len();
        }
        text.push('\n');
    }
    text
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
        let pages = pages("2026-11-24").unwrap();
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
    fn running_text_is_folded_and_examples_are_not() {
        let long = ["word"; 40].join(" ");
        let page = folded(&format!("{long}\n.nf\n{long}\n.fi\n.TH {long}\n"));
        let lines: Vec<&str> = page.lines().collect();
        assert!(lines[..3].iter().all(|line| line.len() <= 78), "{page}");
        assert_eq!(lines[lines.len() - 3], long);
        assert_eq!(page.split_whitespace().count(), 3 * 40 + 3);
    }

    #[test]
    fn text_cannot_become_a_request_of_roff() {
        assert_eq!(literal(".so x\n'y\na\\b"), "\\&.so x\n\\&'y\na\\eb");
    }
}
