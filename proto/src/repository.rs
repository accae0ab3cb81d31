//! Repositories of a Hub, and the patterns by which a rule means some of them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands before the owner in the address of a repository; a model's has nothing there.
const KINDS: [&str; 3] = ["models", "datasets", "spaces"];

/// What stands for any name in a [`Pattern`].
const ANY: &str = "*";

/// A repository of a Hub, as its address names it: `[datasets/|spaces/][OWNER/]NAME`.
///
/// A Hub takes `Acme/X` for `acme/x`: they are kept in lower case.
#[derive(Clone, PartialEq, Eq)]
pub struct Repository {
    kind: &'static str,
    /// The oldest models have none.
    owner: Option<String>,
    name: String,
}

/// Which repositories a rule is for: `[models/|datasets/|spaces/]OWNER/NAME`, or with `*` for the name.
/// Without a kind it is for all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    kind: Option<&'static str>,
    owner: Option<String>,
    /// `None`: whatever it is.
    name: Option<String>,
}

/// Why a text names no repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a repository is written as OWNER/NAME, datasets/OWNER/NAME or spaces/OWNER/NAME")]
pub struct InvalidRepository;

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rule is for OWNER/* or OWNER/NAME, after models/, datasets/ or spaces/ for these alone")]
pub struct InvalidPattern;

impl Repository {
    /// Parses what a person writes.
    pub fn parse(text: &str) -> Result<Self, InvalidRepository> {
        let lower = text.to_ascii_lowercase();
        let (kind, rest) = split_kind(&lower);
        let (owner, name) = split_owner(rest);
        Self::of_parts(kind, owner, name).ok_or(InvalidRepository)
    }

    /// Finds the repository in the path of an address as git and git-lfs have it
    /// (`datasets/acme/x.git/info/lfs`), if there is one.
    pub fn of_path(path: &str) -> Option<Self> {
        let lower = path.trim_matches('/').to_ascii_lowercase();
        let (kind, rest) = split_kind(&lower);
        let mut parts = rest.split('/');
        let first = parts.next()?;
        if let Some(name) = first.strip_suffix(".git") {
            return Self::of_parts(kind, None, name);
        }
        match parts.next() {
            Some(name) => {
                let name = name.strip_suffix(".git").unwrap_or(name);
                Self::of_parts(kind, Some(first), name)
            }
            None => Self::of_parts(kind, None, first),
        }
    }

    fn of_parts(kind: Option<&'static str>, owner: Option<&str>, name: &str) -> Option<Self> {
        (owner.is_none_or(is_part) && is_part(name)).then(|| Self {
            kind: kind.unwrap_or(KINDS[0]),
            owner: owner.map(str::to_owned),
            name: name.to_owned(),
        })
    }
}

impl Pattern {
    /// Parses what stands in a configuration or in a rule file.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let lower = text.to_ascii_lowercase();
        let (kind, rest) = split_kind(&lower);
        let (owner, name) = split_owner(rest);
        let name_is_right = if owner.is_some() && name == ANY {
            true
        } else {
            is_part(name)
        };
        if !owner.is_none_or(is_part) || !name_is_right {
            return Err(InvalidPattern);
        }
        Ok(Self {
            kind,
            owner: owner.map(str::to_owned),
            name: (name != ANY).then(|| name.to_owned()),
        })
    }

    /// Whether the rule is for that repository.
    pub fn matches(&self, repository: &Repository) -> bool {
        self.kind.is_none_or(|kind| kind == repository.kind)
            && self.owner == repository.owner
            && (self.name.as_ref()).is_none_or(|name| *name == repository.name)
    }

    /// Of two that match the same repository, the closer one is greater: a name before `*`, then a
    /// kind before none.
    pub fn closeness(&self) -> impl Ord + use<> {
        (self.name.is_some(), self.kind.is_some())
    }
}

fn split_kind(text: &str) -> (Option<&'static str>, &str) {
    let found = KINDS.into_iter().find_map(|kind| {
        let rest = text.strip_prefix(kind)?.strip_prefix('/')?;
        Some((Some(kind), rest))
    });
    found.unwrap_or((None, text))
}

fn split_owner(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((owner, name)) => (Some(owner), name),
        None => (None, text),
    }
}

/// Hub names are letters, digits, `-`, `_` and `.` (huggingface_hub's `validate_repo_id`).
fn is_part(part: &str) -> bool {
    let right = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !part.is_empty() && part.len() <= 96 && part.bytes().all(right) && !part.starts_with('.')
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = (self.kind != KINDS[0]).then_some(self.kind);
        write(f, kind, self.owner.as_deref(), &self.name)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or(ANY);
        write(f, self.kind, self.owner.as_deref(), name)
    }
}

fn write(
    f: &mut fmt::Formatter<'_>,
    kind: Option<&str>,
    owner: Option<&str>,
    name: &str,
) -> fmt::Result {
    for part in [kind, owner].into_iter().flatten() {
        write!(f, "{part}/")?;
    }
    f.write_str(name)
}

macro_rules! as_text {
    ($type:ty) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Repository);
as_text!(Pattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_that_people_write() {
        for (text, shown) in [
            ("acme/x", "acme/x"),
            ("Acme/X.y", "acme/x.y"),
            ("models/acme/x", "acme/x"),
            ("datasets/acme/x", "datasets/acme/x"),
            ("datasets/squad", "datasets/squad"),
            ("gpt2", "gpt2"),
        ] {
            assert_eq!(Repository::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "", "/", "a/", "/b", "a/b/c", "a b/c", "a/*", "../x", "a/..", "ü/x",
        ] {
            assert_eq!(Repository::parse(text), Err(InvalidRepository), "{text}");
        }
    }

    #[test]
    fn addresses_of_git() {
        for (path, shown) in [
            ("acme/x", Some("acme/x")),
            ("acme/x.git", Some("acme/x")),
            ("/acme/x.git/info/lfs/objects/batch", Some("acme/x")),
            ("datasets/acme/x.git", Some("datasets/acme/x")),
            ("spaces/Acme/x/", Some("spaces/acme/x")),
            ("gpt2.git/info/lfs", Some("gpt2")),
            ("gpt2", Some("gpt2")),
            ("", None),
            ("../../etc", None),
            ("acme/%2e%2e", None),
        ] {
            let found = Repository::of_path(path).map(|found| found.to_string());
            assert_eq!(found.as_deref(), shown, "{path}");
        }
    }

    #[test]
    fn patterns_match_an_owner_a_repository_or_a_kind() {
        let matches = |pattern: &str, repository: &str| {
            let repository = Repository::parse(repository).unwrap();
            Pattern::parse(pattern).unwrap().matches(&repository)
        };
        assert!(matches("acme/*", "acme/x") && matches("Acme/*", "ACME/x"));
        assert!(matches("acme/*", "datasets/acme/x") && matches("acme/x", "spaces/acme/x"));
        assert!(matches("datasets/acme/*", "datasets/acme/x") && matches("gpt2", "gpt2"));
        assert!(!matches("acme/*", "acme-evil/x") && !matches("acme/x", "acme/xy"));
        assert!(
            !matches("datasets/acme/*", "acme/x") && !matches("models/acme/*", "spaces/acme/x")
        );
        assert!(!matches("acme/*", "acme") && !matches("x", "acme/x"));
        for text in [
            "", "*", "*/*", "*/x", "acme/x*", "acme/", "a/b/*", "acme /*",
        ] {
            assert_eq!(Pattern::parse(text), Err(InvalidPattern), "{text}");
        }
    }

    #[test]
    fn the_closer_of_two_patterns() {
        let closeness = |text| Pattern::parse(text).unwrap().closeness();
        let order = ["acme/*", "datasets/acme/*", "acme/x", "datasets/acme/x"];
        for pair in order.windows(2) {
            assert!(closeness(pair[0]) < closeness(pair[1]), "{pair:?}");
        }
    }
}
