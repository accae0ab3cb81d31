//! The index and its changes.

use hfd_core::model::{Base, Change, Fingerprint, Index, Tombstone};
use hfd_proto::{Mode, TokenName};
use proptest::prelude::*;

use super::world::{SALT, World, home, name, print, record, value};

fn put(at: &str, text: &str) -> Change {
    Change::Put {
        name: name(at),
        record: record(text),
    }
}

fn remove(at: &str, access: &str, at_second: i64) -> Change {
    Change::Remove {
        tombstone: Tombstone {
            name: name(at),
            access: value(access),
            at: at_second,
            by: "hfd".to_owned(),
        },
    }
}

fn index(changes: impl IntoIterator<Item = Change>) -> Index {
    let mut index = World::new(Mode::Files).index;
    changes.into_iter().for_each(|change| index.apply(change));
    index
}

fn any_change() -> impl Strategy<Value = Change> {
    let names = || prop::sample::select(vec!["a", "b", "c"]);
    let values = || prop::sample::select(vec!["A", "B", "C+R@9"]);
    prop_oneof![
        3 => (names(), values()).prop_map(|(at, text)| put(at, text)),
        2 => (names(), values()).prop_map(|(at, text)| Change::Take {
            name: name(at),
            record: record(text),
        }),
        2 => (names(), values(), 0..3_i64).prop_map(|(at, text, second)| {
            remove(at, &text[..1], second)
        }),
        2 => (names(), names()).prop_map(|(old, new)| Change::Rename {
            old: name(old),
            new: name(new),
        }),
        1 => prop::sample::select(vec![Mode::Files, Mode::ActiveOnly, Mode::Off])
            .prop_map(|mode| Change::Manage { home: home(), mode }),
        1 => prop::option::of(names()).prop_map(|at| Change::Activate {
            home: home(),
            name: at.map(name),
        }),
        1 => (names(), values()).prop_map(|(at, text)| Change::Agree {
            home: home(),
            base: Base {
                sections: [(name(at), print(text))].into(),
                token: Some(value(&text[..1])),
            },
        }),
    ]
}

proptest! {
    /// A journal may be replayed over a snapshot that already has its last change.
    #[test]
    fn a_change_applied_twice_changes_nothing_more(
        changes in prop::collection::vec(any_change(), 1..40),
    ) {
        let mut index = World::new(Mode::Files).index;
        for change in changes {
            index.apply(change.clone());
            let once = index.clone();
            index.apply(change);
            prop_assert_eq!(&index, &once);
        }
    }

    #[test]
    fn the_index_survives_json(changes in prop::collection::vec(any_change(), 0..40)) {
        let index = index(changes.clone());
        let json = serde_json::to_string(&index).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Index>(&json).unwrap(), &index);
        let json = serde_json::to_string(&changes).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<Change>>(&json).unwrap(), changes);
        prop_assert!(!json.contains("hf_"), "a value in the journal");
    }

    /// A value is never both wanted and removed, or wanted and stale, under one name.
    #[test]
    fn no_token_is_stale_or_removed(changes in prop::collection::vec(any_change(), 0..40)) {
        let index = index(changes);
        for (name, record) in &index.tokens {
            let is_stone = |stone: &Tombstone| {
                stone.name == *name && stone.access == record.access
            };
            prop_assert!(!index.tombstones.iter().any(is_stone));
            let stale = index.superseded.get(name);
            prop_assert!(stale.is_none_or(|stale| !stale.contains(&record.access)));
        }
    }

    #[test]
    fn a_free_name_is_free_and_valid(
        stem in "[a-zé€]{1,80}|[a-z]{230,255}",
        taken in 0..12_usize,
    ) {
        prop_assume!(stem.len() <= 255);
        let mut index = Index::new(SALT);
        for _ in 0..taken {
            let free = index.free_name(&name(&stem));
            prop_assert!(!index.tokens.contains_key(&free));
            index.apply(Change::Put { name: free, record: record("A") });
        }
        prop_assert_eq!(index.tokens.len(), taken);
    }
}

#[test]
fn free_names_count_from_two() {
    let index = index([put("a", "A"), put("a-2", "B"), put("b-2", "C")]);
    let free: Vec<_> = ["a", "b", "a-2"]
        .map(|text| index.free_name(&name(text)))
        .to_vec();
    assert_eq!(free, [name("a-3"), name("b"), name("a-2-2")]);
}

#[test]
fn the_last_sixteen_values_that_hfd_replaced_are_stale() {
    let index = index((0..=20).map(|number| put("a", &format!("V{number}"))));
    let expected: Vec<Fingerprint> = (4..20).map(|number| value(&format!("V{number}"))).collect();
    assert_eq!(index.superseded[&name("a")], expected);
}

#[test]
fn what_a_tool_replaced_is_not_stale() {
    let take = Change::Take {
        name: name("a"),
        record: record("B"),
    };
    let index = index([put("a", "A"), take]);
    assert!(index.superseded.is_empty());
    assert_eq!(index.tokens[&name("a")].access, value("B"));
}

#[test]
fn a_value_given_again_is_not_stale_any_more() {
    let index = index([put("a", "A"), put("a", "B"), put("a", "A")]);
    assert_eq!(index.superseded[&name("a")], [value("B")]);
}

#[test]
fn a_removal_is_remembered_until_the_value_is_wanted_again() {
    let mut index = index([put("a", "A"), remove("a", "A", 1)]);
    assert!(index.tokens.is_empty());
    index.apply(put("a", "B"));
    assert_eq!(
        index.tombstones.len(),
        1,
        "another value says nothing of it"
    );
    index.apply(put("b", "A"));
    assert_eq!(index.tombstones.len(), 1, "nor does another name");
    index.apply(put("a", "A"));
    assert!(index.tombstones.is_empty());
}

#[test]
fn the_oldest_of_many_removals_is_forgotten() {
    let index = index((0..1030).map(|number| remove("a", &format!("V{number}"), number)));
    assert_eq!(index.tombstones.len(), 1024);
    assert_eq!(index.tombstones[0].at, 6);
}

#[test]
fn a_removed_token_is_active_nowhere() {
    let mut world = World::agreed("a=A b=B");
    world.logout("a");
    assert_eq!(world.tokens(), "b=B");
}

#[test]
fn a_renamed_token_stays_active_and_keeps_its_past() {
    let mut world = World::agreed("a=A b=B");
    world.login("a", "C");
    world.rename("a", "z");
    assert_eq!(world.tokens(), "b=B z*=C");
    assert_eq!(world.index.superseded[&name("z")], [value("A")]);
    world.rename("nobody", "b");
    assert_eq!(world.tokens(), "b=B z*=C", "there was nothing to rename");
}

#[test]
fn what_was_logged_out_under_the_new_name_stays_logged_out() {
    let mut world = World::agreed("a=A b=B");
    world.logout("b");
    world.rename("a", "b");
    assert_eq!(world.index.tombstones[0].access, value("B"));
}

#[test]
fn a_bare_token_that_is_renamed_gets_a_section() {
    let mut bare = record("A");
    bare.named = false;
    let put = Change::Put {
        name: name("unnamed-1234"),
        record: bare,
    };
    let rename = Change::Rename {
        old: name("unnamed-1234"),
        new: name("a"),
    };
    assert!(index([put, rename]).tokens[&name("a")].named);
}

#[test]
fn a_value_is_known_by_the_preferred_name_else_the_first() {
    let index = index([put("a", "A"), put("b", "A"), put("c", "C")]);
    let name_of = |preferred: &str| -> Option<TokenName> {
        index.name_of(value("A"), Some(&name(preferred))).cloned()
    };
    assert_eq!(name_of("b"), Some(name("b")));
    assert_eq!(name_of("c"), Some(name("a")));
    assert_eq!(index.name_of(value("X"), None), None);
}

#[test]
fn a_fingerprint_depends_on_the_salt_and_shows_little() {
    let secret = hfd_proto::Secret::parse("hf_A").unwrap();
    let other = hfd_core::model::Salt([8; 16]).fingerprint(&secret);
    assert_ne!(value("A"), other);
    assert_eq!(value("A"), SALT.fingerprint(&secret));
    assert_eq!(value("A").short().len(), 4);
    assert_eq!(
        format!("{:?}", value("A")),
        format!("{}…", value("A").short())
    );
}
