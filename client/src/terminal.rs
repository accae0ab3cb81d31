//! The controlling terminal, key by key.
//!
//! Our own, in some hundred lines: with rpassword a Ctrl-C leaves the terminal without
//! echo (it raises SIGINT before it restores), and a terminal in its usual line mode cuts a pasted
//! token at 4,095 characters.

use std::collections::VecDeque;
use std::io::{self, Read};

use zeroize::Zeroize;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::Terminal;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::Terminal;

/// A key as far as prompts care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A byte of text.
    Byte(u8),
    Enter,
    Backspace,
    /// Ctrl-U.
    Clear,
    Up,
    Down,
    Escape,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or a terminal that went away.
    End,
    Other,
}

/// Bytes on their way to being keys.
#[derive(Default)]
pub(crate) struct Keys {
    waiting: VecDeque<u8>,
}

impl Keys {
    /// The next key, read from `source` where none waits.
    pub(crate) fn next(&mut self, source: &mut impl Read) -> io::Result<Key> {
        if self.waiting.is_empty() {
            let mut chunk = [0; 256];
            let length = loop {
                match source.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    outcome => break outcome?,
                }
            };
            self.waiting.extend(&chunk[..length]);
            chunk.zeroize();
        }
        Ok(self.decode())
    }

    fn decode(&mut self) -> Key {
        match self.waiting.pop_front() {
            None | Some(0x04) => Key::End,
            Some(b'\r' | b'\n') => Key::Enter,
            Some(0x7f | 0x08) => Key::Backspace,
            Some(0x15) => Key::Clear,
            Some(0x03) => Key::Interrupt,
            Some(0x1b) => self.decode_escape(),
            Some(byte) if byte < 0x20 => Key::Other,
            Some(byte) => Key::Byte(byte),
        }
    }

    /// A terminal sends the bytes of a sequence together, so an ESC with nothing behind it is the
    /// key of that name.
    fn decode_escape(&mut self) -> Key {
        let introducer = self.waiting.pop_front();
        if introducer.is_none() {
            return Key::Escape;
        }
        if !matches!(introducer, Some(b'[' | b'O')) {
            return Key::Other;
        }
        // Parameters, then one final byte (ECMA-48, section 5.4).
        loop {
            match self.waiting.pop_front() {
                Some(b'A') => return Key::Up,
                Some(b'B') => return Key::Down,
                Some(0x20..=0x3f) => {}
                _ => return Key::Other,
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.waiting.make_contiguous().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let (mut keys, mut source) = (Keys::default(), bytes);
        let mut seen = Vec::new();
        loop {
            match keys.next(&mut source).unwrap() {
                Key::End => return seen,
                key => seen.push(key),
            }
        }
    }

    #[test]
    fn keys_are_told_apart() {
        assert_eq!(
            keys(b"a\x7f\x15\x03\r"),
            [
                Key::Byte(b'a'),
                Key::Backspace,
                Key::Clear,
                Key::Interrupt,
                Key::Enter
            ]
        );
        assert_eq!(keys(b"\x1b[A\x1bOB"), [Key::Up, Key::Down]);
        assert_eq!(keys(b"\x1b"), [Key::Escape]);
    }

    #[test]
    fn unknown_sequences_leave_no_text_behind() {
        assert_eq!(keys(b"\x1b[200~x\x1b[201~").len(), 3);
        assert_eq!(keys(b"\x1b[1;5C"), [Key::Other]);
        assert_eq!(keys(b"\x1b[200~x")[1], Key::Byte(b'x'));
    }
}
