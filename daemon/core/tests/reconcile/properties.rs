//! What holds after any history of tools and hfd at work on the same names.

use hfd_core::model::{Base, Change};
use hfd_core::reconcile::Occasion;
use hfd_proto::Mode;
use proptest::prelude::*;

use super::history::{History, NAMES, VALUES, any_step};
use super::world::{home, name, print, sections, value};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1_000)))]

    #[test]
    fn no_history_loses_a_value_or_comes_to_no_rest(
        steps in prop::collection::vec(any_step(), 1..30),
        mode in prop::sample::select(vec![Mode::Files, Mode::Files, Mode::ActiveOnly]),
    ) {
        let mut history = History::new(mode);
        for step in &steps {
            history.take(step)?;
        }
        history.sync(Occasion::Noticed)?;
    }

    /// Even where the past is another's: a copied home, a lost journal.
    #[test]
    fn any_state_comes_to_rest(
        steps in prop::collection::vec(any_step(), 0..10),
        base in any_entries(),
        base_token in prop::option::of(prop::sample::select(VALUES.to_vec())),
        file in prop::option::of(any_entries()),
        token in prop::option::of(prop::sample::select(VALUES.to_vec())),
        occasion in prop::sample::select(vec![Occasion::Noticed, Occasion::Settled, Occasion::Asked]),
    ) {
        let mut history = History::new(Mode::Files);
        for step in &steps {
            history.take(step)?;
        }
        let mut world = history.world;
        VALUES.iter().for_each(|text| world.learn(text));
        world.index.apply(Change::Agree {
            home: home(),
            base: Base {
                sections: base.iter().map(|(at, text)| (name(at), print(text))).collect(),
                token: base_token.map(|text| value(&text[..1])),
            },
        });
        world.stored = file.map(|entries| {
            let entries: Vec<_> = entries.iter().map(|(at, text)| format!("{at}={text}")).collect();
            sections(&entries.join(" "))
        });
        world.token = token.map(|text| format!("hf_{}", &text[..1]));
        let outcome = world.sync_as(occasion);
        if outcome.held.is_none() && outcome.doubt.is_none() {
            prop_assert_eq!(world.file_as_base(), world.view());
        }
    }
}

fn any_entries() -> impl Strategy<Value = std::collections::BTreeMap<&'static str, &'static str>> {
    let at = prop::sample::select(NAMES.to_vec());
    let text = prop::sample::select(VALUES.to_vec());
    prop::collection::btree_map(at, text, 0..4)
}
