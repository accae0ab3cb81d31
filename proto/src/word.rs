//! Words of an enumeration that may grow.

use serde::{Deserialize, Serialize};

use crate::store::StoreId;

/// A word in a reply: one that this version knows, or one of a later version, which is shown as it
/// is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word<T> {
    /// One that this version knows.
    Known(T),
    /// Another, as it stands in the reply.
    Unknown(String),
}

impl<T> Word<T> {
    /// The word, if this version knows it.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(word) => Some(word),
            Self::Unknown(_) => None,
        }
    }
}

impl<T> From<T> for Word<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

impl<T: PartialEq> PartialEq<T> for Word<T> {
    fn eq(&self, word: &T) -> bool {
        self.known() == Some(word)
    }
}

impl Word<StoreId> {
    /// As it stands in the reply.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(store) => store.as_str(),
            Self::Unknown(store) => store,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_later_version_is_kept_as_it_is() {
        for (text, word) in [
            ("\"file\"", Word::Known(StoreId::File)),
            ("\"tpm\"", Word::Unknown("tpm".to_owned())),
        ] {
            assert_eq!(serde_json::from_str::<Word<StoreId>>(text).unwrap(), word);
            assert_eq!(serde_json::to_string(&word).unwrap(), text);
        }
        assert!(serde_json::from_str::<Word<StoreId>>("1").is_err());
    }
}
