//! Which removals by tools are believed.

use hfd_core::reconcile::{Doubt, Held, Occasion};

use super::world::{World, name, sections};

#[test]
fn a_logout_by_a_tool_is_believed() {
    let mut world = World::agreed("a=A b=B");
    world.tool_logout("b");
    let outcome = world.sync();
    assert_eq!(world.words(&outcome.first), "remove b");
    assert_eq!(world.index.tombstones[0].name, name("b"));
    world.tool_logout("a");
    assert_eq!(world.sync_in_words(), "remove a, log out");
    assert_eq!(world.tokens(), "");
    assert_eq!((world.stored.as_deref(), world.token), (Some(""), None));
}

/// Versions up to 1.19 of huggingface_hub keep nothing but the access tokens when they write.
#[test]
fn a_logout_by_an_old_tool_that_drops_refresh_tokens_and_expiries_is_believed() {
    let mut world = World::agreed("a=A+R@9 b=B@9 c=C");
    world.stored = Some(sections("a=A b=B"));
    assert_eq!(world.sync_in_words(), "remove c");
    assert_eq!(world.tokens(), "a*=A+R@9 b=B@9");
    assert_eq!(world.stored.unwrap(), sections("a=A+R@9 b=B@9"));
}

#[test]
fn both_files_gone_for_good_is_a_logout_from_everything() {
    let mut world = World::agreed("a=A b=B");
    world.tool_logout_all();
    assert_eq!(world.sync().doubt, Some(Doubt::BothGone));
    // What came by another mirror meanwhile is none of it.
    world.login("c", "C");
    let outcome = world.sync_as(Occasion::Settled);
    assert_eq!(world.words(&outcome.first), "remove a, remove b");
    assert_eq!((outcome.held, outcome.doubt), (None, None));
    assert_eq!(world.tokens(), "c=C");
    assert_eq!(world.index.tombstones.len(), 2);
}

/// Each differs from upstream's `logout NAME` in one thing.
#[test]
fn a_removal_in_any_other_shape_is_not_believed() {
    type Act = fn(&mut World);
    let shapes: [(&str, Act); 11] = [
        ("two are gone", |world| {
            world.stored = Some(sections("a=A"));
        }),
        ("all are gone", |world| world.stored = Some(String::new())),
        ("the file is gone", |world| world.stored = None),
        ("one came", |world| {
            world.stored = Some(sections("a=A b=B d=D"));
        }),
        ("one changed", |world| {
            world.stored = Some(sections("a=A b=X"));
        }),
        ("one of two lost its expiry", |world| {
            world.login("a", "A@8");
            world.login("b", "B@9");
            world.sync();
            world.stored = Some(sections("a=A@8 b=B"));
        }),
        ("the active one went, `token` did not", |world| {
            world.stored = Some(sections("b=B c=C"));
        }),
        ("`token` went, another one was active", |world| {
            world.tool_logout("c");
            world.token = None;
        }),
        ("`token` changed", |world| {
            world.tool_logout("c");
            world.token = Some("hf_B".to_owned());
        }),
        ("`token` cannot be read", |world| {
            world.tool_logout("a");
            world.token = Some("two words".to_owned());
        }),
        ("it is there, without its value", |world| {
            world.stored = Some(sections("a=A b=B") + "[c]\nhf_token =\n");
        }),
    ];
    for (shape, act) in shapes {
        let mut world = World::agreed("a=A b=B c=C");
        act(&mut world);
        let outcome = world.sync();
        assert!(outcome.first.removals.is_empty(), "{shape}");
        for token in ["a", "b", "c"] {
            assert!(world.index.tokens.contains_key(&name(token)), "{shape}");
            assert!(world.look_for(token), "{shape}: {token} is put back");
        }
    }
}

#[test]
fn a_removal_of_what_hfd_has_just_changed_is_not_believed() {
    let mut world = World::agreed("a=A b=B");
    world.login("b", "C");
    world.tool_logout("b");
    world.sync();
    assert_eq!(world.tokens(), "a*=A b=C");
}

#[test]
fn when_hfd_is_asked_it_writes_and_believes_no_removal() {
    let mut world = World::agreed("a=A b=B");
    world.tool_logout("b");
    world.token = None;
    let outcome = world.sync_as(Occasion::Asked);
    assert_eq!(world.words(&outcome.first), "");
    assert_eq!(world.tokens(), "a*=A b=B");
    assert_eq!(world.file_as_base(), world.view());
}

#[test]
fn when_hfd_is_asked_what_a_tool_brought_is_taken_over_all_the_same() {
    let mut world = World::agreed("a=A b=B");
    world.tool_login("c", "C");
    world.sync_as(Occasion::Asked);
    assert_eq!(world.tokens(), "a=A b=B c*=C");
}

#[test]
fn only_token_gone_is_logged_out() {
    let mut world = World::agreed("a=A b=B");
    world.token = None;
    assert_eq!(world.sync_in_words(), "log out");
    assert_eq!(world.tokens(), "a=A b=B");
}

#[test]
fn after_both_files_went_nothing_is_lost_and_nothing_put_back_until_asked() {
    let mut world = World::agreed("a=A b=B");
    world.tool_logout_all();
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.held, Some(Held::BothGone));
        assert!(!outcome.wrote);
    }
    assert_eq!(world.tokens(), "a=A b=B");
    // `hfd switch a`, and the same token as before.
    world.switch("a");
    world.sync_as(Occasion::Asked);
    assert_eq!(world.tokens(), "a*=A b=B");
    assert_eq!(world.stored.unwrap(), sections("a=A b=B"));
    assert_eq!(world.token.unwrap(), "hf_A");
}

#[test]
fn a_login_after_both_files_went_removes_nothing_even_seen_half_way() {
    for value in ["A", "X"] {
        for half_way in [false, true] {
            let mut world = World::agreed("b=B a=A");
            world.tool_logout_all();
            world.sync();
            if half_way {
                world.tool_saves("a", value);
                world.sync();
            }
            world.tool_login("a", value);
            world.sync();
            let expected = format!("a*={value} b=B");
            assert_eq!(world.tokens(), expected, "half-way: {half_way}");
        }
    }
}

#[test]
fn logging_in_again_with_the_token_that_was_active_makes_it_active() {
    let mut world = World::agreed("a=A");
    world.tool_logout_all();
    world.sync();
    world.tool_login("a", "A");
    world.sync();
    assert_eq!(world.tokens(), "a*=A");
    assert_eq!(world.token.as_deref(), Some("hf_A"));
}
