//! Tools that write at the same time.

use std::cell::Cell;
use std::sync::{Arc, Barrier};

use super::*;

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
                    // What a tool has open for too long, on a busy machine, lies aside below. As the engine does, which takes it up at once.
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
        let aside = leftovers(&place.home).unwrap().found;
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
