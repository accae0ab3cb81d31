//! What is told of a write: a line for each token, with its cause.

use hfd_core::model::Change;
use hfd_core::reconcile::Occasion;
use hfd_proto::Mode;

use super::world::{World, home, sections};

fn asked(world: &mut World) -> String {
    world.sync_as(Occasion::Asked).told()
}

#[test]
fn a_login_is_added_and_a_switch_activates() {
    let mut world = World::agreed("a=A");
    world.login("b", "B");
    assert_eq!(asked(&mut world), "b: Added");
    world.switch("b");
    assert_eq!(asked(&mut world), "b: Activated");
    world.login("c", "C");
    world.switch("c");
    assert_eq!(asked(&mut world), "c: Activated", "one line for one login");
}

#[test]
fn a_newer_value_replaces_the_old_one_in_both_files() {
    let mut world = World::agreed("a=A b=B");
    world.login("a", "A2");
    assert_eq!(asked(&mut world), "a: Replaced");
    world.stored = Some(sections("a=A b=B"));
    assert_eq!(world.sync().told(), "a: Replaced", "a stale writer");
}

#[test]
fn a_logout_and_another_name_take_a_section_out() {
    let mut world = World::agreed("a=A b=B c=C");
    world.logout("b");
    assert_eq!(asked(&mut world), "b: LoggedOut");
    world.rename("c", "d");
    assert_eq!(asked(&mut world), "c: Renamed, d: Added");
    world.logout("a");
    assert_eq!(asked(&mut world), "a: LoggedOut");
    assert_eq!(world.token, None);
}

#[test]
fn a_bare_token_that_is_logged_out_leaves_the_token_file() {
    let mut world = World::new(Mode::Files);
    world.token = Some("hf_A".to_owned());
    world.sync();
    let name = world.mirror().active.clone().unwrap();
    world.logout(name.as_str());
    let told = asked(&mut world);
    assert_eq!(told, format!("{}: LoggedOut", name.escaped()));
}

#[test]
fn refresh_tokens_leave_and_come_back() {
    let mut world = World::agreed("a=A+R@9 b=B");
    for (withhold, told) in [(true, "a: Withheld"), (false, "a: HandedBack")] {
        world.index.apply(Change::Withhold { withhold });
        assert_eq!(asked(&mut world), told);
    }
    world.stored = Some(sections("a=A+R b=B"));
    assert_eq!(asked(&mut world), "a: Completed");
}

#[test]
fn a_lock_and_a_mode_hide_and_show() {
    let mut world = World::agreed("a=A b=B");
    world.index.apply(Change::Lock { locked: true });
    assert_eq!(asked(&mut world), "a: Locked, b: Locked");
    world.index.apply(Change::Lock { locked: false });
    assert_eq!(asked(&mut world), "a: Activated, b: Added");
    let (home, mode) = (home(), Mode::ActiveOnly);
    world.index.apply(Change::Manage { home, mode });
    assert_eq!(asked(&mut world), "b: NotShown");
}

#[test]
fn what_went_in_no_shape_of_a_logout_is_put_back() {
    let mut world = World::agreed("a=A b=B");
    world.stored = Some(String::new());
    assert_eq!(world.sync().told(), "a: PutBack, b: PutBack");
}
