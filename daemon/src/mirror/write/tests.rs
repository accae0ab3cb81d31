//! Writing, with real files and real writers.

use std::cell::Cell;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use hfd_core::observe::{Observation, Stored, TokenFile};
use rustix::fs::RenameFlags;
use rustix::io::Errno;

use super::super::lease::{self, Kind, Refused};
use super::super::observe::observe;
use super::super::{leftovers, sweep};
use super::*;

const ONE: &str = "[one]\nhf_token = hf_one\n\n";
const TWO: &str = "[two]\nhf_token = hf_two\n\n";

struct Place {
    directory: tempfile::TempDir,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        let home = Home {
            token_path: directory.path().join("token"),
        };
        Self { directory, home }
    }

    /// With both files in it.
    fn full() -> Self {
        let place = Self::new();
        place.put("stored_tokens", ONE);
        place.put("token", "hf_one");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
        std::fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
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
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
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
        token: None,
    }
}

fn token(text: &str) -> NewFiles {
    NewFiles {
        stored: None,
        token: Some(Some(bytes(text))),
    }
}

fn no_token() -> NewFiles {
    NewFiles {
        stored: None,
        token: Some(None),
    }
}

fn both(stored: &str, token: &str) -> NewFiles {
    NewFiles {
        stored: Some(bytes(stored)),
        token: Some(Some(bytes(token))),
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
    assert!(written.displaced.is_none() && !written.still_open);
    assert!(!written.plainly && !written.shared_with_group);
    assert_eq!(written.stamps, stamps(&place.home));
    assert!(place.ours().is_empty());
    let mode = place.path("token").metadata().unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
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
    let mode = place.path("a/b").metadata().unwrap().mode();
    assert_eq!(mode & 0o777, 0o700);
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
fn links_are_kept_and_followed() {
    let place = Place::full();
    std::fs::create_dir(place.path("dotfiles")).unwrap();
    std::fs::rename(place.path("token"), place.path("dotfiles/t")).unwrap();
    symlink("dotfiles/t", place.path("token")).unwrap();
    place.write(&token("hf_two"), &place.look()).unwrap();
    assert!(place.path("token").is_symlink());
    assert_eq!(place.get("dotfiles/t").as_deref(), Some("hf_two"));
    // The secret is what goes, not the link to it.
    place.write(&no_token(), &place.look()).unwrap();
    assert!(place.path("token").is_symlink());
    assert_eq!(place.get("dotfiles/t"), None);
    place.write(&token("hf_new"), &place.look()).unwrap();
    assert_eq!(place.get("dotfiles/t").as_deref(), Some("hf_new"));
}

#[test]
fn a_group_stays_let_in_and_is_told_of() {
    let place = Place::full();
    std::fs::set_permissions(place.path("token"), Permissions::from_mode(0o644)).unwrap();
    let written = place.write(&token("hf_two"), &place.look()).unwrap();
    assert!(written.shared_with_group);
    let mode = place.path("token").metadata().unwrap().mode();
    assert_eq!(mode & 0o777, 0o640);
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

// Between the last look and the exchange: a kernel that does something else first.

thread_local! {
    static HERE: Cell<Option<PathBuf>> = const { Cell::new(None) };
}

/// Where the file of the test is, said once.
fn here() -> Option<PathBuf> {
    HERE.take()
}

fn rename(from: &Path, to: &Path, flags: RenameFlags) -> rustix::io::Result<()> {
    (Kernel::REAL.rename)(from, to, flags)
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
    assert!(!written.still_open);
}

#[test]
fn what_stays_open_is_found_when_it_is_closed() {
    let place = Place::full();
    let mut writer = OpenOptions::new()
        .write(true)
        .open(place.path("token"))
        .unwrap();
    let written = write(&place.home, &token("hf_two"), &place.look(), soon()).unwrap();
    assert!(written.still_open && written.displaced.is_none());
    assert!(leftovers(&place.home).is_empty());
    assert_eq!(place.ours().len(), 1);
    writer.set_len(0).unwrap();
    writer.write_all(b"hf_tool").unwrap();
    drop(writer);
    let [displaced] = <[Displaced; 1]>::try_from(leftovers(&place.home)).unwrap();
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
    let found = leftovers(&place.home);
    assert_eq!(found.len(), 2);
    assert_eq!(place.ours().len(), 3);
    // Not discarded, they are there again.
    assert_eq!(leftovers(&place.home).len(), 2);
    found.into_iter().for_each(Displaced::discard);
    assert_eq!(place.ours(), [".hfd-notes"]);
    sweep(&place.home);
    assert_eq!(place.ours(), [".hfd-notes"]);
}

// File systems that lack something, or fail.

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

#[test]
fn a_lease_that_is_broken_ends_no_process() {
    let place = Place::full();
    let file = File::open(place.path("token")).unwrap();
    let lease = lease::take(&file, Kind::Read, late()).unwrap();
    assert!(lease.stands());
    std::thread::scope(|scope| {
        let path = place.path("token");
        let writer = scope.spawn(move || std::fs::write(path, "hf_tool").unwrap());
        while lease.stands() {
            std::thread::yield_now();
        }
        drop(lease);
        writer.join().unwrap();
    });
    assert_eq!(place.get("token").as_deref(), Some("hf_tool"));
}

/// A small generator: the offsets need not be good, only different.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Writes as huggingface_hub does: truncates, then writes, sometimes with a pause in between.
fn tool_writes(path: &Path, content: &str, pause: bool) {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    if pause {
        std::thread::sleep(Duration::from_millis(1));
    }
    file.write_all(content.as_bytes()).unwrap();
}

/// Waits without giving the processor away.
fn spin(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

thread_local! {
    /// Lets the tool go when the daemon is about to exchange, which it then does so much later.
    static GO: Cell<Option<(Arc<Barrier>, Duration)>> = const { Cell::new(None) };
}

fn tool(path: &Path, what: usize, pause: bool) {
    let remove = || drop(std::fs::remove_file(path));
    match what {
        0 => tool_writes(path, "hf_last", pause),
        1 => remove(),
        2 => {
            tool_writes(path, "hf_first", pause);
            tool_writes(path, "hf_last", false);
        }
        3 => {
            remove();
            tool_writes(path, "hf_last", pause);
        }
        _ => {
            tool_writes(path, "hf_first", pause);
            remove();
        }
    }
}

/// The experiment of reference/writing.md, shortened: a tool at a random moment around the exchange.
#[test]
fn no_write_of_a_tool_is_lost_and_nothing_removed_is_raised() {
    let kernel = Kernel {
        rename: |from, to, flags| {
            if let Some((barrier, later)) = GO.take() {
                barrier.wait();
                spin(later);
            }
            rename(from, to, flags)
        },
        ..Kernel::REAL
    };
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut displaced = 0;
    for cycle in 0..1500 {
        let place = Place::new();
        place.put("token", "hf_base");
        let path = place.path("token");
        let seen = place.look();
        let (what, pause) = (cycle % 5, random.below(5) == 0);
        // A removal by the daemon is half as frequent as a write.
        let new = match cycle % 3 {
            0 => no_token(),
            _ => token("hf_daemon"),
        };
        let mut moment = || Duration::from_micros(random.below(80));
        let (tool_later, daemon_later) = (moment(), moment());
        let barrier = Arc::new(Barrier::new(2));
        GO.set(Some((Arc::clone(&barrier), daemon_later)));
        let known = std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                spin(tool_later);
                tool(&path, what, pause);
            });
            match write_by(&place.home, &new, &seen, late(), kernel) {
                Ok(written) => {
                    assert!(!written.still_open);
                    // As the engine does, which takes it up at once.
                    written.displaced.and_then(|edit| {
                        displaced += 1;
                        let token = token_in(&edit.observation);
                        edit.discard();
                        token
                    })
                }
                Err(WriteError::Moved) => None,
                Err(error) => panic!("cycle {cycle}: {error}"),
            }
        });
        let at_last = place.get("token");
        // What could not be put back lies aside.
        let aside = leftovers(&place.home);
        let aside = aside.iter().map(|edit| token_in(&edit.observation));
        let last = Some("hf_last".to_owned());
        match what {
            1 | 4 => assert_eq!(at_last, None, "raised in cycle {cycle}"),
            _ => assert!(
                at_last == last || known == last || aside.into_iter().any(|aside| aside == last),
                "lost in cycle {cycle}: {at_last:?} {known:?}"
            ),
        }
    }
    assert!(displaced > 0, "the tool never came in between");
}
