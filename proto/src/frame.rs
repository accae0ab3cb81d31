//! Lines: how bytes become messages. Pure, incremental and bounded.

use zeroize::Zeroize;

use crate::error::{Error, Kind};

/// The longest line either side accepts, newline included. A list of 4,096 tokens fits.
pub const MAX_LINE: usize = 1024 * 1024;

/// Bytes on their way to being lines. The limit is checked before anything grows past it, and the
/// bytes are wiped when they are no longer needed, since lines carry tokens.
#[derive(Default)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Where the next line starts; what stands before it was handed out.
    start: usize,
    /// How far the search for a newline has come.
    searched: usize,
}

impl Frames {
    /// A decoder that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read from the peer. Fails once an unfinished line exceeds [`MAX_LINE`]; the
    /// connection is then of no more use.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let rest_of_line = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(bytes.len());
        if self.pending() + rest_of_line >= MAX_LINE {
            return Err(too_long());
        }
        self.compact(bytes.len());
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole line without its newline, if one has arrived.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        let from = self.searched.max(self.start);
        let Some(offset) = self.buffer[from..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.start..from + offset;
        self.start = line.end + 1;
        self.searched = self.start;
        Some(&self.buffer[line])
    }

    /// How many bytes wait for the rest of their line (or to be taken as lines).
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Makes room without letting a reallocation leave a copy of a secret behind.
    fn compact(&mut self, incoming: usize) {
        if self.start > 0 {
            self.buffer.copy_within(self.start.., 0);
            let kept = self.pending();
            self.buffer[kept..].zeroize();
            self.buffer.truncate(kept);
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        if self.buffer.len() + incoming > self.buffer.capacity() {
            let mut larger = Vec::with_capacity((self.buffer.len() + incoming).next_power_of_two());
            larger.extend_from_slice(&self.buffer);
            self.buffer.as_mut_slice().zeroize();
            self.buffer = larger;
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        // What was written to and no more: a `Vec` would be wiped byte by byte to its capacity.
        self.buffer.as_mut_slice().zeroize();
    }
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frames({} bytes pending)", self.pending())
    }
}

/// Appends one message as a line.
pub fn encode(message: &impl serde::Serialize, out: &mut Vec<u8>) {
    // Every message is a struct of strings, numbers and booleans: serialising it cannot fail, and
    // a Vec takes any length.
    if serde_json::to_writer(&mut *out, message).is_ok() {
        out.push(b'\n');
    }
}

/// The error for a line over the limit, also sent by the daemon before it closes.
fn too_long() -> Error {
    Error::new(
        Kind::Usage,
        format!("a line is longer than {MAX_LINE} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(frames: &mut Frames) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| frames.next_line().map(<[u8]>::to_vec)).collect()
    }

    proptest! {
        #[test]
        fn every_chunking_gives_the_same_lines(
            parts in prop::collection::vec("[a-z]{0,40}", 0..20),
            cuts in prop::collection::vec(1usize..50, 1..30),
        ) {
            let bytes: Vec<u8> = parts.iter().flat_map(|p| [p.as_bytes(), b"\n"].concat()).collect();
            let mut frames = Frames::new();
            let mut seen = Vec::new();
            let (mut rest, mut cut) = (bytes.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(*cut.next().unwrap()));
                frames.push(now).unwrap();
                seen.extend(lines(&mut frames));
                rest = later;
            }
            let expected: Vec<Vec<u8>> = parts.iter().map(|p| p.clone().into_bytes()).collect();
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(frames.pending(), 0);
        }
    }

    #[test]
    fn the_limit_is_on_the_line_not_on_the_stream() {
        let mut frames = Frames::new();
        let mut line = vec![b'x'; MAX_LINE - 1];
        line.push(b'\n');
        for _ in 0..3 {
            frames.push(&line).unwrap();
            assert_eq!(frames.next_line().unwrap().len(), MAX_LINE - 1);
        }
        assert!(Frames::new().push(&vec![b'x'; MAX_LINE]).is_err());
        let mut halves = Frames::new();
        halves.push(&vec![b'x'; MAX_LINE / 2]).unwrap();
        assert!(halves.push(&vec![b'x'; MAX_LINE / 2]).is_err());
    }
}
