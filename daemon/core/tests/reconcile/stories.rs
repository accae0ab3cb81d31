//! What tools and people do to the files, and what comes of it.

use hfd_core::reconcile::{Held, Occasion};
use hfd_proto::Mode;

use super::world::{World, name, section, sections};

// The first look.

#[test]
fn what_was_there_before_hfd_is_taken_over_and_the_file_left_as_it_is() {
    let mut world = World::new(Mode::Files);
    world.stored = Some(sections("b=B+R@9 a=A"));
    world.token = Some("hf_B".to_owned());
    let outcome = world.sync();
    let plan = world.words(&outcome.first);
    assert_eq!(plan, "import a=A, import b=B+R@9, activate b");
    assert!(!outcome.wrote, "only the order differs");
    assert_eq!(world.tokens(), "a=A b*=B+R@9");
}

#[test]
fn a_token_that_no_section_names_is_kept_without_becoming_one() {
    let mut world = World::new(Mode::Files);
    world.token = Some("hf_A\n".to_owned());
    let outcome = world.sync();
    assert!(!outcome.wrote);
    let (unnamed, record) = world.index.tokens.first_key_value().unwrap();
    assert!(unnamed.as_str().starts_with("unnamed-") && !record.named);
    assert_eq!(world.mirror().active.as_ref(), Some(unnamed));
    assert_eq!(world.stored, None);
}

#[test]
fn an_empty_home_is_filled_from_the_store() {
    let mut world = World::new(Mode::Files);
    world.login("a", "A+R@9");
    world.switch("a");
    assert!(world.sync().wrote);
    assert_eq!(world.stored.unwrap(), section("a", "A+R@9"));
    assert_eq!(world.token.unwrap(), "hf_A");
}

#[test]
fn without_a_base_both_sides_are_united_and_neither_value_of_a_name_is_lost() {
    let mut world = World::agreed("a=A b=B");
    world.forget_base();
    world.stored = Some(sections("b=X c=C"));
    let outcome = world.sync();
    assert_eq!(world.words(&outcome.first), "import b-2=X, import c=C");
    assert_eq!(world.tokens(), "a*=A b=B b-2=X c=C");
}

#[test]
fn a_second_value_of_a_name_does_not_take_the_name_of_another_section() {
    let mut world = World::agreed("a=A");
    world.forget_base();
    world.stored = Some(sections("a=X a-2=Y"));
    world.sync();
    assert_eq!(world.tokens(), "a*=A a-2=Y a-3=X");
}

#[test]
fn a_second_value_that_another_name_has_is_not_copied() {
    let mut world = World::agreed("a=A b=B");
    world.forget_base();
    world.stored = Some(sections("a=B b=B"));
    world.sync();
    assert_eq!(world.tokens(), "a*=A b=B");
}

#[test]
fn a_second_value_with_a_refresh_token_that_nobody_has_is_copied() {
    let mut world = World::agreed("a=A b=B");
    world.forget_base();
    world.stored = Some(sections("a=B+R b=B"));
    world.sync();
    assert_eq!(world.tokens(), "a*=A a-2=B+R b=B");
}

// Changes by tools.

#[test]
fn a_login_by_a_tool_is_taken_over_and_made_active() {
    let mut world = World::agreed("a=A");
    world.tool_login("b", "B+R@9");
    let outcome = world.sync();
    assert_eq!(world.words(&outcome.first), "import b=B+R@9, activate b");
    assert!(!outcome.wrote);
}

#[test]
fn a_login_seen_between_its_two_writes_comes_to_the_same() {
    let mut world = World::agreed("a=A");
    world.tool_saves("b", "B");
    assert_eq!(world.sync_in_words(), "import b=B");
    assert_eq!(world.tokens(), "a*=A b=B");
    world.tool_login("b", "B");
    world.sync();
    assert_eq!(world.tokens(), "a=A b*=B");
}

#[test]
fn a_refresh_by_a_tool_seen_between_its_two_writes_keeps_the_token_active() {
    let mut world = World::agreed("a=A+R@9");
    world.tool_saves("a", "B+S@99");
    assert!(world.sync().wrote, "`token` follows its section");
    assert_eq!(world.token.as_deref(), Some("hf_B"));
    assert_eq!(world.tokens(), "a*=B+S@99");
}

#[test]
fn logging_in_with_two_accounts_of_one_name_in_turn_is_never_stale() {
    let mut world = World::agreed("read=A");
    for value in ["B", "A", "B"] {
        world.tool_login("read", value);
        world.sync();
        assert_eq!(world.tokens(), format!("read*={value}"));
    }
}

#[test]
fn a_switch_by_a_tool_is_followed() {
    let mut world = World::agreed("a=A b=B");
    world.tool_switch("b");
    assert_eq!(world.sync_in_words(), "activate b");
}

#[test]
fn one_value_under_two_names_stays_active_under_its_own() {
    let mut world = World::agreed("b=A a=A c=C");
    assert_eq!(world.tokens(), "a=A b*=A c=C");
    world.tool_switch("c");
    world.sync();
    world.tool_switch("b");
    world.sync();
    assert_eq!(world.tokens(), "a*=A b=A c=C", "a value says no name");
}

#[test]
fn what_tools_up_to_1_19_drop_is_put_back_and_nothing_is_lost() {
    let mut world = World::agreed("a=A+R@9 b=B+S");
    let before = world.stored.clone();
    world.old_tool_rewrites();
    let outcome = world.sync();
    assert_eq!(world.words(&outcome.first), "");
    assert_eq!(world.stored, before);
}

#[test]
fn other_keys_and_sections_are_written_back_as_they_are() {
    let mut world = World::agreed("a=A");
    let long = "n".repeat(300);
    let foreign = format!(
        "[a]\nhf_token = hf_A\nexpires_at = soon\nnote = mine\n\n\
         [broken]\nhf_token = two words\nexpires_at = 09\n\n\
         [{long}]\nhf_token = hf_L\nrefresh_token = hf_M\nexpires_at = 012\n\n"
    );
    world.stored = Some(foreign.clone());
    assert!(!world.sync().wrote);
    world.login("z", "Z");
    assert!(world.sync().wrote);
    assert_eq!(world.stored.unwrap(), foreign + &section("z", "Z"));
}

#[test]
fn a_value_of_the_store_takes_the_place_of_one_that_cannot_be_used() {
    let mut world = World::agreed("a=A+R@9");
    let spoilt = "[a]\nhf_token = hf_A\nrefresh_token = two words\nexpires_at = soon\nx = y\n\n";
    world.stored = Some(spoilt.to_owned());
    assert!(world.sync().wrote);
    let mended = section("a", "A+R@9").trim_end().to_owned() + "\nx = y\n\n";
    assert_eq!(world.stored.unwrap(), mended);
}

// Removals by tools.

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

/// Each differs from upstream's `logout NAME` in one thing.
#[test]
fn a_removal_in_any_other_shape_is_not_believed() {
    let shapes: [(&str, fn(&mut World)); 11] = [
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
        ("one lost its expiry", |world| {
            world.login("b", "B@9");
            world.sync();
            world.stored = Some(sections("a=A b=B"));
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

// Both files gone.

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

// Stale writers and echoes.

#[test]
fn a_value_that_hfd_replaced_does_not_come_back() {
    let mut world = World::agreed("a=A b=B");
    let old = world.stored.clone();
    world.login("a", "C");
    world.sync();
    world.stored = old;
    assert_eq!(world.sync_in_words(), "");
    assert_eq!(world.tokens(), "a*=C b=B");
}

#[test]
fn a_stale_value_made_active_makes_its_token_active() {
    let mut world = World::agreed("b=B a=A");
    world.login("a", "C");
    world.sync();
    world.token = Some("hf_A".to_owned());
    let outcome = world.sync();
    assert_eq!(world.words(&outcome.first), "activate a");
    assert_eq!(world.token.as_deref(), Some("hf_C"));
    // Once more, though it is active already.
    world.token = Some("hf_A".to_owned());
    let outcome = world.sync();
    assert_eq!(
        (world.words(&outcome.first), outcome.wrote),
        (String::new(), true)
    );
    assert_eq!(world.tokens(), "a*=C b=B");
}

#[test]
fn a_logout_by_hfd_reaches_files_that_did_not_hear_of_it() {
    let mut world = World::agreed("a=A b=B+R@9");
    world.logout("b");
    world.old_tool_rewrites();
    world.sync();
    assert_eq!(world.stored.unwrap(), sections("a=A"));
}

#[test]
fn an_active_token_that_hfd_logged_out_is_no_login_where_an_old_tool_rewrote_the_file() {
    let mut world = World::agreed("a=A+R@9 b=B");
    world.logout("a");
    world.old_tool_rewrites();
    world.sync();
    assert_eq!(world.tokens(), "b=B");
    assert_eq!(
        (world.stored.unwrap(), world.token),
        (sections("b=B"), None)
    );
}

#[test]
fn an_echo_of_a_logout_is_removed_again() {
    let mut world = World::agreed("a=A b=B");
    let old = world.stored.clone();
    world.logout("b");
    world.sync();
    world.stored = old;
    assert_eq!(world.sync_in_words(), "");
    assert_eq!(world.tokens(), "a*=A");
    assert_eq!(world.stored.unwrap(), sections("a=A"));
}

#[test]
fn an_echo_under_a_name_that_was_given_anew_changes_nothing() {
    let mut world = World::agreed("a=A b=B");
    let old = world.stored.clone();
    world.logout("b");
    world.login("b", "C");
    world.sync();
    world.stored = old;
    world.sync();
    assert_eq!(world.tokens(), "a*=A b=C");
}

#[test]
fn a_logged_out_token_made_active_is_a_new_login() {
    let mut world = World::agreed("a=A b=B+R@9");
    world.logout("b");
    world.sync();
    world.tool_login("b", "B+R@9");
    world.sync();
    assert_eq!(world.tokens(), "a=A b*=B+R@9");
    assert!(world.index.tombstones.is_empty());
}

#[test]
fn a_switch_to_a_token_while_hfd_logs_it_out_is_a_new_login_with_all_it_had() {
    let mut world = World::agreed("a=A b=B+R@9");
    world.logout("b");
    world.tool_switch("b");
    world.sync();
    assert_eq!(world.tokens(), "a=A b*=B+R@9");
}

#[test]
fn a_bare_value_that_was_logged_out_gets_its_name_back() {
    let mut world = World::agreed("a=A b=B");
    world.logout("b");
    world.sync();
    world.token = Some("hf_B".to_owned());
    world.sync();
    assert_eq!(world.tokens(), "a=A b*=B");
}

#[test]
fn a_renamed_token_does_not_come_back_under_its_old_name() {
    let mut world = World::agreed("a=A+R@9 b=B");
    world.rename("a", "z");
    world.old_tool_rewrites();
    world.sync();
    assert_eq!(world.tokens(), "b=B z*=A+R@9");
    assert_eq!(world.stored.unwrap(), sections("b=B z=A+R@9"));
}

// Modes.

#[test]
fn an_active_only_mirror_shows_the_active_token() {
    let mut world = World::new(Mode::ActiveOnly);
    for (at, value) in [("a", "A"), ("b", "B")] {
        world.login(at, value);
    }
    world.switch("a");
    world.sync();
    assert_eq!(world.stored.clone().unwrap(), sections("a=A"));
    world.switch("b");
    world.sync();
    assert_eq!(world.stored.clone().unwrap(), sections("b=B"));
    world.tool_login("c", "C");
    world.sync();
    assert_eq!(world.tokens(), "a=A b=B c*=C");
    assert_eq!(world.stored.clone().unwrap(), sections("c=C"));
    world.tool_logout("c");
    world.sync();
    assert_eq!(world.tokens(), "a=A b=B");
}

#[test]
fn a_mirror_that_is_off_is_not_touched() {
    let mut world = World::new(Mode::Off);
    world.stored = Some(sections("x=X"));
    world.login("a", "A");
    world.switch("a");
    let outcome = world.sync_as(Occasion::Asked);
    assert_eq!(outcome.first, Default::default());
    assert_eq!(
        (world.stored.unwrap(), world.token),
        (sections("x=X"), None)
    );
}

// Files that cannot be read.

#[test]
fn a_file_that_does_not_parse_is_left_as_it_is() {
    let mut world = World::agreed("a=A b=B");
    world.stored = Some("rubbish".to_owned());
    world.login("c", "C");
    world.switch("c");
    let outcome = world.sync();
    assert_eq!(outcome.held, Some(Held::Unreadable));
    assert_eq!(world.stored.as_deref(), Some("rubbish"));
    assert_eq!(world.token.as_deref(), Some("hf_C"), "`token` is well");
}

#[test]
fn a_login_that_wipes_a_broken_file_loses_nothing() {
    let mut world = World::agreed("a=A b=B");
    world.stored = Some("rubbish".to_owned());
    world.sync();
    // Looks like a logout of b.
    world.tool_login("a", "A");
    let outcome = world.sync();
    assert_eq!(world.words(&outcome.first), "");
    assert_eq!(world.stored.unwrap(), sections("a=A b=B"));
}

#[test]
fn a_token_file_that_is_no_token_is_left_until_there_is_another_to_write() {
    let mut world = World::agreed("a=A b=B");
    world.token = Some("two words".to_owned());
    let outcome = world.sync();
    assert_eq!(
        (outcome.held, outcome.wrote),
        (Some(Held::Unreadable), false)
    );
    assert_eq!(world.tokens(), "a*=A b=B");
    world.switch("b");
    world.sync();
    assert_eq!(world.token.as_deref(), Some("hf_B"));
}
