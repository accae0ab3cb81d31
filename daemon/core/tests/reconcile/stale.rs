//! Values that hfd replaced or removed, brought back by a tool that did not hear of it.

use hfd_core::reconcile::{Doubt, Occasion};

use super::world::{World, sections};

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
fn an_echo_of_a_logout_is_removed_again_once_it_is_sure_to_be_one() {
    let mut world = World::agreed("a=A b=B");
    let old = world.stored.clone();
    world.logout("b");
    world.sync();
    world.stored = old.clone();
    let outcome = world.sync();
    assert_eq!(
        (world.words(&outcome.first).as_str(), outcome.wrote),
        ("", false)
    );
    assert_eq!(outcome.doubt, Some(Doubt::Echo));
    // What hfd writes meanwhile leaves it there.
    world.login("c", "C");
    world.sync();
    assert_eq!(
        world.stored.as_deref(),
        Some(sections("a=A b=B c=C").as_str())
    );
    assert_eq!(world.sync_as(Occasion::Settled).doubt, None);
    assert_eq!(world.tokens(), "a*=A c=C");
    assert_eq!(world.stored.unwrap(), sections("a=A c=C"));
}

#[test]
fn a_login_with_a_token_that_was_logged_out_is_seen_between_its_two_writes() {
    let mut world = World::agreed("a=A b=B");
    world.logout("b");
    world.sync();
    world.tool_saves("b", "B");
    assert_eq!(world.sync().doubt, Some(Doubt::Echo));
    world.tool_login("b", "B");
    world.sync();
    assert_eq!(world.tokens(), "a=A b*=B");
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

#[test]
fn what_a_token_was_before_its_logout_stays_out_too() {
    let mut world = World::agreed("a=A b=B");
    world.login("a", "C");
    world.sync();
    world.logout("a");
    world.sync();
    world.stored = Some(sections("a=A b=B"));
    world.sync_as(Occasion::Settled);
    assert_eq!(world.tokens(), "b=B");
    assert_eq!(world.stored.unwrap(), sections("b=B"));
}

#[test]
fn a_token_that_was_renamed_and_logged_out_stays_out_under_its_old_name() {
    let mut world = World::agreed("a=A b=B");
    world.rename("a", "z");
    world.sync();
    world.logout("z");
    world.sync();
    world.stored = Some(sections("a=A b=B"));
    world.sync_as(Occasion::Settled);
    assert_eq!(world.tokens(), "b=B");
    assert_eq!(world.stored.unwrap(), sections("b=B"));
}

#[test]
fn a_token_of_a_logged_out_value_that_another_name_has_is_one_more_name() {
    let mut world = World::agreed("a=A b=A");
    world.logout("a");
    world.sync();
    world.tool_saves("c", "A");
    world.sync();
    assert_eq!(world.tokens(), "b=A c=A");
}
