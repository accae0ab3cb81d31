//! Where the programs under test are, and who runs them.

use std::env;
use std::path::{Path, PathBuf};

use crate::windows;

/// The directory of `hfd` and `hfdd`: those for Windows where they are tested, else the one above the test's own, as cargo lays them out.
pub(crate) fn binaries() -> PathBuf {
    if let Some(programs) = windows::programs() {
        return programs;
    }
    let own = env::current_exe().expect("the test knows its own file");
    let mut above = own.ancestors().skip(1);
    let found = above.find(|dir| dir.join("hfd").is_file() && dir.join("hfdd").is_file());
    found.map(Path::to_owned).unwrap_or_else(|| {
        panic!("no hfd and hfdd near {own:?}: run `cargo build -p hfd -p hfd-daemon`")
    })
}

/// The virtual environment with the real huggingface_hub.
pub(crate) fn venv() -> PathBuf {
    let path = env::var_os("HFD_TEST_VENV")
        .expect("HFD_TEST_VENV names no virtual environment: run the tests by `tests/run`");
    PathBuf::from(path)
}

/// Fails for root, who may read and write everything: permissions would not be tested.
pub(crate) fn assert_unprivileged() {
    assert!(
        !rustix::process::geteuid().is_root(),
        "the end-to-end tests do not run as root: start them by `tests/run`, which finds a user"
    );
}
