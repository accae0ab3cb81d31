//! What a `ReplaceFile` can leave that a kill or an error has cut off, put there as files: on every system, since
//! what is left on one must not be taken for something else on another.

use super::*;

/// Names that belong together: what waits to be put in place, and what that displaces.
const NEW: [&str; 2] = [".hfd-s-0123456789abcdef", ".hfd-t-0123456789abcdef"];
const OLD: [&str; 2] = [".hfd-s-8123456789abcdef", ".hfd-t-8123456789abcdef"];

const STORED: usize = 0;
const TOKEN: usize = 1;

/// The names of the targets, and what they held and are to hold.
const TARGETS: [&str; 2] = ["stored_tokens", "token"];
const BEFORE: [&str; 2] = [ONE, "hf_one"];
const AFTER: [&str; 2] = [TWO, "hf_two"];

/// Takes up what lies about, as the engine does: what was found, and nothing is left.
fn take_up(place: &Place) -> Vec<Observation> {
    let left = leftovers(&place.home).unwrap();
    assert!(!left.open);
    let found = left.found.into_iter().map(|displaced| {
        let observation = displaced.observation.clone();
        displaced.discard();
        observation
    });
    let found = found.collect();
    assert_eq!(place.ours(), [""; 0]);
    assert!(!super::super::super::leftover::lies_about(&place.home));
    found
}

/// What the file of that target says in what was found.
fn says(found: &[Observation], which: usize, content: &str) -> bool {
    let said = match which {
        STORED => Which::Stored,
        _ => Which::Token,
    };
    let all = |seen: &Observation| said.observation(content.as_bytes(), seen) == *seen;
    found.iter().any(all)
}

#[test]
fn before_the_first_step_the_old_file_stands_and_the_new_one_is_found() {
    for which in [STORED, TOKEN] {
        let place = Place::full();
        place.put(NEW[which], AFTER[which]);
        let found = take_up(&place);
        assert!(says(&found, which, AFTER[which]));
        assert_eq!(place.get(TARGETS[which]).as_deref(), Some(BEFORE[which]));
    }
}

#[test]
fn between_the_steps_the_old_file_is_put_back_and_the_new_one_is_found() {
    for which in [STORED, TOKEN] {
        let place = Place::full();
        std::fs::rename(place.path(TARGETS[which]), place.path(OLD[which])).unwrap();
        place.put(NEW[which], AFTER[which]);
        let found = take_up(&place);
        assert!(says(&found, which, AFTER[which]));
        assert_eq!(place.get(TARGETS[which]).as_deref(), Some(BEFORE[which]));
        // What it says is all there is to be seen of it.
        assert_eq!(found.len(), 1);
        let other = 1 - which;
        assert_eq!(place.get(TARGETS[other]).as_deref(), Some(BEFORE[other]));
    }
}

#[test]
fn after_the_second_step_the_new_file_stands_and_the_old_one_is_found() {
    for which in [STORED, TOKEN] {
        let place = Place::full();
        place.put(TARGETS[which], AFTER[which]);
        place.put(OLD[which], BEFORE[which]);
        let found = take_up(&place);
        assert!(says(&found, which, BEFORE[which]));
        assert_eq!(place.get(TARGETS[which]).as_deref(), Some(AFTER[which]));
    }
}

#[test]
fn what_a_tool_has_made_between_the_steps_stays_and_both_are_found() {
    const TOOLS: [&str; 2] = ["[tool]\nhf_token = hf_tool\n\n", "hf_tool"];
    for which in [STORED, TOKEN] {
        let place = Place::full();
        place.put(OLD[which], BEFORE[which]);
        place.put(NEW[which], AFTER[which]);
        place.put(TARGETS[which], TOOLS[which]);
        let found = take_up(&place);
        assert!(says(&found, which, BEFORE[which]) && says(&found, which, AFTER[which]));
        assert_eq!(place.get(TARGETS[which]).as_deref(), Some(TOOLS[which]));
    }
}

#[test]
fn what_was_removed_before_the_steps_or_after_them_is_not_raised() {
    for which in [STORED, TOKEN] {
        for (alone, content) in [(NEW[which], AFTER[which]), (OLD[which], BEFORE[which])] {
            let place = Place::full();
            std::fs::remove_file(place.path(TARGETS[which])).unwrap();
            place.put(alone, content);
            let found = take_up(&place);
            assert!(says(&found, which, content));
            assert_eq!(place.get(TARGETS[which]), None);
        }
    }
}

#[test]
fn an_exchange_back_that_was_cut_off_puts_the_tools_file_back() {
    // Then what waits is what was displaced, and what displaces it was new.
    let place = Place::full();
    std::fs::remove_file(place.path("stored_tokens")).unwrap();
    place.put(OLD[STORED], "[a]\nwithout a value\n");
    place.put(NEW[STORED], TWO);
    leftovers(&place.home).unwrap();
    let back = place.get("stored_tokens");
    assert_eq!(back.as_deref(), Some("[a]\nwithout a value\n"));
}

/// Where another run of this program is to be killed.
const CHILD: &str = "HFD_TEST_HALFWAY";

#[test]
fn a_process_that_is_killed_between_the_steps_has_lost_nothing() {
    if let Some(directory) = std::env::var_os(CHILD) {
        let directory = PathBuf::from(directory);
        std::fs::write(directory.join(NEW[STORED]), TWO).unwrap();
        std::fs::rename(directory.join("stored_tokens"), directory.join(OLD[STORED])).unwrap();
        std::process::abort();
    }
    let place = Place::full();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("a_process_that_is_killed_between_the_steps_has_lost_nothing")
        .env(CHILD, &place.directory)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
    assert_eq!(place.get("stored_tokens"), None);
    let found = take_up(&place);
    assert!(says(&found, STORED, TWO));
    assert_eq!(place.get("stored_tokens").as_deref(), Some(ONE));
}
