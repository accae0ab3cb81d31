//! A secret on stdin.

use std::io::{self, Read};

use hfd_proto::{Error, Kind, Passphrase, Secret};
use zeroize::Zeroizing;

/// The most that is read: twice the longest token, so that surrounding white space does no harm
/// and `hfd login --with-token < /dev/zero` ends.
pub(crate) const MAX_INPUT: usize = 2 * hfd_proto::MAX_SECRET;

/// Reads a token, all of stdin.
pub(crate) fn token() -> Result<Secret, Error> {
    read_token(io::stdin().lock())
}

/// Reads a passphrase, all of stdin: one line, whose end is no part of it.
pub(crate) fn passphrase() -> Result<Passphrase, Error> {
    let input = read(io::stdin().lock())?;
    let refused = |why: &str| {
        Error::new(Kind::Usage, format!("stdin holds no passphrase: {why}"))
            .hint("printf %s \"$PASSPHRASE\" | …")
    };
    let text = std::str::from_utf8(&input).map_err(|_| refused("it is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    Passphrase::parse(line).map_err(|why| refused(&why.to_string()))
}

fn read(source: impl Read) -> Result<Zeroizing<Vec<u8>>, Error> {
    // Room for all of it at once: growing would leave copies behind.
    let mut input = Zeroizing::new(Vec::with_capacity(MAX_INPUT + 1));
    source
        .take(MAX_INPUT as u64 + 1)
        .read_to_end(&mut input)
        .map_err(|error| Error::new(Kind::Other, format!("cannot read stdin: {error}")))?;
    Ok(input)
}

fn read_token(source: impl Read) -> Result<Secret, Error> {
    let input = read(source)?;
    let refused = |why: &str| {
        Error::new(Kind::Usage, format!("stdin holds no token: {why}"))
            .hint("printf %s \"$TOKEN\" | hfd login --with-token")
    };
    if input.len() > MAX_INPUT {
        return Err(refused("it is far too long"));
    }
    let text = std::str::from_utf8(&input).map_err(|_| refused("it is not UTF-8"))?;
    Secret::parse(text).map_err(|why| refused(&why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_with_its_newline_or_without() {
        for input in ["hf_a", "hf_a\n", "  hf_a\r\n"] {
            assert_eq!(read_token(input.as_bytes()).unwrap().expose(), "hf_a");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        for input in [
            &b""[..],
            b"\n",
            b"hf_canary b",
            b"hf_canary\nhf_b",
            b"\xffhf_canary",
        ] {
            let error = read_token(input).unwrap_err();
            assert_eq!(error.kind, Kind::Usage);
            assert!(!error.message.contains("canary"));
        }
        let endless = io::repeat(b'x');
        assert!(
            read_token(endless)
                .unwrap_err()
                .message
                .contains("far too long")
        );
    }
}
