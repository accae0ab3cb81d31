//! Histories of tools and hfd, made of the input: after each look nothing is lost, raised or left unsettled.
//! World, steps and what must hold are those of the tests of hfd-core.

#![no_main]
#![allow(dead_code, reason = "the tests use more of the world than this does")]

#[path = "../../daemon/core/tests/reconcile/history.rs"]
mod history;
#[path = "../../daemon/core/tests/reconcile/tool.rs"]
mod tool;
#[path = "../../daemon/core/tests/reconcile/world.rs"]
mod world;

use hfd_core::reconcile::Occasion;
use hfd_proto::Mode;
use history::{History, any_step};
use libfuzzer_sys::fuzz_target;
use proptest::collection::vec;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let mode = match mode % 3 {
        0 => Mode::ActiveOnly,
        _ => Mode::Files,
    };
    // The same steps as in the properties, chosen by the bytes of the input.
    let random = TestRng::from_seed(RngAlgorithm::PassThrough, rest);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let Ok(steps) = vec(any_step(), 1..40).new_tree(&mut runner) else {
        return;
    };
    let steps = steps.current();
    let mut history = History::new(mode);
    let mut outcome = Ok(());
    for step in &steps {
        outcome = outcome.and_then(|()| history.take(step));
    }
    if let Err(error) = outcome.and_then(|()| history.sync(Occasion::Noticed)) {
        panic!("{error}\n{steps:#?}");
    }
});
