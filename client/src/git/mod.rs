//! git's credential helper, and what has git ask it.
//!
//! git writes what it wants a password for to the standard input of a helper, which answers on its
//! standard output or not at all (gitcredentials(7), git-credential(1)). Whatever goes wrong is no
//! answer: git then does what it does without hfd. The helper asks nobody anything and waits for at
//! most a second.

mod attributes;
pub(crate) mod config;
mod helper;

use std::ffi::OsString;

pub(crate) use helper::run;

/// The name by which git finds a helper.
pub(crate) const PROGRAM: &str = "git-credential-hfd";

/// What git asks for, where it is git that asks: read without clap, since it happens twice or more in
/// every `git push`. An operation of a git to come is one that does nothing, as git wants it.
pub(crate) fn operation(arguments: &[OsString]) -> Option<&OsString> {
    let operation = match arguments {
        [program, operation] if is_helper(program) => operation,
        [_, git, credential, operation] if git == "git" && credential == "credential" => operation,
        _ => return None,
    };
    // A person asks for help.
    (!operation.as_encoded_bytes().starts_with(b"-")).then_some(operation)
}

/// `hfd token` pays for this, too, so it is no path that is taken apart.
fn is_helper(program: &OsString) -> bool {
    let program = program.as_encoded_bytes();
    let program = program.strip_suffix(b".exe").unwrap_or(program);
    let before = program.strip_suffix(PROGRAM.as_bytes());
    before.is_some_and(|before| matches!(before.last(), None | Some(b'/' | b'\\')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Option<String> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let operation = operation(&arguments);
        operation.map(|operation| operation.to_string_lossy().into_owned())
    }

    #[test]
    fn it_is_git_that_asks() {
        assert_eq!(asked("git-credential-hfd get").as_deref(), Some("get"));
        assert_eq!(
            asked("/x/git-credential-hfd erase").as_deref(),
            Some("erase")
        );
        assert_eq!(
            asked("/x/git-credential-hfd.exe get").as_deref(),
            Some("get")
        );
        assert_eq!(asked("hfd git credential store").as_deref(), Some("store"));
        for other in [
            "hfd git credential",
            "hfd git credential --help",
            "hfd git setup",
            "hfd token get",
            "git-credential-hfd",
            "git-credential-hfd --help",
            "/x/my-git-credential-hfd get",
        ] {
            assert_eq!(asked(other), None, "{other}");
        }
    }
}
