//! How a command fails: the text or JSON on stderr, and the exit status.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use hfd_proto::{Error, Kind, escape};
use serde::Serialize;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It did not do what it was asked to.
    Error {
        error: Error,
        /// The status to end with: that of the error's kind, but `exec` has two of its own.
        status: u8,
    },
    /// Whoever read stdout has gone (`hfd list | head -1`) and has what it wanted.
    ReaderGone,
    /// The program that was run has ended with this status; it has said itself what there was to
    /// say.
    Ended(i32),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = error.kind.exit_status();
        Self::Error { error, status }
    }
}

impl Failure {
    /// Whether something was locked.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(self, Self::Error { error, .. } if error.kind == Kind::Locked)
    }
}

/// Says on stderr what went wrong.
pub(crate) fn report(failure: &Failure, json: bool) -> ExitCode {
    let (error, status) = match failure {
        Failure::Error { error, status } => (error, status),
        Failure::ReaderGone => return ExitCode::SUCCESS,
        Failure::Ended(status) => return crate::os::exit_code(*status),
    };
    let text = if json {
        document(error)
    } else {
        let colour = std::io::stderr().is_terminal() && crate::output::colours_wanted();
        sentence(error, colour)
    };
    // Nothing is left to do when stderr cannot be written either.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(*status)
}

/// Answers a command line that clap refused, or that asked it for help or the version.
pub(crate) fn usage(refusal: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !refusal.use_stderr() {
        // Help and version: a closed stdout is no concern of theirs.
        let _ = refusal.print();
        return ExitCode::SUCCESS;
    }
    // Whatever follows `--` belongs to another program.
    let mut ours = arguments.iter().take_while(|argument| *argument != "--");
    if ours.any(|argument| argument == "--json") {
        let message = without_tokens(&first_sentence(&refusal.to_string()));
        let error = Error::new(Kind::Usage, message).hint("`hfd help` shows how it is used");
        return report(&error.into(), true);
    }
    let styled = refusal.render();
    let text = match std::io::stderr().is_terminal() && crate::output::colours_wanted() {
        true => styled.ansi().to_string(),
        false => styled.to_string(),
    };
    let _ = std::io::stderr().write_all(without_tokens(&text).as_bytes());
    ExitCode::from(Kind::Usage.exit_status())
}

/// clap repeats what it does not understand, and that may be a token (`hfd login hf_…`), which
/// must not end up in somebody's log.
fn without_tokens(text: &str) -> String {
    let is_inside = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("hf_") {
        let (before, from) = rest.split_at(start);
        let end = from.find(|character| !is_inside(character));
        let (word, after) = from.split_at(end.unwrap_or(from.len()));
        kept.push_str(before);
        // Shorter words are options and file names.
        kept.push_str(if word.len() >= 12 { "hf_****" } else { word });
        rest = after;
    }
    kept + rest
}

fn document(error: &Error) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        error: Body<'a>,
    }
    /// As the contract has it: a missing hint is null, not absent.
    #[derive(Serialize)]
    struct Body<'a> {
        kind: Kind,
        message: &'a str,
        hint: Option<&'a str>,
    }
    let body = Body {
        kind: error.kind,
        message: &error.message,
        hint: error.hint.as_deref(),
    };
    let mut text = serde_json::to_string(&Document { error: body }).unwrap_or_default();
    text.push('\n');
    text
}

fn sentence(error: &Error, colour: bool) -> String {
    let (red, cyan, plain) = if colour {
        ("\u{1b}[1;31m", "\u{1b}[36m", "\u{1b}[0m")
    } else {
        ("", "", "")
    };
    let mut text = format!("{red}error{plain}: {}\n", escape(&error.message));
    if let Some(hint) = &error.hint {
        text.push_str(&format!("{cyan}hint{plain}: {}\n", escape(hint)));
    }
    text
}

/// clap's message without its prefix, its usage and its own hints, which are meant for the eye.
fn first_sentence(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let paragraph = message.split("\n\n").next().unwrap_or(message);
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_sentence_and_a_recommendation() {
        let error = Error::new(Kind::NoSuchToken, "there is no token `a\u{1b}[2J`")
            .hint("`hfd list` shows what there is");
        assert_eq!(
            sentence(&error, false),
            "error: there is no token `a\\u{1b}[2J`\nhint: `hfd list` shows what there is\n"
        );
        assert_eq!(
            sentence(&Error::new(Kind::Other, "m"), true),
            "\u{1b}[1;31merror\u{1b}[0m: m\n"
        );
    }

    #[test]
    fn an_error_as_json_always_has_its_three_keys() {
        assert_eq!(
            document(&Error::new(Kind::TimedOut, "the store does not answer")),
            "{\"error\":{\"kind\":\"timed-out\",\"message\":\"the store does not answer\",\
             \"hint\":null}}\n"
        );
    }

    #[test]
    fn a_misplaced_token_is_not_repeated() {
        assert_eq!(
            without_tokens("unexpected 'hf_abcdefghijkl' found, hf_home, hf_"),
            "unexpected 'hf_****' found, hf_home, hf_"
        );
    }

    #[test]
    fn a_refusal_of_clap_shrinks_to_one_sentence() {
        let refusal = crate::cli::parse(&["hfd".into(), "login".into(), "--nope".into()]);
        assert_eq!(
            first_sentence(&refusal.unwrap_err().to_string()),
            "unexpected argument '--nope' found"
        );
    }
}
