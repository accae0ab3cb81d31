//! The bytes of the token file. Pure: no file, no clock, and randomness comes in as an argument.
//!
//! ```text
//! 0   8   magic "HFDSTORE"
//! 8   4   version, little endian, 1
//! 12  4   length of what follows the header
//! 16  16  id of the key it is encrypted with
//! 32  24  nonce, new for every writing
//! 56  …   XChaCha20-Poly1305 of the body, header authenticated, tag last
//! ```
//! The body is a count and, per item in the order of their keys: part (1 access, 2 refresh), then
//! endpoint, name and value, each with its length before it; all numbers are 32 bits, little
//! endian. All items are one body, so that neither their number nor their names can be read, and
//! none can be taken out or put back alone.

use std::collections::BTreeMap;

use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hfd_proto::{Endpoint, Secret, TokenName};
use zeroize::{Zeroize, Zeroizing};

use crate::store::{Key, Part};

/// What a token file holds.
pub(super) type Items = BTreeMap<Key, Secret>;

/// The largest file that is read or written: 4,096 tokens with two secrets of 8 KiB each.
pub(super) const MAX_FILE: usize = 64 * 1024 * 1024;

const MAGIC: &[u8; 8] = b"HFDSTORE";
const VERSION: u32 = 1;
const HEADER: usize = 56;
const TAG: usize = 16;

/// Why bytes are no token file, or not one that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("is not a token file of hfd")]
    Foreign,
    #[error("was written by a newer hfd (format {0}; this one reads {VERSION})")]
    Newer(u32),
    #[error("is cut short: {have} of {want} bytes are there")]
    CutShort { have: usize, want: usize },
    #[error("is encrypted with another key than the one beside it")]
    OtherKey,
    #[error("was altered since hfd wrote it, or its key was")]
    Altered,
    #[error("does not hold what hfd writes")]
    Malformed,
    #[error("would exceed {MAX_FILE} bytes")]
    TooLarge,
    #[error("is not a key file of hfd, or is damaged")]
    NoKey,
    #[error("does not open with this passphrase, or was altered")]
    WrongPassphrase,
}

/// A key, and the id by which a file says that it is the right one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct FileKey {
    id: [u8; 16],
    key: Zeroizing<[u8; 32]>,
}

impl FileKey {
    /// Makes a key of 48 random bytes.
    pub(super) fn new(random: &Zeroizing<[u8; 48]>) -> Self {
        let mut made = Self {
            id: [0; 16],
            key: Zeroizing::new([0; 32]),
        };
        made.id.copy_from_slice(&random[..16]);
        made.key.copy_from_slice(&random[16..]);
        made
    }

    /// What tells it from others.
    pub(super) fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The key itself, for a key file.
    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.key
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.key).into())
    }
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey(****)")
    }
}

/// Encrypts `items` into the bytes of a file. `nonce` must be random and new each time: with 24
/// bytes, chance never repeats one.
pub(super) fn seal(key: &FileKey, nonce: [u8; 24], items: &Items) -> Result<Vec<u8>, Damage> {
    sealed_body(key, nonce, &encode_body(items)?)
}

/// Encrypts what a file is to hold.
pub(super) fn sealed_body(key: &FileKey, nonce: [u8; 24], body: &[u8]) -> Result<Vec<u8>, Damage> {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&number(body.len() + TAG)?);
    header[16..32].copy_from_slice(&key.id);
    header[32..].copy_from_slice(&nonce);
    let mut file = Vec::with_capacity(HEADER + body.len() + TAG);
    file.extend_from_slice(&header);
    file.extend_from_slice(body);
    let tag = key
        .cipher()
        .encrypt_inout_detached(&XNonce::from(nonce), &header, (&mut file[HEADER..]).into())
        .map_err(|_| {
            file.zeroize();
            Damage::TooLarge
        })?;
    file.extend_from_slice(&tag);
    Ok(file)
}

/// The id of the key that a file is encrypted with, by its own word.
pub(super) fn key_id(file: &[u8]) -> Result<[u8; 16], Damage> {
    let mut id = [0; 16];
    id.copy_from_slice(&header_of(file)?[16..32]);
    Ok(id)
}

/// The header, where the file is one of ours and of this version.
fn header_of(file: &[u8]) -> Result<&[u8], Damage> {
    let Some(header) = file.get(..HEADER) else {
        return Err(match file.starts_with(MAGIC) {
            true => Damage::CutShort {
                have: file.len(),
                want: HEADER + TAG,
            },
            false => Damage::Foreign,
        });
    };
    if &header[..8] != MAGIC {
        return Err(Damage::Foreign);
    }
    match u32_at(header, 8) {
        VERSION => Ok(header),
        newer => Err(Damage::Newer(newer)),
    }
}

/// Decrypts the bytes of a file. Nothing of it is believed before the tag was found right, but
/// what is needed to say why it is not.
pub(super) fn open(key: &FileKey, file: &[u8]) -> Result<Items, Damage> {
    let header = header_of(file)?;
    let rest = &file[HEADER..];
    let length = u32_at(header, 12) as usize;
    if rest.len() < length {
        return Err(Damage::CutShort {
            have: file.len(),
            want: HEADER + length,
        });
    }
    if header[16..32] != key.id {
        return Err(Damage::OtherKey);
    }
    if rest.len() > length || length < TAG {
        return Err(Damage::Altered);
    }
    let (sealed, tag) = rest.split_at(length - TAG);
    let mut nonce = [0; 24];
    nonce.copy_from_slice(&header[32..]);
    let mut tag_bytes = [0; TAG];
    tag_bytes.copy_from_slice(tag);
    let mut body = Zeroizing::new(sealed.to_vec());
    key.cipher()
        .decrypt_inout_detached(
            &XNonce::from(nonce),
            header,
            body.as_mut_slice().into(),
            &Tag::from(tag_bytes),
        )
        .map_err(|_| Damage::Altered)?;
    decode_body(&body)
}

fn encode_body(items: &Items) -> Result<Zeroizing<Vec<u8>>, Damage> {
    let lengths = items.iter().map(|(key, secret)| {
        13 + 8 + key.endpoint.as_str().len() + key.name.as_str().len() + secret.expose().len()
    });
    let length = 4 + lengths.sum::<usize>();
    if HEADER + length + TAG > MAX_FILE {
        return Err(Damage::TooLarge);
    }
    // Of the right size at once: growing would leave copies of secrets behind.
    let mut body = Zeroizing::new(Vec::with_capacity(length));
    body.extend_from_slice(&number(items.len())?);
    for (key, secret) in items {
        let (part, kept) = match key.part {
            Part::Access => (1, None),
            Part::Refresh => (2, None),
            Part::KeptAccess(number) => (3, Some(number)),
            Part::KeptRefresh(number) => (4, Some(number)),
            Part::Renewing => (5, None),
            Part::Probe => (6, None),
        };
        body.push(part);
        body.extend(kept.into_iter().flat_map(u64::to_le_bytes));
        for text in [key.endpoint.as_str(), key.name.as_str(), secret.expose()] {
            body.extend_from_slice(&number(text.len())?);
            body.extend_from_slice(text.as_bytes());
        }
    }
    Ok(body)
}

/// The inverse of [`encode_body`], and of nothing else: another order, a repeated key or a
/// remainder is an error.
fn decode_body(body: &[u8]) -> Result<Items, Damage> {
    let mut reader = Reader(body);
    let mut items = Items::new();
    for _ in 0..reader.number()? {
        let part = match reader.take(1)?[0] {
            1 => Part::Access,
            2 => Part::Refresh,
            3 => Part::KeptAccess(reader.long()?),
            4 => Part::KeptRefresh(reader.long()?),
            5 => Part::Renewing,
            6 => Part::Probe,
            _ => return Err(Damage::Malformed),
        };
        let (endpoint, name, value) = (reader.text()?, reader.text()?, reader.text()?);
        let key = Key {
            endpoint: Endpoint::parse(endpoint)
                .ok()
                .filter(|parsed| parsed.as_str() == endpoint)
                .ok_or(Damage::Malformed)?,
            name: TokenName::parse(name).map_err(|_| Damage::Malformed)?,
            part,
        };
        let secret = Secret::parse(value)
            .ok()
            .filter(|parsed| parsed.expose() == value)
            .ok_or(Damage::Malformed)?;
        if items.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(Damage::Malformed);
        }
        items.insert(key, secret);
    }
    match reader.0 {
        [] => Ok(items),
        _ => Err(Damage::Malformed),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damage::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize, Damage> {
        Ok(u32_at(self.take(4)?, 0) as usize)
    }

    fn long(&mut self) -> Result<u64, Damage> {
        let mut number = [0; 8];
        number.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(number))
    }

    fn text(&mut self) -> Result<&'a str, Damage> {
        let length = self.number()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Damage::Malformed)
    }
}

fn number(value: usize) -> Result<[u8; 4], Damage> {
    let value = u32::try_from(value).map_err(|_| Damage::TooLarge)?;
    Ok(value.to_le_bytes())
}

/// The number at `at`; the caller has checked that four bytes are there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

#[cfg(test)]
mod tests;
