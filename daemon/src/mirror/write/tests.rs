//! Writing, with real files and real writers.

mod halfway;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fs::OpenOptions;
use std::time::Duration;

use hfd_core::observe::{Observation, TokenFile};

use super::super::leftover::{leftovers, sweep};
use super::super::observe::observe;
use super::*;

const ONE: &str = "[one]\nhf_token = hf_one\n\n";
const TWO: &str = "[two]\nhf_token = hf_two\n\n";

struct Place {
    _temporary: tempfile::TempDir,
    directory: PathBuf,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("home");
        file::make_directory(&directory).unwrap();
        let token_path = directory.join("token");
        Self {
            _temporary: temporary,
            directory,
            home: Home { token_path },
        }
    }

    /// With both files in it.
    fn full() -> Self {
        let place = Self::new();
        place.put("stored_tokens", ONE);
        place.put("token", "hf_one");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn put(&self, name: &str, content: &str) {
        let path = self.path(name);
        if !path.exists() {
            file::create(&path).unwrap();
        }
        std::fs::write(path, content).unwrap();
    }

    fn get(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path(name)).ok()
    }

    fn look(&self) -> Seen {
        observe(&self.home).unwrap()
    }

    fn write(&self, new: &NewFiles, seen: &Seen) -> Result<Written, WriteError> {
        write(&self.home, new, seen, late())
    }

    /// Files of ours that lie about.
    fn ours(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".hfd-")).collect()
    }
}

fn late() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(30)
}

fn bytes(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn stored(text: &str) -> NewFiles {
    NewFiles {
        stored: Some(bytes(text)),
        ..NewFiles::default()
    }
}

fn token(text: &str) -> NewFiles {
    NewFiles {
        token: Some(Some(bytes(text))),
        ..NewFiles::default()
    }
}

fn no_token() -> NewFiles {
    NewFiles {
        token: Some(None),
        ..NewFiles::default()
    }
}

fn both(stored: &str, token: &str) -> NewFiles {
    NewFiles {
        stored: Some(bytes(stored)),
        token: Some(Some(bytes(token))),
        ..NewFiles::default()
    }
}

fn token_in(observation: &Observation) -> Option<String> {
    match &observation.token {
        TokenFile::Value(secret) => Some(secret.expose().to_owned()),
        _ => None,
    }
}

#[test]
fn both_files_are_written_and_nothing_is_left_about() {
    let place = Place::full();
    let written = place.write(&both(TWO, "hf_two"), &place.look()).unwrap();
    assert_eq!(place.get("stored_tokens").as_deref(), Some(TWO));
    assert_eq!(place.get("token").as_deref(), Some("hf_two"));
    assert!(written.displaced.is_none() && !written.left_behind);
    assert!(!written.plainly && !written.shared_with_group);
    assert_eq!(written.stamps, stamps(&place.home));
    assert!(place.ours().is_empty());
}

#[test]
fn what_is_absent_is_made_with_its_directory() {
    let place = Place::new();
    let home = Home {
        token_path: place.path("a/b/token"),
    };
    let seen = observe(&home).unwrap();
    write(&home, &both(ONE, "hf_one"), &seen, late()).unwrap();
    assert_eq!(place.get("a/b/token").as_deref(), Some("hf_one"));
    assert_eq!(place.get("a/b/stored_tokens").as_deref(), Some(ONE));
}

#[test]
fn files_that_changed_since_the_look_are_left() {
    let place = Place::full();
    let seen = place.look();
    place.put("token", "hf_edited");
    let outcome = place.write(&both(TWO, "hf_two"), &seen);
    assert!(matches!(outcome, Err(WriteError::Moved)));
    assert_eq!(place.get("stored_tokens").as_deref(), Some(ONE));
    assert_eq!(place.get("token").as_deref(), Some("hf_edited"));
    assert!(place.ours().is_empty());
}

#[test]
fn a_token_is_removed() {
    let place = Place::full();
    let written = place.write(&no_token(), &place.look()).unwrap();
    assert!(written.displaced.is_none());
    assert_eq!(place.get("token"), None);
    assert!(place.ours().is_empty());
    // And once more where there is none.
    place.write(&no_token(), &place.look()).unwrap();
}

#[test]
fn a_held_lock_keeps_stored_tokens_as_it_is_and_token_needs_none() {
    let place = Place::full();
    let held = lock::take(&place.path("stored_tokens.lock"), late()).unwrap();
    let outcome = write(&place.home, &stored(TWO), &place.look(), soon());
    assert!(matches!(outcome, Err(WriteError::Busy(_))));
    assert_eq!(place.get("stored_tokens").as_deref(), Some(ONE));
    assert!(place.ours().is_empty());
    write(&place.home, &token("hf_two"), &place.look(), soon()).unwrap();
    drop(held);
    place.write(&stored(TWO), &place.look()).unwrap();
}

#[test]
fn a_writer_that_has_it_open_is_waited_for() {
    let place = Place::full();
    let seen = place.look();
    let mut writer = OpenOptions::new()
        .write(true)
        .open(place.path("token"))
        .unwrap();
    let written = std::thread::scope(|scope| {
        let written = scope.spawn(|| place.write(&token("hf_two"), &seen));
        // Exchanged: the writer's file has one of our names.
        while place.get("token").as_deref() != Some("hf_two") {
            std::thread::yield_now();
        }
        writer.set_len(0).unwrap();
        writer.write_all(b"hf_tool").unwrap();
        drop(writer);
        written.join().unwrap().unwrap()
    });
    let displaced = written.displaced.unwrap();
    assert_eq!(token_in(&displaced.observation).as_deref(), Some("hf_tool"));
    assert!(!written.left_behind);
}

#[test]
fn what_stays_open_is_found_when_it_is_closed() {
    let place = Place::full();
    let seen = place.look();
    let mut writer = OpenOptions::new()
        .write(true)
        .open(place.path("token"))
        .unwrap();
    let written = write(&place.home, &token("hf_two"), &seen, soon()).unwrap();
    assert!(written.left_behind && written.displaced.is_none());
    let left = leftovers(&place.home).unwrap();
    assert!(left.found.is_empty() && left.open);
    assert_eq!(place.ours().len(), 1);
    writer.set_len(0).unwrap();
    writer.write_all(b"hf_tool").unwrap();
    drop(writer);
    let found = leftovers(&place.home).unwrap().found;
    let [displaced] = <[Displaced; 1]>::try_from(found).unwrap();
    assert_eq!(token_in(&displaced.observation).as_deref(), Some("hf_tool"));
    displaced.discard();
    assert!(place.ours().is_empty());
}

#[test]
fn leftovers_of_a_kill_are_found_once_and_incomplete_files_go() {
    let place = Place::full();
    place.put(".hfd-s-0123456789abcdef", TWO);
    place.put(".hfd-t-0123456789abcdef", "hf_tool");
    place.put(".hfd-t-0123456789abcde0", "hf_one");
    place.put(".hfd-s-0123456789abcde0", "");
    place.put(".hfd-0123456789abcdef", "[torn]\nhf_tok");
    place.put(".hfd-notes", "not ours");
    let found = leftovers(&place.home).unwrap().found;
    assert_eq!(found.len(), 2);
    assert_eq!(place.ours().len(), 3);
    // Not discarded, they are there again.
    assert_eq!(leftovers(&place.home).unwrap().found.len(), 2);
    found.into_iter().for_each(Displaced::discard);
    assert_eq!(place.ours(), [".hfd-notes"]);
    sweep(&place.home);
    assert_eq!(place.ours(), [".hfd-notes"]);
}
