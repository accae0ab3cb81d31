//! The bytes of a key file: the key itself, or the key encrypted with one that is made of a passphrase. Pure:
//! randomness comes in as an argument.
//!
//! ```text
//! as it is                         protected by a passphrase
//! 0   8   magic "HFDKEY1\n"        0   8   magic "HFDKEY2\n"
//! 8   16  key id, random           8   16  key id, random
//! 24  32  key                      24  12  Argon2id: memory in KiB, passes, lanes
//!                                  36  16  salt
//!                                  52  24  nonce
//!                                  76  48  XChaCha20-Poly1305 of the key, all before authenticated, tag last
//! ```
//! Numbers are 32 bits, little endian. The key is always random: a new passphrase is a new key, and the file that
//! tells them apart needs no passphrase to do so.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hfd_proto::Passphrase;
use zeroize::Zeroizing;

use super::format::{Damage, FileKey, u32_at};

/// The length of a key file that holds the key as it is.
const PLAIN: usize = 56;

/// The length of one that is protected.
const PROTECTED: usize = 124;

const PLAIN_MAGIC: &[u8; 8] = b"HFDKEY1\n";
const PROTECTED_MAGIC: &[u8; 8] = b"HFDKEY2\n";

/// What is authenticated, and not encrypted, of a protected one.
const HEADER: usize = 76;

/// What it takes to try a passphrase: RFC 9106's second recommendation, for machines with less memory.
const COST: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 4,
};

/// The most that a key file may ask of this machine: one that asks more was not written by hfd.
const MOST: Cost = Cost {
    memory_kib: 1024 * 1024,
    passes: 64,
    lanes: 64,
};

/// What Argon2 is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    fn is_bearable(self) -> bool {
        self.memory_kib <= MOST.memory_kib && self.passes <= MOST.passes && self.lanes <= MOST.lanes
    }
}

/// A key file, read.
pub(super) enum KeyFile {
    /// Whoever can read it has the key.
    Plain(FileKey),
    /// It takes a passphrase.
    Protected(Protected),
}

/// A key behind a passphrase.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Protected([u8; PROTECTED]);

impl KeyFile {
    /// Reads the bytes of a key file.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        if let Some(random) = bytes.strip_prefix(PLAIN_MAGIC) {
            let random: &[u8; PLAIN - 8] = random.try_into().map_err(|_| Damage::NoKey)?;
            return Ok(Self::Plain(FileKey::new(&Zeroizing::new(*random))));
        }
        if !bytes.starts_with(PROTECTED_MAGIC) {
            return Err(Damage::NoKey);
        }
        let bytes = bytes.try_into().map_err(|_| Damage::NoKey)?;
        let protected = Protected(bytes);
        match protected.cost().is_bearable() {
            true => Ok(Self::Protected(protected)),
            false => Err(Damage::NoKey),
        }
    }

    /// The key that it is about.
    pub(super) fn id(&self) -> [u8; 16] {
        match self {
            Self::Plain(key) => key.id(),
            Self::Protected(protected) => protected.id(),
        }
    }
}

/// What stands in a key file that holds the key as it is.
pub(super) fn plain(key: &FileKey) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(PLAIN));
    bytes.extend_from_slice(PLAIN_MAGIC);
    bytes.extend_from_slice(&key.id());
    bytes.extend_from_slice(key.expose());
    bytes
}

impl Protected {
    /// Puts a key behind a passphrase. `random` is a salt and a nonce, new each time.
    pub(super) fn seal(
        key: &FileKey,
        passphrase: &Passphrase,
        random: &[u8; 40],
    ) -> Result<Self, Damage> {
        Self::seal_at(COST, key, passphrase, random)
    }

    fn seal_at(
        cost: Cost,
        key: &FileKey,
        passphrase: &Passphrase,
        random: &[u8; 40],
    ) -> Result<Self, Damage> {
        let mut sealed = Self([0; PROTECTED]);
        sealed.0[..8].copy_from_slice(PROTECTED_MAGIC);
        sealed.0[8..24].copy_from_slice(&key.id());
        sealed.0[24..28].copy_from_slice(&cost.memory_kib.to_le_bytes());
        sealed.0[28..32].copy_from_slice(&cost.passes.to_le_bytes());
        sealed.0[32..36].copy_from_slice(&cost.lanes.to_le_bytes());
        sealed.0[36..HEADER].copy_from_slice(random);
        let mut body = Zeroizing::new([0; 32]);
        body.copy_from_slice(key.expose());
        let tag = sealed
            .cipher(passphrase)?
            .encrypt_inout_detached(
                &sealed.nonce(),
                &sealed.0[..HEADER],
                body.as_mut_slice().into(),
            )
            .map_err(|_| Damage::NoKey)?;
        sealed.0[HEADER..HEADER + 32].copy_from_slice(&body[..]);
        sealed.0[HEADER + 32..].copy_from_slice(&tag);
        Ok(sealed)
    }

    /// The key, with the right passphrase. Another one and an altered file are the same to see.
    pub(super) fn open(&self, passphrase: &Passphrase) -> Result<FileKey, Damage> {
        let mut random = Zeroizing::new([0; 48]);
        random[..16].copy_from_slice(&self.id());
        random[16..].copy_from_slice(&self.0[HEADER..HEADER + 32]);
        let mut tag = [0; 16];
        tag.copy_from_slice(&self.0[HEADER + 32..]);
        self.cipher(passphrase)?
            .decrypt_inout_detached(
                &self.nonce(),
                &self.0[..HEADER],
                (&mut random[16..]).into(),
                &Tag::from(tag),
            )
            .map_err(|_| Damage::WrongPassphrase)?;
        Ok(FileKey::new(&random))
    }

    /// What stands in the key file.
    pub(super) fn encode(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[8..24]);
        id
    }

    fn cost(&self) -> Cost {
        Cost {
            memory_kib: u32_at(&self.0, 24),
            passes: u32_at(&self.0, 28),
            lanes: u32_at(&self.0, 32),
        }
    }

    fn nonce(&self) -> XNonce {
        let mut nonce = [0; 24];
        nonce.copy_from_slice(&self.0[52..HEADER]);
        XNonce::from(nonce)
    }

    fn cipher(&self, passphrase: &Passphrase) -> Result<XChaCha20Poly1305, Damage> {
        let cost = self.cost();
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32));
        let params = params.map_err(|_| Damage::NoKey)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(
                passphrase.expose().as_bytes(),
                &self.0[36..52],
                &mut key[..],
            )
            .map_err(|_| Damage::NoKey)?;
        Ok(XChaCha20Poly1305::new((&*key).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: [u8; 40] = [9; 40];

    fn key() -> FileKey {
        FileKey::new(&Zeroizing::new([1; 48]))
    }

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::parse(text).unwrap()
    }

    /// One whose passphrase is tried in no time.
    fn cheap() -> Protected {
        let cost = Cost {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        };
        Protected::seal_at(cost, &key(), &passphrase("right"), &RANDOM).unwrap()
    }

    fn opened(bytes: &[u8], with: &str) -> Result<FileKey, Damage> {
        match KeyFile::decode(bytes)? {
            KeyFile::Plain(key) => Ok(key),
            KeyFile::Protected(protected) => protected.open(&passphrase(with)),
        }
    }

    #[test]
    fn the_key_is_had_with_its_passphrase_alone() {
        let sealed = Protected::seal(&key(), &passphrase("right"), &RANDOM).unwrap();
        assert_eq!(sealed.cost(), COST);
        assert!(opened(sealed.encode(), "right").is_ok_and(|opened| opened == key()));
        let wrong = opened(sealed.encode(), "Right");
        assert!(matches!(wrong, Err(Damage::WrongPassphrase)));
        let value = key();
        let in_clear = sealed
            .encode()
            .windows(32)
            .any(|bytes| bytes == value.expose());
        assert!(!in_clear);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let cheap = cheap();
        assert!(opened(cheap.encode(), "right").is_ok());
        for at in 0..PROTECTED {
            for bit in 0..8 {
                let mut altered = cheap.0;
                altered[at] ^= 1 << bit;
                // More than a moment of work is not needed to see that it is another file.
                if (24..36).contains(&at) && Protected(altered).cost().memory_kib > 1 << 14 {
                    continue;
                }
                assert!(opened(&altered, "right").is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn one_that_asks_too_much_of_the_machine_is_none() {
        let mut greedy = cheap();
        greedy.0[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(
            KeyFile::decode(greedy.encode()),
            Err(Damage::NoKey)
        ));
    }

    #[test]
    fn a_key_file_has_one_length() {
        let plain = plain(&key());
        assert_eq!(plain.len(), PLAIN);
        for bytes in [&plain[..], cheap().encode()] {
            assert!(KeyFile::decode(bytes).is_ok_and(|file| file.id() == key().id()));
            let longer = [bytes, b"\n"].concat();
            for wrong in [&bytes[..8], &bytes[..bytes.len() - 1], &longer] {
                assert!(matches!(KeyFile::decode(wrong), Err(Damage::NoKey)));
            }
        }
        assert!(matches!(KeyFile::decode(&[]), Err(Damage::NoKey)));
    }
}
