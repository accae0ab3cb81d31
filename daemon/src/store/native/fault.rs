//! What the systems' errors mean, by their numbers.

use hfd_proto::StoreId;

use crate::store::StoreError;

/// An error of a keychain, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The system's own number, where there is one.
    pub(super) code: Option<i64>,
    /// What the system says of it; no secret is in it.
    pub(super) text: String,
}

impl Failure {
    /// Takes keyring-core's error apart, whose own text could show what an item holds.
    pub(super) fn of(error: &keyring_core::Error) -> Self {
        use keyring_core::Error;
        match error {
            Error::PlatformFailure(error) | Error::NoStorageAccess(error) => {
                let text = error.to_string();
                Self {
                    code: code(error.as_ref(), &text),
                    text,
                }
            }
            Error::TooLong(what, most) => Self {
                code: None,
                text: format!("{what} exceeds {most}"),
            },
            Error::Invalid(what, why) => Self {
                code: None,
                text: format!("{what} {why}"),
            },
            Error::BadEncoding(_) | Error::BadDataFormat(..) => Self {
                code: None,
                text: "an item holds what hfd did not write".to_owned(),
            },
            other => Self {
                code: None,
                text: other.to_string(),
            },
        }
    }

    /// What it means for the store.
    pub(super) fn meaning(self, store: StoreId) -> StoreError {
        match store {
            StoreId::MacosKeychain => self.on_macos(),
            _ => self.on_windows(),
        }
    }

    /// Numbers from Security/SecBase.h.
    fn on_macos(self) -> StoreError {
        let store = StoreId::MacosKeychain;
        match self.code {
            // errSecInteractionNotAllowed: a dialog would have asked for the password, or whether this
            // program may, as after an upgrade of one that is signed ad hoc; nothing tells which, so the
            // error names both ways out. errSecAuthFailed: the keychain is locked, or its password is
            // another one.
            Some(-25308 | -25293) => StoreError::Locked { store },
            // errSecUserCanceled; userCanceledErr.
            Some(-128 | -25256) => StoreError::Rejected {
                store,
                what: "the dialog of the macOS keychain was cancelled".to_owned(),
                hint: "repeat it, and allow hfdd the access".to_owned(),
                dismissed: true,
            },
            // errSecNotAvailable, errSecNoSuchKeychain, errSecInvalidKeychain, errSecNoDefaultKeychain.
            Some(-25291 | -25294 | -25295 | -25307) => self.unavailable(
                store,
                "log in at the Mac itself, or look at the login keychain in Keychain Access",
            ),
            // errSecReadOnly, wrPermErr, errSecInvalidOwnerEdit, errSecDuplicateItem.
            Some(-25292 | -61 | -25244 | -25299) => self.rejected(
                store,
                "another program owns that item: remove it in Keychain Access, then repeat it",
            ),
            _ => self.rejected(store, "look at the login keychain in Keychain Access"),
        }
    }

    /// Numbers from winerror.h.
    fn on_windows(self) -> StoreError {
        let store = StoreId::WindowsCredentialManager;
        match self.code {
            // ERROR_NO_SUCH_LOGON_SESSION: a session of the network (ssh, a service) has no credentials.
            Some(1312) => self.unavailable(
                store,
                "this logon has no Credential Manager (ssh, a service): log in at the desktop, or use --store file",
            ),
            // RPC_S_SERVER_UNAVAILABLE, RPC_S_CALL_FAILED; ERROR_SERVICE_DISABLED, ERROR_SERVICE_NOT_ACTIVE.
            Some(1722 | 1726 | 1058 | 1062) => self.unavailable(
                store,
                "start the service `Credential Manager` (VaultSvc), then repeat it",
            ),
            // ERROR_ACCESS_DENIED, as where a policy forbids storing credentials.
            Some(5) => self.unavailable(
                store,
                "a policy of this machine forbids it: use --store file, or ask its administrator",
            ),
            _ => self.rejected(store, "look at Credential Manager in the Control Panel"),
        }
    }

    fn unavailable(self, store: StoreId, hint: &str) -> StoreError {
        StoreError::Unavailable {
            store,
            what: self.sentence(store),
            hint: hint.to_owned(),
        }
    }

    fn rejected(self, store: StoreId, hint: &str) -> StoreError {
        StoreError::Rejected {
            store,
            what: self.sentence(store),
            hint: hint.to_owned(),
            dismissed: false,
        }
    }

    fn sentence(&self, store: StoreId) -> String {
        format!("{} says: {}", store.title(), self.text)
    }
}

#[cfg(target_os = "macos")]
fn code(error: &(dyn std::error::Error + Send + Sync + 'static), _: &str) -> Option<i64> {
    let error = error.downcast_ref::<security_framework::base::Error>()?;
    Some(error.code().into())
}

/// The Windows store keeps its error to itself; its text ends in the number, or in one of its names.
#[cfg(not(target_os = "macos"))]
fn code(_: &(dyn std::error::Error + Send + Sync + 'static), text: &str) -> Option<i64> {
    match text.rsplit(' ').next()? {
        "ERROR_NO_SUCH_LOGON_SESSION" => Some(1312),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use hfd_proto::{Error, Kind};

    use super::*;

    fn told(store: StoreId, code: i64) -> Error {
        let failure = Failure {
            code: Some(code),
            text: "of the system".to_owned(),
        };
        failure.meaning(store).into()
    }

    #[test]
    fn macos_numbers_mean_locked_refused_or_unavailable() {
        for (code, kind) in [
            (-25308, Kind::Locked),
            (-25293, Kind::Locked),
            (-128, Kind::Refused),
            (-25291, Kind::StoreUnavailable),
            (-25294, Kind::StoreUnavailable),
            (-25299, Kind::StoreUnavailable),
            (-1, Kind::StoreUnavailable),
        ] {
            let error = told(StoreId::MacosKeychain, code);
            assert_eq!(error.kind, kind, "{code}");
            assert!(error.hint.is_some(), "{code}");
        }
    }

    #[test]
    fn a_keychain_that_would_ask_names_the_upgrade_as_well_as_the_lock() {
        let error = told(StoreId::MacosKeychain, -25308);
        assert!(error.message.contains("is locked, or does not let"));
        let hint = error.hint.unwrap();
        for way_out in [
            "security unlock-keychain",
            "allow the new hfdd in Keychain Access",
        ] {
            assert!(hint.contains(way_out), "{hint}");
        }
    }

    #[test]
    fn windows_numbers_mean_unavailable_with_a_way_out() {
        for (code, hint) in [(1312, "--store file"), (1722, "VaultSvc"), (5, "policy")] {
            let error = told(StoreId::WindowsCredentialManager, code);
            assert_eq!(error.kind, Kind::StoreUnavailable, "{code}");
            assert!(error.hint.unwrap().contains(hint), "{code}");
        }
    }

    #[test]
    fn the_number_is_found_in_what_the_windows_store_says() {
        for (text, code) in [
            ("Windows ERROR_NO_SUCH_LOGON_SESSION", Some(1312)),
            ("Windows error code 1722", Some(1722)),
            ("Windows ERROR_BAD_USERNAME", None),
        ] {
            let error = keyring_core::Error::PlatformFailure(text.into());
            let failure = Failure::of(&error);
            assert_eq!((failure.code, failure.text.as_str()), (code, text));
        }
    }

    #[test]
    fn what_an_item_holds_is_not_told() {
        let error = keyring_core::Error::BadEncoding(b"hf_canary".to_vec());
        assert!(!format!("{:?}", Failure::of(&error)).contains("canary"));
    }
}
