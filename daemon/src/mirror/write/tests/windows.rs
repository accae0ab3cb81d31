//! Programs that keep others from a file, and exchanges that fail half-way.

use std::cell::Cell;
use std::os::windows::fs::OpenOptionsExt as _;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_DISK_FULL, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION,
    ERROR_UNABLE_TO_MOVE_REPLACEMENT, ERROR_UNABLE_TO_MOVE_REPLACEMENT_2,
    ERROR_UNABLE_TO_REMOVE_REPLACED,
};
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, FILE_SHARE_WRITE};

use super::*;

thread_local! {
    /// What the system says, and how many times.
    static SAYS: Cell<(u32, usize)> = const { Cell::new((0, 0)) };
}

fn said() -> Option<io::Error> {
    let (code, times) = SAYS.get();
    let left = times.checked_sub(1)?;
    SAYS.set((code, left));
    Some(io::Error::from_raw_os_error(code.cast_signed()))
}

/// Refuses, and leaves both names as they are.
fn refusing() -> Kernel {
    Kernel {
        replace: |target, new, aside| match said() {
            Some(error) => Err(error),
            None => (Kernel::REAL.replace)(target, new, aside),
        },
        ..Kernel::REAL
    }
}

/// Gets half-way.
fn half_way() -> Kernel {
    Kernel {
        replace: |target, new, aside| match said() {
            Some(error) => std::fs::rename(target, aside).and(Err(error)),
            None => (Kernel::REAL.replace)(target, new, aside),
        },
        ..Kernel::REAL
    }
}

const PASSING: [u32; 5] = [
    ERROR_SHARING_VIOLATION,
    ERROR_LOCK_VIOLATION,
    ERROR_ACCESS_DENIED,
    ERROR_UNABLE_TO_REMOVE_REPLACED,
    ERROR_UNABLE_TO_MOVE_REPLACEMENT,
];

#[test]
fn what_is_refused_for_a_while_is_done_then() {
    for code in PASSING {
        let place = Place::full();
        // Well within the shortest wait, on a machine that sleeps too long, too.
        SAYS.set((code, 2));
        let new = both(TWO, "hf_two");
        let written = write_by(&place.home, &new, &place.look(), late(), refusing()).unwrap();
        assert!(written.displaced.is_none() && !written.left_behind);
        assert_eq!(place.get("stored_tokens").as_deref(), Some(TWO));
        assert_eq!(place.get("token").as_deref(), Some("hf_two"));
        assert_eq!(place.ours(), [""; 0], "{code}");
    }
}

#[test]
fn what_is_refused_for_ever_is_said_in_time_and_nothing_is_changed() {
    for code in PASSING.into_iter().chain([ERROR_DISK_FULL]) {
        let place = Place::full();
        SAYS.set((code, usize::MAX));
        let (new, seen) = (both(TWO, "hf_two"), place.look());
        let began = Instant::now();
        let error = write_by(&place.home, &new, &seen, late(), refusing()).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(2), "{code}");
        match code {
            ERROR_ACCESS_DENIED | ERROR_DISK_FULL => assert!(
                matches!(&error, WriteError::Io { source, .. }
                    if source.raw_os_error() == Some(code.cast_signed())),
                "{error}"
            ),
            _ => assert!(matches!(error, WriteError::Busy(_)), "{error}"),
        }
        assert_eq!(place.get("stored_tokens").as_deref(), Some(ONE));
        assert_eq!(place.get("token").as_deref(), Some("hf_one"));
        assert_eq!(place.ours(), [""; 0], "{code}");
    }
}

#[test]
fn what_was_half_done_is_undone_and_tried_again() {
    for times in [1, 3] {
        let place = Place::full();
        SAYS.set((ERROR_UNABLE_TO_MOVE_REPLACEMENT_2, times));
        let new = both(TWO, "hf_two");
        let written = write_by(&place.home, &new, &place.look(), late(), half_way()).unwrap();
        assert!(written.displaced.is_none() && !written.left_behind);
        assert_eq!(place.get("stored_tokens").as_deref(), Some(TWO));
        assert_eq!(place.get("token").as_deref(), Some("hf_two"));
        assert_eq!(place.ours(), [""; 0]);
    }
}

#[test]
fn what_is_half_done_each_time_is_undone_at_the_end() {
    // Whatever the system says of it.
    for code in [
        ERROR_UNABLE_TO_MOVE_REPLACEMENT_2,
        ERROR_UNABLE_TO_MOVE_REPLACEMENT,
        ERROR_DISK_FULL,
    ] {
        let place = Place::full();
        SAYS.set((code, usize::MAX));
        let seen = place.look();
        write_by(&place.home, &both(TWO, "hf_two"), &seen, late(), half_way()).unwrap_err();
        assert_eq!(place.get("stored_tokens").as_deref(), Some(ONE));
        assert_eq!(place.get("token").as_deref(), Some("hf_one"));
        assert_eq!(place.ours(), [""; 0]);
    }
}

#[test]
fn what_cannot_be_undone_now_is_at_the_next_look() {
    for (new, target, before) in [
        (stored(TWO), "stored_tokens", ONE),
        (token("hf_two"), "token", "hf_one"),
    ] {
        let place = Place::full();
        SAYS.set((ERROR_UNABLE_TO_MOVE_REPLACEMENT_2, 1));
        let kernel = Kernel {
            rename: |_, _, _| Err(io::ErrorKind::PermissionDenied.into()),
            ..half_way()
        };
        let outcome = write_by(&place.home, &new, &place.look(), late(), kernel);
        assert!(matches!(outcome, Err(WriteError::Busy(_))), "{outcome:?}");
        assert_eq!((place.get(target), place.ours().len()), (None, 2));
        let found = leftovers(&place.home).unwrap().found;
        assert_eq!(found.len(), 1);
        found.into_iter().for_each(Displaced::discard);
        assert_eq!(place.get(target).as_deref(), Some(before));
        assert_eq!(place.ours(), [""; 0]);
    }
}

#[test]
fn what_a_tool_has_made_meanwhile_stays() {
    let place = Place::full();
    let kernel = Kernel {
        replace: |target, _, aside| {
            std::fs::rename(target, aside)?;
            std::fs::write(target, "hf_tool")?;
            let code = ERROR_UNABLE_TO_MOVE_REPLACEMENT_2.cast_signed();
            Err(io::Error::from_raw_os_error(code))
        },
        ..Kernel::REAL
    };
    let seen = place.look();
    let outcome = write_by(&place.home, &token("hf_two"), &seen, late(), kernel);
    assert!(matches!(outcome, Err(WriteError::Busy(_))), "{outcome:?}");
    let found = leftovers(&place.home).unwrap().found;
    let mut tokens: Vec<_> = found.iter().map(|it| token_in(&it.observation)).collect();
    tokens.sort();
    assert_eq!(tokens, [Some("hf_one".into()), Some("hf_two".into())]);
    found.into_iter().for_each(Displaced::discard);
    assert_eq!(place.get("token").as_deref(), Some("hf_tool"));
    assert_eq!(place.ours(), [""; 0]);
}

/// As Python opens it: nobody may replace or remove it meanwhile.
fn opened_by_python(path: &Path) -> std::fs::File {
    OpenOptions::new()
        .read(true)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        .open(path)
        .unwrap()
}

#[test]
fn a_file_that_python_has_open_is_replaced_when_it_lets_go() {
    for (new, target, after) in [
        (stored(TWO), "stored_tokens", Some(TWO)),
        (token("hf_two"), "token", Some("hf_two")),
        (no_token(), "token", None),
    ] {
        let place = Place::full();
        let seen = place.look();
        let held = opened_by_python(&place.path(target));
        let began = Instant::now();
        let written = std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(40));
                drop(held);
            });
            place.write(&new, &seen).unwrap()
        });
        assert!(began.elapsed() >= Duration::from_millis(40));
        assert!(written.displaced.is_none() && !written.left_behind);
        assert_eq!(place.get(target).as_deref(), after);
        assert_eq!(place.ours(), [""; 0]);
    }
}

#[test]
fn a_file_that_is_never_let_go_stays_as_it_is_and_is_said_to_be_in_use() {
    for (new, target, before) in [
        (stored(TWO), "stored_tokens", ONE),
        (token("hf_two"), "token", "hf_one"),
        (no_token(), "token", "hf_one"),
    ] {
        let place = Place::full();
        let seen = place.look();
        let held = opened_by_python(&place.path(target));
        let outcome = place.write(&new, &seen);
        let Err(WriteError::Busy(path)) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(path, place.path(target));
        drop(held);
        assert_eq!(place.get(target).as_deref(), Some(before));
        assert_eq!(place.ours(), [""; 0]);
        place.write(&new, &place.look()).unwrap();
    }
}

#[test]
fn a_file_that_is_being_removed_is_absent_when_it_is_gone() {
    let place = Place::full();
    let path = place.path("token");
    let held = OpenOptions::new().read(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let seen = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            drop(held);
        });
        place.look()
    });
    assert_eq!(seen.observation.token, TokenFile::Absent);
}
