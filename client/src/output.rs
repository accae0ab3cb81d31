//! What a command says when it succeeds: the answer on stdout, for people or for programs, and
//! notes beside it on stderr.

use std::io::{self, IsTerminal as _, Write as _};

use hfd_proto::{Error, Kind, escape};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// An answer: as JSON what it serialises to, for a person what `human` writes.
pub(crate) trait Answer: Serialize {
    /// Writes whole lines for a person to read.
    fn human(&self, page: &mut Page);
}

/// Where answers and notes go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// For a program (`json`), or for a person, who may have asked to be spared notes (`quiet`).
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// The same, for somebody who has read the notes before.
    pub(crate) fn without_notes(self, read: bool) -> Self {
        let quiet = self.quiet || read;
        Self { quiet, ..self }
    }

    /// Whether a program reads: one document on stdout, no notes.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints the answer of a command.
    pub(crate) fn answer(self, answer: &impl Answer) -> Result<(), Failure> {
        if self.json {
            return self.json_line(answer);
        }
        let terminal = io::stdout().is_terminal();
        let mut page = Page::new(terminal && colours_wanted());
        if let Some(columns) = terminal.then(crate::os::columns).flatten() {
            page = page.on_a_terminal(columns);
        }
        answer.human(&mut page);
        print(page.text.as_bytes())
    }

    /// Prints one JSON document on a line of its own.
    pub(crate) fn json_line(self, document: &impl Serialize) -> Result<(), Failure> {
        // An answer may hold a token.
        let mut line = Zeroizing::new(Vec::with_capacity(1024));
        serde_json::to_writer(&mut *line, document).map_err(|error| cannot_write(&error))?;
        line.push(b'\n');
        print(&line)
    }

    /// Tells a person something beside the answer, one line. A program is not told.
    pub(crate) fn note(self, text: &str) {
        if !self.json && !self.quiet {
            // A note that cannot be written is not worth failing for.
            let _ = writeln!(io::stderr(), "{}", escape(text));
        }
    }
}

/// Writes to stdout.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => cannot_write(&error),
    })
}

fn cannot_write(error: &dyn std::error::Error) -> Failure {
    Error::new(Kind::Other, format!("cannot write to stdout: {error}")).into()
}

/// Whether colours are welcome on a terminal (no-color.org; a dumb terminal knows none).
pub(crate) fn colours_wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let wanted = !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    if wanted {
        crate::os::enable_colours();
    }
    wanted
}

/// Lines for a person. Text of others goes in through [`escape`].
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    colour: bool,
    columns: Option<usize>,
}

impl Page {
    pub(crate) fn new(colour: bool) -> Self {
        Self {
            text: String::new(),
            colour,
            columns: None,
        }
    }

    /// The same for a terminal of that many columns.
    pub(crate) fn on_a_terminal(self, columns: usize) -> Self {
        Self {
            columns: Some(columns),
            ..self
        }
    }

    /// How wide the terminal is, where it is one.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Adds a line `label  value`, with the values of neighbouring lines below each other.
    pub(crate) fn field(&mut self, label: &str, value: &str) {
        let label = self.bold(&format!("{label:<9}"));
        self.line(&format!("{label} {value}"));
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.styled("\u{1b}[1m", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.styled("\u{1b}[2m", text)
    }

    /// For what needs attention.
    pub(crate) fn warn(&self, text: &str) -> String {
        self.styled("\u{1b}[33m", text)
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.colour {
            format!("{style}{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// What was written so far.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// What `answer` looks like without colours.
#[cfg(test)]
pub(crate) fn shown(answer: &impl Answer) -> String {
    let mut page = Page::new(false);
    answer.human(&mut page);
    page.text
}
