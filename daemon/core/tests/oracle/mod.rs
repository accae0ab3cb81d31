//! Python itself, asked what it makes of generated input, and the generator.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::io::Write;
use std::process::{Command, Stdio};

use serde::Serialize;
use serde_json::Value;

/// Runs `script` in one Python process with the cases as a JSON list on its stdin, and gives its
/// answers, one per case. The script reads all of stdin before it answers.
pub(crate) fn ask(script: &str, cases: &impl Serialize) -> Vec<Value> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests compare with Python; the crate stays pure"
    )]
    let mut python = Command::new("python3")
        // Isolated, and UTF-8 whatever the locale.
        .args(["-I", "-X", "utf8", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need python3");
    let mut stdin = python.stdin.take().unwrap();
    stdin
        .write_all(&serde_json::to_vec(cases).unwrap())
        .unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "python3 failed: {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same inputs in each run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    #[allow(dead_code, reason = "not every test makes text")]
    /// Fewer than `bound` of several, one after another.
    pub(crate) fn string(&mut self, from: &[&str], bound: usize) -> String {
        (0..self.below(bound)).map(|_| self.pick(from)).collect()
    }
}
