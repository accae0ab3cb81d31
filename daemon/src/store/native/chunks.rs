//! Long values in a keychain that takes short ones.
//!
//! Windows Credential Manager takes 2,560 bytes (`CRED_MAX_CREDENTIAL_BLOB_SIZE`), an OAuth token may
//! have more. Such a value is cut: `ID` holds a header, `ID#GENERATION.N` the parts. The parts come
//! first and the header last, under a generation that the old header does not name; only then the old
//! parts go. Whoever is killed in between leaves the old value or the new, and parts that no header
//! names, which [`Chunked::sweep`] removes.
//!
//! A header begins with a NUL, which no secret has.

use zeroize::Zeroizing;

/// What the longest item of Windows Credential Manager has.
pub(super) const WINDOWS_LIMIT: usize = 2560;

/// The most parts a header may name: ten times what the longest secret has.
const MAX_PARTS: usize = 256;

/// Items by id, one call each.
pub(super) trait Items {
    /// Why a call was not made.
    type Error;

    /// The value of an item; `None` only where there is none.
    fn get(&self, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Self::Error>;
    /// Creates or replaces an item.
    fn set(&self, id: &str, value: &[u8]) -> Result<(), Self::Error>;
    /// Removes an item; true where there was one.
    fn delete(&self, id: &str) -> Result<bool, Self::Error>;
    /// The ids of all items of ours, in no order.
    fn ids(&self) -> Result<Vec<String>, Self::Error>;
}

/// What can be wrong with a value.
#[derive(Debug)]
pub(super) enum Fault<E> {
    /// The keychain says so.
    Items(E),
    /// A part is missing, or another program has written one.
    Damaged,
}

impl<E> From<E> for Fault<E> {
    fn from(error: E) -> Self {
        Self::Items(error)
    }
}

/// Values of any length in items of a limited one.
#[derive(Debug)]
pub(super) struct Chunked<I> {
    items: I,
    /// Bytes that an item may have.
    limit: usize,
}

/// The content of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    generation: u32,
    parts: usize,
    length: usize,
}

impl<I: Items> Chunked<I> {
    pub(super) fn new(items: I, limit: usize) -> Self {
        Self { items, limit }
    }

    /// The value; `None` only where there is none.
    pub(super) fn get(&self, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Fault<I::Error>> {
        let Some(first) = self.items.get(id)? else {
            return Ok(None);
        };
        if first.first() != Some(&0) {
            return Ok(Some(first));
        }
        let header = Header::parse(&first).ok_or(Fault::Damaged)?;
        let mut value = Zeroizing::new(Vec::with_capacity(header.length));
        for number in 0..header.parts {
            let part = self.items.get(&header.part(id, number))?;
            let part = part.ok_or(Fault::Damaged)?;
            if value.len() + part.len() > header.length {
                return Err(Fault::Damaged);
            }
            value.extend_from_slice(&part);
        }
        match value.len() == header.length {
            true => Ok(Some(value)),
            false => Err(Fault::Damaged),
        }
    }

    /// Creates or replaces the value.
    pub(super) fn set(&self, id: &str, value: &[u8]) -> Result<(), Fault<I::Error>> {
        let old = self.header(id)?;
        if value.len() <= self.limit {
            self.items.set(id, value)?;
        } else {
            let new = Header {
                generation: old.map_or(0, |old| old.generation.wrapping_add(1)),
                parts: value.len().div_ceil(self.limit),
                length: value.len(),
            };
            for (number, part) in value.chunks(self.limit).enumerate() {
                self.items.set(&new.part(id, number), part)?;
            }
            self.items.set(id, &new.bytes())?;
        }
        self.remove_parts(id, old);
        Ok(())
    }

    /// Removes the value; true where there was one.
    pub(super) fn delete(&self, id: &str) -> Result<bool, Fault<I::Error>> {
        let old = self.header(id)?;
        let there = self.items.delete(id)?;
        self.remove_parts(id, old);
        Ok(there)
    }

    /// The ids of all values.
    pub(super) fn ids(&self) -> Result<Vec<String>, Fault<I::Error>> {
        let mut ids = self.items.ids()?;
        ids.retain(|id| split(id).is_none());
        Ok(ids)
    }

    /// Removes parts that no header names.
    pub(super) fn sweep(&self) -> Result<(), Fault<I::Error>> {
        for part in self.items.ids()? {
            let Some((id, generation, number)) = split(&part) else {
                continue;
            };
            let named = self
                .header(id)?
                .is_some_and(|header| header.generation == generation && number < header.parts);
            if !named {
                self.items.delete(&part)?;
            }
        }
        Ok(())
    }

    /// The header of a value that is cut.
    fn header(&self, id: &str) -> Result<Option<Header>, I::Error> {
        let first = self.items.get(id)?;
        Ok(first.and_then(|first| Header::parse(&first)))
    }

    /// What cannot be removed now is swept another time: the value is what it should be.
    fn remove_parts(&self, id: &str, old: Option<Header>) {
        let Some(old) = old else { return };
        for number in 0..old.parts {
            if self.items.delete(&old.part(id, number)).is_err() {
                tracing::debug!("a part of an earlier value stays for now");
            }
        }
    }
}

impl Header {
    /// NUL, then `GENERATION PARTS LENGTH`.
    fn bytes(self) -> Vec<u8> {
        let Self {
            generation,
            parts,
            length,
        } = self;
        format!("\0hfd {generation} {parts} {length}").into_bytes()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes.strip_prefix(b"\0hfd ")?).ok()?;
        let mut words = text.split(' ');
        let header = Self {
            generation: words.next()?.parse().ok()?,
            parts: words.next()?.parse().ok()?,
            length: words.next()?.parse().ok()?,
        };
        let plausible = header.parts <= MAX_PARTS && header.length <= header.parts << 16;
        (words.next().is_none() && plausible).then_some(header)
    }

    fn part(self, id: &str, number: usize) -> String {
        format!("{id}#{}.{number}", self.generation)
    }
}

/// The value's id, generation and number of a part. No id of a value has a `#`.
fn split(id: &str) -> Option<(&str, u32, usize)> {
    let (id, place) = id.split_once('#')?;
    let (generation, number) = place.split_once('.')?;
    Some((id, generation.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests;
