//! What is taken over: at the first look, and after a tool wrote.

use hfd_proto::Mode;

use super::world::{World, section, sections};

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

#[test]
fn two_names_that_swapped_their_values_need_no_third() {
    let mut world = World::agreed("a=A b=B");
    world.stored = Some(sections("a=B b=A"));
    world.sync();
    // `token` is as it was agreed, so it follows the token that was active.
    assert_eq!(world.tokens(), "a*=B b=A");
}

#[test]
fn a_value_that_moved_to_another_name_and_is_active_is_active_there() {
    let mut world = World::agreed("a=A b=B");
    world.switch("b");
    world.tool_saves("b", "X");
    world.tool_login("c", "B");
    world.sync();
    assert_eq!(world.tokens(), "a=A b=X c*=B");
}
