//! What a mode shows, and files that cannot be read.

use hfd_core::reconcile::{Held, Occasion};
use hfd_proto::Mode;

use super::world::{World, sections};

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
fn a_second_value_is_not_kept_where_it_is_about_to_be_replaced() {
    let mut world = World::new(Mode::ActiveOnly);
    for (at, value) in [("b", "B"), ("c", "C")] {
        world.login(at, value);
    }
    world.switch("c");
    world.sync();
    world.stored = Some(sections("b=C c=X"));
    world.sync();
    assert_eq!(world.tokens(), "b=B b-2=C c*=X");
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
