//! The Secret Service store.

use std::ffi::OsString;

use hfd_proto::{Secret, StoreId};

use super::{Key, StoreError};

impl SecretService {
    pub(super) fn id(&self) -> StoreId {
        StoreId::SecretService
    }

    pub(super) async fn get(&mut self, _: &Key) -> Result<Option<Secret>, StoreError> {
        Err(missing())
    }

    pub(super) async fn put(&mut self, _: &Key, _: &Secret) -> Result<(), StoreError> {
        Err(missing())
    }

    pub(super) async fn delete(&mut self, _: &Key) -> Result<bool, StoreError> {
        Err(missing())
    }

    pub(super) async fn keys(&mut self) -> Result<Vec<Key>, StoreError> {
        Err(missing())
    }

    pub(super) async fn probe(&mut self) -> Result<(), StoreError> {
        Err(missing())
    }

    pub(super) async fn glance(&mut self) -> Result<(), StoreError> {
        Err(missing())
    }

    pub(super) async fn noticed(&mut self) {
        std::future::pending().await
    }

    pub(super) async fn abandon(&mut self) {}

    pub(super) fn reset(&mut self) {}

    pub(super) fn detail(&self) -> Option<String> {
        None
    }
}

fn missing() -> StoreError {
    StoreError::Unavailable {
        store: StoreId::SecretService,
        what: String::from("this store is not built yet"),
        hint: String::from("build it"),
    }
}

/// The keychain of a Linux desktop.
#[derive(Debug)]
pub struct SecretService {
    #[expect(dead_code)]
    bus: String,
}

impl SecretService {
    /// The keychain on the session bus that `env` (`std::env::var_os` but in tests) names.
    pub fn new(env: impl Fn(&str) -> Option<OsString>) -> Self {
        let bus = env("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
        Self {
            bus: bus.to_string_lossy().into_owned(),
        }
    }
}
