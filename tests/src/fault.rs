use std::collections::BTreeMap;

use crate::command::Outcome;

const TABLE: &str = include_str!("../FAULTS.md");

/// A row of `FAULTS.md`, asserted by the test that it names. The expected exit statuses are read
/// from the table, so the table cannot say anything else than what the test finds.
#[derive(Debug)]
pub struct Fault {
    failure: String,
    /// What is asked of hfd, and the exit status that it answers with. Each is removed when it was
    /// asserted.
    answers: BTreeMap<String, i32>,
}

/// A row as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What goes wrong.
    pub failure: String,
    /// `login 12, status 0`: what is asked, and the exit status.
    pub answers: BTreeMap<String, i32>,
    /// The test, as `module::name`.
    pub test: String,
}

impl Fault {
    /// All rows.
    ///
    /// # Panics
    /// When a row is malformed.
    pub fn rows() -> Vec<Row> {
        let rows = TABLE.lines().filter(|line| line.starts_with("| ")).skip(1);
        rows.map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [failure, answers, test] = cells[..] else {
                panic!("not three cells: {line}");
            };
            Row {
                failure: failure.to_owned(),
                answers: answers.split(", ").map(answer).collect(),
                test: test.trim_matches('`').to_owned(),
            }
        })
        .collect()
    }

    /// The row of this failure; called through [`fault!`](crate::fault!), which says from where.
    ///
    /// # Panics
    /// When there is no such row, or it names another test.
    pub fn of(failure: &str, function: &str) -> Self {
        let row = Self::rows().into_iter().find(|row| row.failure == failure);
        let row = row.unwrap_or_else(|| panic!("FAULTS.md has no row {failure:?}"));
        let within = format!("e2e::{}::here", row.test);
        assert_eq!(
            function, within,
            "FAULTS.md names another test for {failure:?}"
        );
        Self {
            failure: row.failure,
            answers: row.answers,
        }
    }

    /// Checks what hfd answered when it was asked this.
    #[track_caller]
    pub fn answers(&mut self, asked: &str, outcome: Outcome) -> Outcome {
        let status = self.answers.remove(asked).unwrap_or_else(|| {
            panic!(
                "the row {:?} has no (further) answer to {asked:?}",
                self.failure
            )
        });
        assert_eq!(
            outcome.status, status,
            "{} · {asked}:\n{outcome}",
            self.failure
        );
        if status != 0 {
            assert!(
                !outcome.stderr.is_empty(),
                "an error without a message:\n{outcome}"
            );
        }
        outcome
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let left = &self.answers;
            assert!(left.is_empty(), "{}: not asserted: {left:?}", self.failure);
        }
    }
}

fn answer(text: &str) -> (String, i32) {
    let (asked, status) = text.rsplit_once(' ').expect("`asked STATUS`");
    let status = status
        .parse()
        .unwrap_or_else(|_| panic!("no exit status in {text:?}"));
    (asked.to_owned(), status)
}

/// The row of `FAULTS.md` that the calling test asserts.
#[macro_export]
macro_rules! fault {
    ($failure:literal) => {{
        fn here() {}
        $crate::Fault::of($failure, ::std::any::type_name_of_val(&here))
    }};
}
