//! On keyring-core's store in memory, by way of the same calls as on the real ones; and on Credential Manager.

#[cfg(windows)]
mod windows;

use std::cell::Cell;

use super::*;
use crate::store::native::items::Keychain;

/// Of no Hub that there is, so that no item of a person's is touched.
const ID: &str = "access:https://hub.invalid|chunks";

/// Lets so many changes happen, then none: what a process leaves that is killed there.
struct Cut<'a> {
    items: &'a Keychain,
    left: Cell<usize>,
}

impl<'a> Cut<'a> {
    fn after(items: &'a Keychain, changes: usize) -> Chunked<Self> {
        let left = Cell::new(changes);
        Chunked::new(Self { items, left }, WINDOWS_LIMIT)
    }

    fn take(&self) -> Result<(), keyring_core::Error> {
        let left = self.left.get();
        let cut = || keyring_core::Error::NoStorageAccess("killed".into());
        self.left.set(left.checked_sub(1).ok_or_else(cut)?);
        Ok(())
    }
}

impl Items for Cut<'_> {
    type Error = keyring_core::Error;

    fn get(&self, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Self::Error> {
        self.items.get(id)
    }

    fn set(&self, id: &str, value: &[u8]) -> Result<(), Self::Error> {
        self.take()?;
        self.items.set(id, value)
    }

    fn delete(&self, id: &str) -> Result<bool, Self::Error> {
        self.take()?;
        self.items.delete(id)
    }

    fn ids(&self) -> Result<Vec<String>, Self::Error> {
        self.items.ids()
    }
}

fn value(letter: u8, length: usize) -> Vec<u8> {
    let mut value = vec![letter; length];
    // Parts that change places would show.
    for (place, byte) in value.iter_mut().enumerate().step_by(100) {
        *byte = b'0' + (place / 100 % 10) as u8;
    }
    value
}

fn items_of(keychain: &Keychain) -> usize {
    let ids = keychain.ids().unwrap().into_iter();
    ids.filter(|id| id.starts_with(ID)).count()
}

fn read(keychain: &Keychain) -> Option<Vec<u8>> {
    let chunked = Cut::after(keychain, 0);
    chunked.get(ID).unwrap().map(|value| value.to_vec())
}

#[test]
fn a_value_is_cut_where_it_exceeds_the_limit_and_comes_back_whole() {
    for (length, items) in [(1, 1), (2559, 1), (2560, 1), (2561, 3), (40_000, 17)] {
        let keychain = Keychain::in_memory();
        let chunked = Cut::after(&keychain, usize::MAX);
        chunked.set(ID, &value(b'a', length)).unwrap();
        assert_eq!(items_of(&keychain), items, "{length}");
        assert_eq!(read(&keychain), Some(value(b'a', length)), "{length}");
        assert_eq!(chunked.ids().unwrap(), [ID]);
        let longest = keychain.ids().unwrap().into_iter();
        let longest = longest.map(|id| keychain.get(&id).unwrap().unwrap().len());
        assert!(longest.max() <= Some(WINDOWS_LIMIT), "{length}");
        assert!(chunked.delete(ID).unwrap() && !chunked.delete(ID).unwrap());
        assert_eq!(items_of(&keychain), 0, "{length}");
    }
}

#[test]
fn a_cut_after_any_step_leaves_the_old_value_or_the_new_and_nothing_after_a_sweep() {
    let lengths = [1, 2559, 2560, 2561, 40_000];
    for old in lengths {
        for new in lengths {
            cut_after_any_step(Keychain::in_memory, old, new);
        }
    }
}

/// A value of the one length replaced by one of the other, in a keychain that `make` makes empty.
fn cut_after_any_step(make: fn() -> Keychain, old_length: usize, new_length: usize) {
    let (old, new) = (value(b'a', old_length), value(b'b', new_length));
    let mut became_new = false;
    for cut in 0.. {
        let keychain = make();
        Cut::after(&keychain, usize::MAX).set(ID, &old).unwrap();
        let chunked = Cut::after(&keychain, cut);
        let finished = chunked.set(ID, &new).is_ok() && chunked.items.left.get() > 0;
        let found = read(&keychain);
        assert!(found.as_ref() == Some(&old) || found.as_ref() == Some(&new));
        assert!(!became_new || found.as_ref() == Some(&new), "it went back");
        became_new = found.as_ref() == Some(&new);
        Cut::after(&keychain, usize::MAX).sweep().unwrap();
        assert!(read(&keychain) == found, "{old_length} {new_length} {cut}");
        let length = found.map_or(0, |found| found.len());
        let parts = if length > WINDOWS_LIMIT {
            length.div_ceil(WINDOWS_LIMIT)
        } else {
            0
        };
        assert_eq!(
            items_of(&keychain),
            1 + parts,
            "{old_length} {new_length} {cut}"
        );
        if finished {
            break;
        }
    }
    assert!(became_new);
}

#[test]
fn a_removal_that_is_cut_leaves_all_of_it_or_nothing_after_a_sweep() {
    for cut in 0..18 {
        let keychain = Keychain::in_memory();
        let old = value(b'a', 40_000);
        Cut::after(&keychain, usize::MAX).set(ID, &old).unwrap();
        let _ = Cut::after(&keychain, cut).delete(ID);
        let expected = (cut == 0).then_some(old);
        assert_eq!(read(&keychain), expected);
        Cut::after(&keychain, usize::MAX).sweep().unwrap();
        assert_eq!(read(&keychain), expected);
        assert_eq!(items_of(&keychain), if cut == 0 { 17 } else { 0 });
    }
}

#[test]
fn a_write_over_what_a_kill_left_does_not_mix_the_two() {
    let keychain = Keychain::in_memory();
    let whole = Cut::after(&keychain, usize::MAX);
    whole.set(ID, b"short").unwrap();
    assert!(
        Cut::after(&keychain, 9)
            .set(ID, &value(b'a', 40_000))
            .is_err()
    );
    whole.set(ID, &value(b'b', 6_000)).unwrap();
    assert_eq!(read(&keychain), Some(value(b'b', 6_000)));
    whole.sweep().unwrap();
    assert_eq!(items_of(&keychain), 4);
    assert_eq!(read(&keychain), Some(value(b'b', 6_000)));
}

#[test]
fn a_missing_part_and_a_strange_header_are_damage_and_no_value() {
    let keychain = Keychain::in_memory();
    let chunked = Cut::after(&keychain, usize::MAX);
    chunked.set(ID, &value(b'a', 6_000)).unwrap();
    keychain.delete(&format!("{ID}#0.1")).unwrap();
    assert!(matches!(chunked.get(ID), Err(Fault::Damaged)));
    for strange in [
        "\0",
        "\0hfd 0 999999 9",
        "\0hfd 0 1 99999999",
        "\0hfd 0 1 1 1",
    ] {
        keychain.set(ID, strange.as_bytes()).unwrap();
        assert!(
            matches!(chunked.get(ID), Err(Fault::Damaged)),
            "{strange:?}"
        );
        chunked.set(ID, b"mended").unwrap();
        assert_eq!(read(&keychain), Some(b"mended".to_vec()));
    }
}
