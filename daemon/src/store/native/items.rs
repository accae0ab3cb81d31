//! The keychain of the system, by way of keyring-core: one call each, all of them blocking.

use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error};
use zeroize::Zeroizing;

use super::chunks::Items;
use crate::store::Key;

/// What all items of ours have in common.
const SERVICE: &str = "hfd";

/// A store of the keyring family, and what it wants to be told.
pub(super) struct Keychain {
    store: Arc<CredentialStore>,
    /// How items of ours are searched for.
    search: HashMap<&'static str, &'static str>,
    /// Attributes of an item besides service and user.
    modifiers: fn(&str) -> HashMap<&'static str, String>,
}

impl Keychain {
    /// The login keychain. Nothing it does may open a dialog: a daemon does not know whether anybody
    /// is there, and without this a read of a locked keychain waits for its password for ever. It
    /// holds for the process, so it is never taken back.
    #[cfg(target_os = "macos")]
    pub(super) fn open() -> Result<Self, Error> {
        let silence =
            security_framework::os::macos::keychain::SecKeychain::disable_user_interaction();
        let silence = silence.map_err(|error| Error::PlatformFailure(Box::new(error)))?;
        std::mem::forget(silence);
        Ok(Self {
            store: apple_native_keyring_store::keychain::Store::new()?,
            search: HashMap::from([("service", SERVICE)]),
            modifiers: |_| HashMap::new(),
        })
    }

    /// Credential Manager. An item is called `hfd:ID@hfd`, and stays on this machine: other ones of a
    /// domain have daemons of their own.
    #[cfg(windows)]
    pub(super) fn open() -> Result<Self, Error> {
        let layout = HashMap::from([("prefix", "hfd:"), ("divider", "@"), ("suffix", "")]);
        Ok(Self {
            store: windows_native_keyring_store::Store::new_with_configuration(&layout)?,
            search: HashMap::from([("pattern", "^hfd:.*@hfd$")]),
            // The target itself, since a user is limited to 513 bytes.
            modifiers: |id| {
                HashMap::from([
                    ("target", format!("hfd:{id}@{SERVICE}")),
                    ("persistence", "Local".to_owned()),
                ])
            },
        })
    }

    /// keyring-core's own, which other systems' tests use.
    #[cfg(test)]
    pub(super) fn in_memory() -> Self {
        Self {
            store: keyring_core::sample::Store::new().unwrap(),
            search: HashMap::from([("service", "^hfd$")]),
            modifiers: |_| HashMap::new(),
        }
    }

    fn entry(&self, id: &str) -> Result<Entry, Error> {
        let modifiers = (self.modifiers)(id);
        let modifiers: HashMap<&str, &str> = modifiers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let modifiers = (!modifiers.is_empty()).then_some(&modifiers);
        self.store.build(SERVICE, id, modifiers)
    }
}

impl Items for Keychain {
    type Error = Error;

    fn get(&self, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match self.entry(id)?.get_secret() {
            Ok(value) => Ok(Some(Zeroizing::new(value))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn set(&self, id: &str, value: &[u8]) -> Result<(), Error> {
        self.entry(id)?.set_secret(value)
    }

    fn delete(&self, id: &str) -> Result<bool, Error> {
        match self.entry(id)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn ids(&self) -> Result<Vec<String>, Error> {
        let entries = self.store.search(&self.search)?;
        let specifiers = entries.iter().filter_map(Entry::get_specifiers);
        let ours = specifiers.filter(|(service, _)| service == SERVICE);
        Ok(ours.map(|(_, user)| user).collect())
    }
}

impl std::fmt::Debug for Keychain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keychain")
    }
}

/// What an item is called: `PART:ENDPOINT|NAME`. Everything but small letters, digits and some signs
/// is written `%xx`, since Credential Manager takes `A` and `a` for the same.
pub(super) fn id_of(key: &Key) -> String {
    let mut id = String::new();
    for byte in format!("{}:{}", key.part.attribute(), key.username()).bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'|' => {
                id.push(char::from(byte));
            }
            _ => id.push_str(&format!("%{byte:02x}")),
        }
    }
    id
}

/// The inverse of [`id_of`]; `None` for what hfd did not write.
pub(super) fn key_of(id: &str) -> Option<Key> {
    let mut bytes = Vec::with_capacity(id.len());
    let mut rest = id.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => byte,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    let (part, username) = text.split_once(':')?;
    let key = Key::parse(username, part)?;
    (id_of(&key) == id).then_some(key)
}

#[cfg(test)]
mod tests {
    use hfd_proto::{Endpoint, TokenName};
    use proptest::prelude::*;

    use super::*;
    use crate::store::Part;

    fn key(name: &str, part: Part) -> Key {
        Key {
            endpoint: Endpoint::default(),
            name: TokenName::parse(name).unwrap(),
            part,
        }
    }

    #[test]
    fn ids_read_like_this() {
        let id = |name| id_of(&key(name, Part::Access));
        assert_eq!(id("work"), "access:https://huggingface.co|work");
        assert_eq!(id("Work@#1"), "access:https://huggingface.co|%57ork%40%231");
    }

    #[test]
    fn what_hfd_did_not_write_is_no_key() {
        for id in [
            "",
            "work",
            "access:https://huggingface.co|%",
            "access:https://huggingface.co|%5",
            "access:https://huggingface.co|W",
            "access:https://huggingface.co|%5A",
        ] {
            assert_eq!(key_of(id), None, "{id}");
        }
    }

    proptest! {
        #[test]
        fn every_key_comes_back_and_no_two_differ_in_case_alone(
            one in "[^\r\n]{1,40}", two in "[a-cA-Cé É]{1,3}", three in "[a-cA-Cé É]{1,3}",
        ) {
            prop_assume!(one != "DEFAULT" && one.len() <= 255);
            let one = key(&one, Part::KeptRefresh(7));
            prop_assert_eq!(key_of(&id_of(&one)), Some(one));
            let [two, three] = [two, three].map(|name| key(&name, Part::Access));
            let alike = id_of(&two).to_uppercase() == id_of(&three).to_uppercase();
            prop_assert_eq!(alike, two == three);
        }
    }
}
