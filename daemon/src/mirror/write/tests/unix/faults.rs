//! File systems that lack something, or fail.

use std::cell::Cell;

use rustix::io::Errno;

use super::*;

fn no_exchange(from: &Path, to: &Path, flags: RenameFlags) -> rustix::io::Result<()> {
    match flags.is_empty() {
        true => rename(from, to, flags),
        false => Err(Errno::INVAL),
    }
}

#[test]
fn without_exchange_a_rename_is_told_of() {
    let place = Place::full();
    let kernel = Kernel {
        rename: no_exchange,
        ..Kernel::REAL
    };
    let seen = place.look();
    let written = write_by(&place.home, &both(TWO, "hf_two"), &seen, late(), kernel).unwrap();
    assert!(written.plainly);
    assert_eq!(place.get("token").as_deref(), Some("hf_two"));
    // What is absent is made by a link, or that failing by a rename.
    for link in [Kernel::REAL.link, |_, _| Err(Errno::PERM.into())] {
        let place = Place::new();
        let kernel = Kernel { link, ..kernel };
        write_by(&place.home, &token("hf_two"), &place.look(), late(), kernel).unwrap();
        assert_eq!(place.get("token").as_deref(), Some("hf_two"));
        assert!(place.ours().is_empty());
    }
}

#[test]
fn without_leases_what_was_displaced_is_read_at_once() {
    let place = Place::full();
    let kernel = Kernel {
        lease: |_, _, _| Err(Refused::Unsupported),
        ..Kernel::REAL
    };
    let written = write_by(&place.home, &token("hf_two"), &place.look(), late(), kernel).unwrap();
    assert!(written.plainly);
    assert!(place.ours().is_empty());
}

fn mount_point(_: &Path, _: &Path, _: RenameFlags) -> rustix::io::Result<()> {
    Err(Errno::BUSY)
}

#[test]
fn a_mount_point_is_written_in_place() {
    let place = Place::full();
    let kernel = Kernel {
        rename: mount_point,
        ..Kernel::REAL
    };
    let inode = place.path("token").metadata().unwrap().ino();
    for (new, then) in [
        (
            token("hf_much_longer_than_before"),
            "hf_much_longer_than_before",
        ),
        (token("hf_two"), "hf_two"),
        (no_token(), ""),
    ] {
        let written = write_by(&place.home, &new, &place.look(), late(), kernel).unwrap();
        assert!(!written.plainly);
        assert_eq!(place.get("token").as_deref(), Some(then));
    }
    assert_eq!(place.path("token").metadata().unwrap().ino(), inode);
    assert!(place.ours().is_empty());
}

#[test]
fn in_place_nothing_is_written_while_somebody_has_the_file_open() {
    let place = Place::full();
    let kernel = Kernel {
        rename: mount_point,
        ..Kernel::REAL
    };
    let reader = File::open(place.path("token")).unwrap();
    let outcome = write_by(&place.home, &token("hf_two"), &place.look(), soon(), kernel);
    assert!(matches!(outcome, Err(WriteError::Busy(_))));
    drop(reader);
    assert_eq!(place.get("token").as_deref(), Some("hf_one"));
}

#[test]
fn in_place_a_full_disk_leaves_what_was_there() {
    let place = Place::full();
    let kernel = Kernel {
        rename: mount_point,
        // Growing fails, and so does the first write of other content, half done.
        put: |file, bytes, offset| match bytes.starts_with(b"hf_one") {
            true => (Kernel::REAL.put)(file, bytes, offset),
            false => {
                (Kernel::REAL.put)(file, &bytes[..1], offset)?;
                Err(Errno::NOSPC.into())
            }
        },
        ..Kernel::REAL
    };
    for new in ["hf_two_which_is_longer", "xx"] {
        let outcome = write_by(&place.home, &token(new), &place.look(), late(), kernel);
        let Err(WriteError::Io { path, source }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(path, place.path("token"));
        assert_eq!(source.raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(place.get("token").as_deref(), Some("hf_one"));
    }
    assert!(place.ours().is_empty());
}

/// The daemon is killed after the first write in place: nothing more of it happens.
fn cut_off(new: &str) -> Place {
    thread_local! {
        static PUTS: Cell<usize> = const { Cell::new(0) };
    }
    PUTS.set(0);
    let place = Place::full();
    let kernel = Kernel {
        rename: mount_point,
        put: |file, bytes, offset| {
            PUTS.set(PUTS.get() + 1);
            match PUTS.get() {
                1 => (Kernel::REAL.put)(file, bytes, offset),
                _ => Err(Errno::IO.into()),
            }
        },
        ..Kernel::REAL
    };
    let outcome = write_by(&place.home, &token(new), &place.look(), late(), kernel);
    assert!(outcome.is_err());
    assert_ne!(place.get("token").as_deref(), Some(new));
    assert_ne!(place.get("token").as_deref(), Some("hf_one"));
    place
}

#[test]
fn what_was_cut_off_in_place_is_completed_before_it_is_read() {
    let place = cut_off("hf_two_which_is_longer");
    let [copy] = &place.ours()[..] else {
        panic!("{:?}", place.ours())
    };
    assert!(copy.starts_with(".hfd-i-t-"), "{copy}");
    // Not while somebody has it open; and until then nobody takes it for an edit.
    let reader = File::open(place.path("token")).unwrap();
    assert!(matches!(leftovers(&place.home), Err(WriteError::Busy(_))));
    drop(reader);
    assert!(leftovers(&place.home).unwrap().found.is_empty());
    assert_eq!(
        place.get("token").as_deref(),
        Some("hf_two_which_is_longer")
    );
    assert!(place.ours().is_empty());
}

#[test]
fn what_a_tool_wrote_over_something_that_was_cut_off_stays() {
    for edit in ["hf_a_tools_own", "hf_one", ""] {
        let place = cut_off("hf_two_which_is_longer");
        place.put("token", edit);
        assert!(leftovers(&place.home).unwrap().found.is_empty());
        assert_eq!(place.get("token").as_deref(), Some(edit));
        assert!(place.ours().is_empty());
    }
}

#[test]
fn an_error_of_any_call_leaves_old_or_new_and_nothing_about() {
    for errno in [Errno::NOSPC, Errno::ROFS, Errno::IO, Errno::DQUOT] {
        thread_local! {
            static CALLS: Cell<usize> = const { Cell::new(0) };
            static FAILS: Cell<(usize, i32)> = const { Cell::new((0, 0)) };
        }
        fn turn() -> std::io::Result<()> {
            let (fails, errno) = FAILS.get();
            CALLS.set(CALLS.get() + 1);
            match CALLS.get() == fails {
                true => Err(std::io::Error::from_raw_os_error(errno)),
                false => Ok(()),
            }
        }
        let kernel = Kernel {
            rename: |from, to, flags| {
                turn().map_err(|_| Errno::from_raw_os_error(FAILS.get().1))?;
                rename(from, to, flags)
            },
            flush: |file| turn().and_then(|()| (Kernel::REAL.flush)(file)),
            ..Kernel::REAL
        };
        // Two flushes, two exchanges, one directory: more calls there are not.
        for call in 1..=6 {
            let place = Place::full();
            CALLS.set(0);
            FAILS.set((call, errno.raw_os_error()));
            let new = both(TWO, "hf_two");
            let outcome = write_by(&place.home, &new, &place.look(), late(), kernel);
            // The flush of a directory is not worth failing for.
            assert_eq!(outcome.is_ok(), call >= 5, "call {call}: {outcome:?}");
            let stored = place.get("stored_tokens").unwrap();
            assert_eq!(stored, if call <= 3 { ONE } else { TWO });
            let token = place.get("token").unwrap();
            assert_eq!(token, if call <= 4 { "hf_one" } else { "hf_two" });
            assert!(place.ours().is_empty());
            assert!(CALLS.get() <= 5);
        }
    }
}
