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
use history::{History, Step, any_step};
use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let mode = match mode % 3 {
        0 => Mode::ActiveOnly,
        _ => Mode::Files,
    };
    let any_step = any_step();
    let steps: Vec<Step> = rest.chunks(2).map(|bytes| step(&any_step, bytes)).collect();
    let mut history = History::new(mode);
    let mut outcome = Ok(());
    for step in &steps {
        outcome = outcome.and_then(|()| history.take(step));
    }
    if let Err(error) = outcome.and_then(|()| history.sync(Occasion::Noticed)) {
        panic!("{error}\n{steps:#?}");
    }
});

/// A step like those of the properties, chosen by two bytes: what the fuzzer changes there changes no
/// other step.
fn step(any_step: &impl Strategy<Value = Step>, bytes: &[u8]) -> Step {
    let mut seed = [0; 32];
    seed[..bytes.len()].copy_from_slice(bytes);
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let tree = any_step.new_tree(&mut runner);
    tree.expect("no step is rejected").current()
}
