//! Where Homebrew keeps programs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::spawn;

/// The hfdd beside this program, by a path that outlives an upgrade.
pub(super) fn neighbour() -> Option<PathBuf> {
    spawn::neighbour().map(lasting)
}

/// Homebrew removes the directory of a version with the next upgrade or soon after, and a service that
/// names it would start nothing any more. Its link is named instead, where it leads to the same file.
fn lasting(program: PathBuf) -> PathBuf {
    let Ok(real) = fs::canonicalize(&program) else {
        return program;
    };
    match linked(&real) {
        Some(link) if fs::canonicalize(&link).is_ok_and(|leads_to| leads_to == real) => link,
        _ => program,
    }
}

/// `PREFIX/opt/FORMULA/…` of `PREFIX/Cellar/FORMULA/VERSION/…`: a link to the version in use, which every
/// installation has (Homebrew's *Formula Cookbook*, `opt_prefix`), linked into `PREFIX/bin` or not.
fn linked(program: &Path) -> Option<PathBuf> {
    let cellar = program
        .ancestors()
        .find(|directory| directory.ends_with("Cellar"))?;
    let mut inside = program.strip_prefix(cellar).ok()?.components();
    let (formula, _version) = (inside.next()?, inside.next()?);
    let link = cellar.with_file_name("opt").join(formula);
    Some(link.join(inside.as_path()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_version_in_the_cellar_has_a_link_in_opt() {
        for (program, link) in [
            (
                "/opt/homebrew/Cellar/hfd/1.2.3/bin/hfdd",
                Some("/opt/homebrew/opt/hfd/bin/hfdd"),
            ),
            (
                "/home/linuxbrew/.linuxbrew/Cellar/hfd/HEAD-1a2b3c4/bin/hfdd",
                Some("/home/linuxbrew/.linuxbrew/opt/hfd/bin/hfdd"),
            ),
            (
                "/usr/local/Cellar/hfd@1/1.0_1/bin/hfdd",
                Some("/usr/local/opt/hfd@1/bin/hfdd"),
            ),
            ("/opt/homebrew/bin/hfdd", None),
            ("/opt/homebrew/Caskroom/hfd/1.2.3/hfdd", None),
            ("/usr/bin/hfdd", None),
            ("/Cellar/hfdd", None),
        ] {
            assert_eq!(linked(program.as_ref()), link.map(PathBuf::from));
        }
    }

    #[test]
    fn the_link_is_named_where_it_leads_to_this_program() {
        let prefix = tempfile::tempdir().unwrap();
        let prefix = fs::canonicalize(prefix.path()).unwrap();
        let program = |version: &str| prefix.join("Cellar/hfd").join(version).join("bin/hfdd");
        for version in ["1.0", "2.0"] {
            fs::create_dir_all(program(version).parent().unwrap()).unwrap();
            fs::write(program(version), version).unwrap();
        }
        assert_eq!(lasting(program("1.0")), program("1.0"));
        fs::create_dir(prefix.join("opt")).unwrap();
        symlink("../Cellar/hfd/1.0", prefix.join("opt/hfd")).unwrap();
        let link = prefix.join("opt/hfd/bin/hfdd");
        assert_eq!(lasting(program("1.0")), link);
        assert_eq!(lasting(program("2.0")), program("2.0"));
        // On macOS a program knows the path by which it was called.
        fs::create_dir(prefix.join("bin")).unwrap();
        let called = prefix.join("bin/hfdd");
        symlink("../Cellar/hfd/1.0/bin/hfdd", &called).unwrap();
        assert_eq!(lasting(called), link);
        assert_eq!(lasting(prefix.join("none")), prefix.join("none"));
    }
}
