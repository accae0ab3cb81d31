//! The encrypted file store.

use std::path::PathBuf;

use hfd_proto::{Secret, StoreId};

use super::{Key, StoreError};

impl FileStore {
    pub(super) fn id(&self) -> StoreId {
        StoreId::File
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
        store: StoreId::File,
        what: String::from("this store is not built yet"),
        hint: String::from("build it"),
    }
}

/// A file of our own, encrypted with a key file beside it.
#[derive(Debug)]
pub struct FileStore {
    file: PathBuf,
}

impl FileStore {
    /// The store in `file`; its key is `file` with `.key` appended. Touches nothing yet.
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        &self.file
    }
}
