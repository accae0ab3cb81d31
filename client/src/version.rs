//! Which of two versions is the older (semver.org, section 11).

use std::cmp::Ordering;

/// Whether `one` precedes `other`. Texts that are no versions precede nothing.
pub(crate) fn precedes(one: &str, other: &str) -> bool {
    matches!((Version::parse(one), Version::parse(other)), (Some(one), Some(other)) if one < other)
}

#[derive(Debug, PartialEq, Eq)]
struct Version<'a> {
    numbers: [u64; 3],
    /// What stands behind the `-`, at its dots.
    pre_release: Vec<&'a str>,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        // What stands behind a `+` names a build and orders nothing.
        let text = text.split('+').next()?;
        let (release, pre_release) = match text.split_once('-') {
            Some((release, pre_release)) => (release, pre_release.split('.').collect()),
            None => (text, Vec::new()),
        };
        let mut parts = release.split('.').map(|part| part.parse::<u64>().ok());
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(Self {
            numbers,
            pre_release,
        })
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let by_numbers = self.numbers.cmp(&other.numbers);
        let by_pre_release = || match (self.pre_release.is_empty(), other.pre_release.is_empty()) {
            // A release comes after its own candidates.
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ => compare_pre_release(&self.pre_release, &other.pre_release),
        };
        Some(by_numbers.then_with(by_pre_release))
    }
}

fn compare_pre_release(one: &[&str], other: &[&str]) -> Ordering {
    let pairs = one.iter().zip(other).map(|(one, other)| {
        match (one.parse::<u64>(), other.parse::<u64>()) {
            (Ok(one), Ok(other)) => one.cmp(&other),
            // Numbers come before words.
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => one.cmp(other),
        }
    });
    pairs
        .fold(Ordering::Equal, Ordering::then)
        .then(one.len().cmp(&other.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_the_specification_has_it() {
        let rising = [
            "0.1.0",
            "0.2.0-alpha",
            "0.2.0-alpha.1",
            "0.2.0-alpha.2",
            "0.2.0-alpha.11",
            "0.2.0-alpha.beta",
            "0.2.0-beta",
            "0.2.0",
            "0.10.0",
            "1.0.0",
        ];
        for (index, version) in rising.iter().enumerate() {
            for (other_index, other) in rising.iter().enumerate() {
                assert_eq!(
                    precedes(version, other),
                    index < other_index,
                    "{version} {other}"
                );
            }
        }
    }

    #[test]
    fn builds_and_nonsense_precede_nothing() {
        assert!(!precedes("1.0.0+a", "1.0.0+b"));
        for nonsense in ["", "1", "1.2", "1.2.x", "1.2.3.4", "v1.0.0"] {
            assert!(!precedes(nonsense, "9.9.9"), "{nonsense}");
        }
    }
}
