//! What can go wrong with a store.

use hfd_proto::{Error, Kind, StoreId};

/// Whether something that was not confirmed may have happened all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It was a read, or it was never begun.
    None,
    /// It was on its way: read it back before repeating it.
    Possible,
}

/// Why a store did not do what was asked. None of these says anything of a value, least of all
/// that there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The place is there and locked. Nothing was changed.
    #[error("{}", locked(*.store))]
    Locked {
        /// Which store.
        store: StoreId,
    },
    /// The place is not there, or cannot be used as it is. Nothing was changed.
    #[error("{what}")]
    Unavailable {
        /// Which store.
        store: StoreId,
        /// What is wrong with it.
        what: String,
        /// What may be done.
        hint: String,
    },
    /// No answer in time.
    #[error("{}", timed_out(*.store, *.effect))]
    TimedOut {
        /// Which store.
        store: StoreId,
        /// Whether it may happen yet.
        effect: Effect,
    },
    /// The place is usable, and this one thing was not done.
    #[error("{what}")]
    Rejected {
        /// Which store.
        store: StoreId,
        /// What was refused, and why.
        what: String,
        /// What may be done.
        hint: String,
        /// A person said no at the store's own dialog.
        dismissed: bool,
    },
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Locked { store } => {
                Self::new(Kind::Locked, message).hint(unlock_hint(store))
            }
            StoreError::Unavailable { hint, .. } => {
                Self::new(Kind::StoreUnavailable, message).hint(hint)
            }
            StoreError::TimedOut { effect, .. } => {
                Self::new(Kind::TimedOut, message).hint(match effect {
                    Effect::None => "repeat it when the program that keeps the keychain answers",
                    Effect::Possible => "look with `hfd list` before you repeat it",
                })
            }
            StoreError::Rejected {
                hint, dismissed, ..
            } => {
                let kind = if dismissed {
                    Kind::Refused
                } else {
                    Kind::StoreUnavailable
                };
                Self::new(kind, message).hint(hint)
            }
        }
    }
}

fn locked(store: StoreId) -> String {
    let title = store.title();
    match store {
        // One number of it says both; see native/fault.rs.
        StoreId::MacosKeychain => format!("{title} is locked, or does not let this hfdd in"),
        _ => format!("{title} is locked"),
    }
}

fn timed_out(store: StoreId, effect: Effect) -> String {
    let title = store.title();
    match effect {
        Effect::None => format!("{title} did not answer in time"),
        Effect::Possible => {
            format!("{title} did not confirm the change in time; it may still take effect")
        }
    }
}

fn unlock_hint(store: StoreId) -> &'static str {
    match store {
        StoreId::SecretService => {
            "unlock your keyring (Passwords and Keys, KWalletManager, KeePassXC), then repeat it"
        }
        StoreId::MacosKeychain => {
            "run `security unlock-keychain`; after an upgrade, allow the new hfdd in Keychain Access \
             (Access Control of the items called hfd); then repeat it"
        }
        StoreId::File => "`hfd unlock` asks for its passphrase",
        _ => "unlock it, then repeat it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_exit_status_and_a_hint() {
        let store = StoreId::SecretService;
        let (what, hint) = (String::from("w"), String::from("h"));
        let rejected = |dismissed| StoreError::Rejected {
            store,
            what: what.clone(),
            hint: hint.clone(),
            dismissed,
        };
        let cases = [
            (StoreError::Locked { store }, 11),
            (
                StoreError::Unavailable {
                    store,
                    what: what.clone(),
                    hint: hint.clone(),
                },
                12,
            ),
            (rejected(false), 12),
            (
                StoreError::TimedOut {
                    store,
                    effect: Effect::Possible,
                },
                13,
            ),
            (rejected(true), 14),
        ];
        for (error, status) in cases {
            let told = Error::from(error);
            assert_eq!(told.kind.exit_status(), status, "{told:?}");
            assert!(told.hint.is_some(), "{told:?}");
        }
    }

    #[test]
    fn only_a_write_under_way_may_still_happen() {
        let told = |effect| {
            let store = StoreId::SecretService;
            StoreError::TimedOut { store, effect }.to_string()
        };
        assert!(told(Effect::Possible).contains("may still take effect"));
        assert!(!told(Effect::None).contains("may still take effect"));
    }
}
