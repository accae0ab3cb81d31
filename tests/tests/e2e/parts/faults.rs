//! `FAULTS.md` says what the tests find.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use hfd_e2e::Fault;

/// `module::name` of every test of this program.
fn tests() -> BTreeSet<String> {
    let own = std::env::current_exe().unwrap();
    let list = Command::new(own)
        .args(["--list", "--format=terse"])
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    list.lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_row_names_a_test_that_asserts_it() {
    let tests = tests();
    assert!(Fault::rows().len() > 30, "the table is not empty");
    for row in Fault::rows() {
        assert!(tests.contains(&row.test), "there is no test {}", row.test);
        let (module, _) = row.test.rsplit_once("::").unwrap();
        let module = module.replace("::", "/");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/e2e/{module}.rs"));
        let source = fs::read_to_string(&file).unwrap();
        let call = format!("fault!({:?})", row.failure);
        assert_eq!(
            source.matches(&call).count(),
            1,
            "{call} in {}",
            file.display()
        );
    }
}

#[test]
fn every_row_is_there_once() {
    let mut failures = BTreeSet::new();
    for row in Fault::rows() {
        assert!(!row.answers.is_empty());
        assert!(
            failures.insert(row.failure.clone()),
            "{} is there twice",
            row.failure
        );
    }
}
