//! What went wrong on the bus, in the terms that decide what happens next.

use std::sync::atomic::{AtomicBool, Ordering};

use hfd_proto::{StoreId, escape};
use secret_service::Error;
use zbus::DBusError as _;

use crate::store::{Effect, StoreError};

const STORE: StoreId = StoreId::SecretService;

/// Why a call did not end well. Texts of other programs are escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("there is no D-Bus session bus ({0})")]
    NoBus(String),
    #[error("the connection to the D-Bus session bus was lost ({0})")]
    Disconnected(String),
    #[error("no keychain runs in this session: nothing offers the Secret Service on D-Bus")]
    NotRunning,
    #[error("the keychain has no default collection to keep tokens in")]
    NoCollection,
    #[error("the keychain is locked")]
    Locked,
    #[error("no answer in time")]
    Silent,
    /// The session, or an object, is of the past: the provider was restarted, or something was
    /// removed meanwhile. To be tried once more.
    #[error("the keychain was restarted during the call ({0})")]
    Stale(String),
    #[error("the keychain's own question was answered with no")]
    Dismissed,
    /// The provider answered with an error.
    #[error("the keychain answered with an error: {0}")]
    Refused(String),
    /// An item is there, and its value is none.
    #[error("the keychain holds no usable value for {name}: {why}")]
    Unusable { name: String, why: String },
    #[error("the keychain did not keep what was written for {0}")]
    NotKept(String),
}

impl Fault {
    /// Whether a fresh session may do better.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Self::Stale(_) | Self::Disconnected(_))
    }

    /// Whether the provider itself said so, so that nothing is on its way any more.
    fn is_answer(&self) -> bool {
        matches!(self, Self::Locked | Self::Dismissed | Self::Refused(_))
    }

    /// By the name of a D-Bus error.
    fn named(name: &str, message: &str) -> Self {
        let told = || escape(&format!("{name}: {message}"));
        match name {
            "org.freedesktop.Secret.Error.IsLocked" => Self::Locked,
            // gnome-keyring names removed objects in three ways, KWallet in one. NoReply is what the
            // bus says for a provider that ended before it answered.
            "org.freedesktop.Secret.Error.NoSession"
            | "org.freedesktop.Secret.Error.NoSuchObject"
            | "org.freedesktop.DBus.Error.UnknownObject"
            | "org.freedesktop.DBus.Error.UnknownMethod"
            | "org.freedesktop.DBus.Error.UnknownInterface"
            | "org.qtproject.QtDBus.Error.InvalidObjectPath"
            | "org.freedesktop.DBus.Error.NoReply" => Self::Stale(told()),
            "org.freedesktop.DBus.Error.Disconnected" => Self::Disconnected(told()),
            "org.freedesktop.DBus.Error.ServiceUnknown"
            | "org.freedesktop.DBus.Error.NameHasNoOwner" => Self::NotRunning,
            // The bus tried to start one: it has no display, or it ended at once.
            name if name.starts_with("org.freedesktop.DBus.Error.Spawn.") => Self::NotRunning,
            "org.freedesktop.DBus.Error.Timeout" | "org.freedesktop.DBus.Error.TimedOut" => {
                Self::Silent
            }
            _ => Self::Refused(told()),
        }
    }
}

impl From<zbus::Error> for Fault {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::InputOutput(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                Self::Silent
            }
            zbus::Error::InputOutput(error) => Self::Disconnected(error.to_string()),
            zbus::Error::Connection(error, _) => Self::Disconnected(error.to_string()),
            zbus::Error::Handshake(why) => Self::Disconnected(escape(&why)),
            zbus::Error::MethodError(name, message, _) => {
                Self::named(name.as_str(), message.as_deref().unwrap_or_default())
            }
            zbus::Error::FDO(error) => (*error).into(),
            other => Self::Refused(escape(&other.to_string())),
        }
    }
}

impl From<zbus::fdo::Error> for Fault {
    fn from(error: zbus::fdo::Error) -> Self {
        match error {
            zbus::fdo::Error::ZBus(error) => error.into(),
            error => Self::named(
                error.name().as_str(),
                error.description().unwrap_or_default(),
            ),
        }
    }
}

impl From<zbus::names::Error> for Fault {
    fn from(error: zbus::names::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Zbus(error) => error.into(),
            Error::ZbusFdo(error) => error.into(),
            Error::Locked => Self::Locked,
            Error::NoResult => Self::NoCollection,
            Error::Prompt => Self::Dismissed,
            Error::PromptDisconnected => Self::Disconnected(error.to_string()),
            Error::Unavailable => Self::NoBus(error.to_string()),
            // A value that does not decrypt belongs to another session.
            Error::Crypto(_) => Self::Stale(error.to_string()),
            other => Self::Refused(escape(&other.to_string())),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let what = fault.to_string();
        let unavailable = |hint: &str| Self::Unavailable {
            store: STORE,
            what: what.clone(),
            hint: hint.to_owned(),
        };
        let rejected = |hint: &str, dismissed| Self::Rejected {
            store: STORE,
            what: what.clone(),
            hint: hint.to_owned(),
            dismissed,
        };
        match fault {
            Fault::Locked => Self::Locked { store: STORE },
            Fault::Silent => Self::TimedOut {
                store: STORE,
                effect: Effect::None,
            },
            Fault::NoBus(_) => unavailable(
                "log in to a desktop session; on a server or over SSH keep tokens in an encrypted \
                 file: `--store file`",
            ),
            Fault::NotRunning => unavailable(
                "start one (GNOME Keyring, KWallet, KeePassXC), or keep tokens in an encrypted \
                 file: `--store file`",
            ),
            Fault::NoCollection => unavailable(
                "make a default keyring in the keychain's own window (Passwords and Keys), or use \
                 `--store file`",
            ),
            Fault::Disconnected(_) | Fault::Stale(_) => unavailable("repeat it"),
            Fault::Refused(_) => rejected("look at the keychain in its own window", false),
            Fault::Dismissed => rejected("repeat it, and allow it in the keychain's window", true),
            Fault::Unusable { .. } => rejected("log in again with that name", false),
            Fault::NotKept(_) => rejected("look at the keychain in its own window", false),
        }
    }
}

/// Goes with a call through both attempts and remembers whether a change was sent that nobody
/// confirmed. A keychain that was killed over it may have made it all the same.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    unconfirmed: AtomicBool,
    tried: AtomicBool,
}

impl Ticket {
    /// True the first time: a second failure is final.
    pub(super) fn once_more(&self) -> bool {
        !self.tried.swap(true, Ordering::Relaxed)
    }

    /// Sends a change.
    pub(super) async fn change<T, E: Into<Fault>>(
        &self,
        sending: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Fault> {
        self.unconfirmed.store(true, Ordering::Relaxed);
        let outcome = sending.await.map_err(Into::into);
        if outcome.as_ref().is_err_and(Fault::is_answer) {
            self.unconfirmed.store(false, Ordering::Relaxed);
        }
        outcome
    }

    /// Whether a change was sent.
    pub(super) fn was_used(&self) -> bool {
        self.unconfirmed.load(Ordering::Relaxed)
    }

    /// What `fault` means for the call as a whole.
    pub(super) fn verdict(&self, fault: Fault) -> StoreError {
        let known = matches!(fault, Fault::NotKept(_) | Fault::Dismissed);
        if self.was_used() && !known {
            tracing::debug!("a change was not confirmed: {fault}");
            return StoreError::TimedOut {
                store: STORE,
                effect: Effect::Possible,
            };
        }
        fault.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_what_happens_next() {
        let named = |name: &str| Fault::named(name, "m");
        assert!(named("org.freedesktop.Secret.Error.NoSession").is_stale());
        assert!(named("org.freedesktop.DBus.Error.NoReply").is_stale());
        assert_eq!(
            named("org.freedesktop.Secret.Error.IsLocked"),
            Fault::Locked
        );
        assert_eq!(
            named("org.freedesktop.DBus.Error.Spawn.ChildExited"),
            Fault::NotRunning
        );
        assert_eq!(
            Fault::named("org.example.Odd", "\u{1b}[2J"),
            Fault::Refused(String::from("org.example.Odd: \\u{1b}[2J"))
        );
    }

    #[tokio::test]
    async fn a_change_that_was_sent_and_not_answered_may_have_happened() {
        let ticket = Ticket::default();
        assert_eq!(
            ticket.verdict(Fault::Locked),
            StoreError::Locked { store: STORE }
        );
        let lost = async { Err::<(), _>(Fault::Stale(String::new())) };
        assert!(ticket.change(lost).await.is_err());
        let verdict = ticket.verdict(Fault::Locked);
        assert!(matches!(
            verdict,
            StoreError::TimedOut {
                effect: Effect::Possible,
                ..
            }
        ));
        let answered = async { Err::<(), _>(Fault::Locked) };
        assert!(ticket.change(answered).await.is_err());
        assert_eq!(
            ticket.verdict(Fault::Locked),
            StoreError::Locked { store: STORE }
        );
    }
}
