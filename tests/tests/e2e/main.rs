//! hfd from the keychain to the real `hf`, as a person and as programs meet it.

mod faults;
mod harness;
