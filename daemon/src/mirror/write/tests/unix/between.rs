//! What happens between the last look and the exchange: a kernel that does something else first.

use std::cell::Cell;

use super::*;

thread_local! {
    static HERE: Cell<Option<PathBuf>> = const { Cell::new(None) };
}

/// Where the file of the test is, said once.
fn here() -> Option<PathBuf> {
    HERE.take()
}

#[test]
fn a_file_removed_before_the_exchange_is_not_raised() {
    let place = Place::full();
    HERE.set(Some(place.path("token")));
    let kernel = Kernel {
        rename: |from, to, flags| {
            if let Some(path) = here() {
                std::fs::remove_file(path).unwrap();
            }
            rename(from, to, flags)
        },
        ..Kernel::REAL
    };
    let seen = place.look();
    let outcome = write_by(&place.home, &token("hf_two"), &seen, late(), kernel);
    assert!(matches!(outcome, Err(WriteError::Moved)));
    assert_eq!(place.get("token"), None);
    assert!(place.ours().is_empty());
}

#[test]
fn a_file_made_before_ours_is_left() {
    let place = Place::new();
    HERE.set(Some(place.path("token")));
    let kernel = Kernel {
        rename: |from, to, flags| {
            if let Some(path) = here() {
                std::fs::write(path, "hf_tool").unwrap();
            }
            rename(from, to, flags)
        },
        ..Kernel::REAL
    };
    let seen = place.look();
    let outcome = write_by(&place.home, &token("hf_two"), &seen, late(), kernel);
    assert!(matches!(outcome, Err(WriteError::Moved)));
    assert_eq!(place.get("token").as_deref(), Some("hf_tool"));
}

#[test]
fn an_edit_before_the_exchange_is_displaced_and_handed_over() {
    for new in [token("hf_two"), no_token()] {
        let place = Place::full();
        HERE.set(Some(place.path("token")));
        let kernel = Kernel {
            rename: |from, to, flags| {
                if let Some(path) = here() {
                    std::fs::write(path, "hf_tool").unwrap();
                }
                rename(from, to, flags)
            },
            ..Kernel::REAL
        };
        let seen = place.look();
        let written = write_by(&place.home, &new, &seen, late(), kernel).unwrap();
        let displaced = written.displaced.unwrap();
        assert_eq!(token_in(&displaced.observation).as_deref(), Some("hf_tool"));
        assert_eq!(displaced.observation.stored, seen.observation.stored);
        assert_eq!(place.ours().len(), 1);
        displaced.discard();
        assert!(place.ours().is_empty());
    }
}

#[test]
fn after_a_displaced_edit_of_stored_tokens_token_is_not_written() {
    let place = Place::full();
    HERE.set(Some(place.path("stored_tokens")));
    let kernel = Kernel {
        rename: |from, to, flags| {
            if let Some(path) = here() {
                std::fs::write(path, "[tool]\nhf_token = hf_tool\n").unwrap();
            }
            rename(from, to, flags)
        },
        ..Kernel::REAL
    };
    let new = both(TWO, "hf_two");
    let written = write_by(&place.home, &new, &place.look(), late(), kernel).unwrap();
    let Stored::Sections(sections) = written.displaced.unwrap().observation.stored else {
        panic!("no sections")
    };
    assert_eq!(sections[0].name, "tool");
    assert_eq!(place.get("token").as_deref(), Some("hf_one"));
}

#[test]
fn what_cannot_be_taken_up_is_put_back() {
    // Content that does not parse, and a link that was a file before.
    for make in [
        |path: &Path| std::fs::write(path, "[a]\nb\n").unwrap(),
        |path: &Path| {
            std::fs::remove_file(path).unwrap();
            symlink("elsewhere", path).unwrap();
        },
    ] {
        thread_local! {
            static MAKE: Cell<Option<fn(&Path)>> = const { Cell::new(None) };
        }
        let place = Place::full();
        HERE.set(Some(place.path("stored_tokens")));
        MAKE.set(Some(make));
        let kernel = Kernel {
            rename: |from, to, flags| {
                if let (Some(path), Some(make)) = (here(), MAKE.take()) {
                    make(&path);
                }
                rename(from, to, flags)
            },
            ..Kernel::REAL
        };
        let outcome = write_by(&place.home, &stored(TWO), &place.look(), late(), kernel);
        assert!(matches!(outcome, Err(WriteError::Moved)));
        assert_ne!(place.get("stored_tokens").as_deref(), Some(TWO));
        assert!(place.ours().is_empty());
    }
}
