//! What can go wrong, as it travels on the wire.

use serde::{Deserialize, Serialize};

/// An answer that is an error: what happened, what to do about it, and the kind that decides the
/// exit status. Neither text ever holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind, which a program may act on.
    pub kind: Kind,
    /// What happened, one sentence without a full stop.
    pub message: String,
    /// What the person may do, where there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Error {
    /// An error without a hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// The same error, ending in a recommendation.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The kinds of error. Each says what the caller does next; closed for those who send, open for
/// those who receive ([`Kind::Other`] stands for one that a newer daemon knows).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The request or the command line is malformed: do not repeat it.
    Usage,
    /// No active token here: log in.
    NotLoggedIn,
    /// No token of that name: list, then choose.
    NoSuchToken,
    /// The keychain, or hfd itself, is locked: unlock, then repeat.
    Locked,
    /// The store cannot be reached, or refused: mend it, or choose another explicitly.
    StoreUnavailable,
    /// A deadline passed. What was asked may still take effect; look before repeating.
    TimedOut,
    /// The Hub, a rule, or a person at a dialog said no: repeating changes nothing.
    Refused,
    /// No daemon answers and none could be started.
    DaemonUnreachable,
    /// Client and daemon have no protocol version in common: upgrade the older one.
    NoCommonProtocol,
    /// The Hub could not be reached: repeat later.
    HubUnreachable,
    /// Interrupted by the person.
    Interrupted,
    /// Anything else.
    #[serde(other)]
    Other,
}

impl Kind {
    /// Every kind, in the order of the exit status.
    pub const ALL: [Self; 12] = [
        Self::Other,
        Self::Usage,
        Self::NotLoggedIn,
        Self::NoSuchToken,
        Self::Locked,
        Self::StoreUnavailable,
        Self::TimedOut,
        Self::Refused,
        Self::DaemonUnreachable,
        Self::NoCommonProtocol,
        Self::HubUnreachable,
        Self::Interrupted,
    ];

    /// The exit status of `hfd` for this kind. This is the one table in the code; the man page is
    /// made from it.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::NotLoggedIn => 4,
            Self::NoSuchToken => 10,
            Self::Locked => 11,
            Self::StoreUnavailable => 12,
            Self::TimedOut => 13,
            Self::Refused => 14,
            Self::DaemonUnreachable => 15,
            Self::NoCommonProtocol => 16,
            Self::HubUnreachable => 17,
            Self::Interrupted => 130,
        }
    }

    /// What the exit status means, for help and the man page.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Other => "another error",
            Self::Usage => "wrong usage",
            Self::NotLoggedIn => "not logged in",
            Self::NoSuchToken => "no such token",
            Self::Locked => "locked",
            Self::StoreUnavailable => "store unavailable",
            Self::TimedOut => "timed out; may still take effect",
            Self::Refused => "refused by the Hub, a rule, or at a dialog",
            Self::DaemonUnreachable => "the daemon cannot be reached",
            Self::NoCommonProtocol => "no protocol in common with the daemon",
            Self::HubUnreachable => "the Hub cannot be reached",
            Self::Interrupted => "interrupted",
        }
    }
}

// `Other` stands last, so a kind that is missing from the list does not compile.
const _: () = assert!(Kind::ALL.len() == Kind::Other as usize + 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_decodes_as_other() {
        let error: Error = serde_json::from_str(r#"{"kind":"from-2030","message":"m"}"#).unwrap();
        assert_eq!(error, Error::new(Kind::Other, "m"));
    }

    #[test]
    fn exit_statuses_are_distinct() {
        let mut seen: Vec<u8> = Kind::ALL.iter().map(|kind| kind.exit_status()).collect();
        seen.dedup();
        assert_eq!(seen.len(), Kind::ALL.len());
    }
}
