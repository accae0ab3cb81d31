//! The kinds of place where secrets rest, by name.

use serde::{Deserialize, Serialize};

/// A kind of place where secrets rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreId {
    /// The freedesktop.org Secret Service: GNOME Keyring, KWallet, KeePassXC.
    SecretService,
    /// macOS Keychain.
    MacosKeychain,
    /// Windows Credential Manager.
    WindowsCredentialManager,
    /// A file of hfd's own, encrypted with a key file beside it.
    File,
}

impl StoreId {
    /// Every one there is.
    pub const ALL: [Self; 4] = [
        Self::SecretService,
        Self::MacosKeychain,
        Self::WindowsCredentialManager,
        Self::File,
    ];

    /// Those that exist on this platform; where no other is asked for, the first.
    pub const HERE: &[Self] = if cfg!(target_os = "macos") {
        &[Self::MacosKeychain, Self::File]
    } else if cfg!(windows) {
        &[Self::WindowsCredentialManager, Self::File]
    } else {
        &[Self::SecretService, Self::File]
    };

    /// As it is written in JSON, in the configuration and after `--store`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecretService => "secret-service",
            Self::MacosKeychain => "macos-keychain",
            Self::WindowsCredentialManager => "windows-credential-manager",
            Self::File => "file",
        }
    }

    /// How a sentence names it.
    pub fn title(self) -> &'static str {
        match self {
            Self::SecretService => "the keychain (Secret Service)",
            Self::MacosKeychain => "the macOS keychain",
            Self::WindowsCredentialManager => "the Windows Credential Manager",
            Self::File => "the encrypted token file",
        }
    }
}

/// What opens the encrypted token file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// A key file beside it: copies of the file alone are of no use to anybody.
    KeyFile,
    /// A passphrase: copies of both are of no use without it.
    Passphrase,
}

// A store that is missing from the list does not compile.
const _: () = assert!(StoreId::ALL.len() == StoreId::File as usize + 1);
