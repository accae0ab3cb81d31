//! On Credential Manager itself, and with processes that are killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::*;

/// They take turns: a sweep is of all items, and Wine's CredEnumerate reads beyond what it has counted where another
/// thread or process writes meanwhile.
static TURN: Mutex<()> = Mutex::new(());

fn emptied() -> Keychain {
    let keychain = Keychain::open().unwrap();
    for id in keychain.ids().unwrap() {
        if id.starts_with(ID) {
            keychain.delete(&id).unwrap();
        }
    }
    keychain
}

#[test]
fn a_cut_leaves_the_old_value_or_the_new() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for (old, new) in [
        (1, 2_561),
        (2_559, 40_000),
        (2_560, 2_561),
        (2_561, 2_560),
        (40_000, 2_559),
        (40_000, 40_000),
    ] {
        cut_after_any_step(emptied, old, new);
    }
    assert_eq!(items_of(&emptied()), 0);
}

/// After how many changes another run of this program waits to be killed, and what it was to write.
const CHILD: &str = "HFD_TEST_CUT";

/// What is said when it does.
const HERE: &str = "here";

/// Lets so many changes happen; before the next one it waits for ever.
struct Waits {
    items: Keychain,
    left: Cell<usize>,
}

impl Waits {
    fn take(&self) {
        let Some(left) = self.left.get().checked_sub(1) else {
            println!("\n{HERE}");
            std::io::stdout().flush().unwrap();
            loop {
                std::thread::park();
            }
        };
        self.left.set(left);
    }
}

impl Items for Waits {
    type Error = keyring_core::Error;

    fn get(&self, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Self::Error> {
        self.items.get(id)
    }

    fn set(&self, id: &str, value: &[u8]) -> Result<(), Self::Error> {
        self.take();
        self.items.set(id, value)
    }

    fn delete(&self, id: &str) -> Result<bool, Self::Error> {
        self.take();
        self.items.delete(id)
    }

    fn ids(&self) -> Result<Vec<String>, Self::Error> {
        self.items.ids()
    }
}

#[test]
fn a_process_killed_between_two_items_leaves_the_old_value_or_the_new() {
    if let Ok(what) = std::env::var(CHILD) {
        let numbers: Vec<usize> = what.split(' ').map(|it| it.parse().unwrap()).collect();
        let items = Waits {
            items: Keychain::open().unwrap(),
            left: Cell::new(numbers[0]),
        };
        let new = value(b'b', numbers[1]);
        Chunked::new(items, WINDOWS_LIMIT).set(ID, &new).unwrap();
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for (old_length, new_length, steps) in [
        (2_559, 2_560, 1),
        (2_560, 2_561, 3),
        (2_561, 40_000, 19),
        (40_000, 2_561, 19),
        (40_000, 2_559, 17),
    ] {
        let (old, new) = (value(b'a', old_length), value(b'b', new_length));
        let mut became_new = 0;
        for cut in 0..steps {
            let keychain = emptied();
            Cut::after(&keychain, usize::MAX).set(ID, &old).unwrap();
            killed_after(cut, new_length);
            let found = read(&keychain);
            assert!(found.as_ref() == Some(&old) || found.as_ref() == Some(&new));
            became_new += usize::from(found.as_ref() == Some(&new));
            Cut::after(&keychain, usize::MAX).sweep().unwrap();
            assert!(read(&keychain) == found, "{old_length} {new_length} {cut}");
            let length = found.map_or(0, |found| found.len());
            let items = match length.div_ceil(WINDOWS_LIMIT) {
                1 => 1,
                parts => 1 + parts,
            };
            assert_eq!(
                items_of(&keychain),
                items,
                "{old_length} {new_length} {cut}"
            );
        }
        // The new one stands from its header, or its only item, on.
        let removals = match old_length.div_ceil(WINDOWS_LIMIT) {
            1 => 0,
            parts => parts,
        };
        assert_eq!(became_new, removals, "{old_length} {new_length}");
    }
    assert_eq!(items_of(&emptied()), 0);
}

/// Another process writes, and is killed after so many changes.
fn killed_after(changes: usize, length: usize) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["a_process_killed_between_two_items", "--nocapture"])
        .env(CHILD, format!("{changes} {length}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap() == HERE));
    child.kill().unwrap();
    child.wait().unwrap();
}
