//! Whether a tool is still at work: how young the last change is, and what else happens around the
//! two files.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hfd_proto::Home;

use super::file;

/// How long ago the files, or what stands in their directory, changed. A clock that was set back
/// makes everything old: then nothing is waited for.
pub fn age(home: &Home) -> Duration {
    let stored = home.token_path.with_file_name("stored_tokens");
    let directory = home.token_path.parent().unwrap_or(Path::new("/"));
    let paths = [&home.token_path, stored.as_path(), directory];
    let changed = paths
        .into_iter()
        .filter_map(|path| std::fs::metadata(path).ok()?.modified().ok());
    match changed
        .max()
        .map(|last| SystemTime::now().duration_since(last))
    {
        Some(Ok(age)) => age,
        _ => Duration::MAX,
    }
}

/// What tells a directory from another one at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Directory {
    /// File system and number.
    number: (u64, u64),
    /// Where the number of a directory that was removed is soon used again.
    born: Option<SystemTime>,
}

/// The directory; nothing where there is none.
pub fn directory(home: &Home) -> Option<Directory> {
    let directory = home.token_path.parent().unwrap_or(Path::new("/"));
    let found = std::fs::metadata(directory).ok()?;
    Some(Directory {
        number: file::number(directory, &found),
        born: file::born(&found),
    })
}

/// What identifies a directory and everything in it but the two files and what belongs to them: it
/// differs when something was removed there, or in a directory below.
pub fn surroundings(home: &Home) -> u64 {
    let directory = home.token_path.parent().unwrap_or(Path::new("/"));
    let mut hasher = DefaultHasher::new();
    self::directory(home).hash(&mut hasher);
    let ours = ["stored_tokens", "stored_tokens.lock"];
    let mut entries: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let is_ours = ours.iter().any(|ours| name == *ours)
                || Some(name.as_os_str()) == home.token_path.file_name()
                || name.to_string_lossy().starts_with(".hfd-");
            !is_ours
        })
        .map(|entry| {
            let found = entry.metadata().ok();
            (entry.file_name(), found.as_ref().map(file::trace))
        })
        .collect();
    entries.sort();
    entries.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_beside_the_files_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home {
            token_path: dir.path().join("token"),
        };
        std::fs::create_dir_all(dir.path().join("hub/models--a")).unwrap();
        let before = surroundings(&home);
        for ours in ["token", "stored_tokens", "stored_tokens.lock", ".hfd-1"] {
            std::fs::write(dir.path().join(ours), "x").unwrap();
            assert_eq!(surroundings(&home), before, "{ours}");
        }
        std::fs::remove_dir(dir.path().join("hub/models--a")).unwrap();
        let after = surroundings(&home);
        assert_ne!(after, before);
        std::fs::remove_dir(dir.path().join("hub")).unwrap();
        assert_ne!(surroundings(&home), after);
        drop(dir);
        assert_ne!(surroundings(&home), before);
    }

    #[test]
    fn what_was_just_written_is_young_and_a_clock_that_was_set_back_makes_old() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home {
            token_path: dir.path().join("token"),
        };
        let at = |moment| {
            let file = std::fs::File::create(&home.token_path).unwrap();
            file.set_modified(moment).unwrap();
            age(&home)
        };
        assert!(at(SystemTime::now()) < Duration::from_secs(60));
        assert_eq!(
            at(SystemTime::now() + Duration::from_secs(3600)),
            Duration::MAX
        );
    }
}
