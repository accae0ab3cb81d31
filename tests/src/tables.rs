//! Tables of the README that tests make: `tests/run` compares them.

use std::path::PathBuf;
use std::{env, fs};

/// Leaves a table to be compared with the README's, where somebody is there to compare it.
///
/// # Panics
/// When it cannot be written.
pub fn write(name: &str, table: &str) {
    if let Some(directory) = env::var_os("HFD_TEST_TABLES") {
        let path = PathBuf::from(directory).join(name);
        fs::write(&path, table).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }
}
