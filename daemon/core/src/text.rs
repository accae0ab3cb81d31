//! How the bytes of a file are text where Python runs on Windows.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// How a file was written that is no UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// In none that is read: huggingface_hub takes it for empty since 2.1.1.
    Utf8,
    /// In the code page of Western Windows, as huggingface_hub wrote it there before 2.1.1.
    Utf8OrCp1252,
}

/// The text of a file, where it has one; borrowed where it is UTF-8.
pub(crate) fn decode(content: &[u8], encoding: Encoding) -> Option<Cow<'_, str>> {
    match (std::str::from_utf8(content), encoding) {
        (Ok(text), _) => Some(Cow::Borrowed(text)),
        (Err(_), Encoding::Utf8) => None,
        (Err(_), Encoding::Utf8OrCp1252) => {
            let characters = content.iter().map(|byte| from_cp1252(*byte));
            characters.collect::<Option<String>>().map(Cow::Owned)
        }
    }
}

/// As Python's codec `cp1252`, which has nothing for five of the bytes.
fn from_cp1252(byte: u8) -> Option<char> {
    const FROM_0X80: [char; 32] = [
        '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0',
        '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => Some(FROM_0X80[usize::from(byte - 0x80)]).filter(|found| *found != '\0'),
        _ => Some(char::from(byte)),
    }
}

/// What Python's text mode makes of `\n` on Windows, where huggingface_hub writes with it (2.4.0,
/// `_write_secret`: `os.fdopen(fd, "w", encoding="utf-8")`).
pub fn text_mode_of_windows(content: &[u8]) -> Zeroizing<Vec<u8>> {
    let breaks = content.iter().filter(|byte| **byte == b'\n').count();
    // Reserved whole, so that no reallocation leaves a copy behind.
    let mut written = Zeroizing::new(Vec::with_capacity(content.len() + breaks));
    for byte in content {
        if *byte == b'\n' {
            written.push(b'\r');
        }
        written.push(*byte);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_utf8_is_read_in_the_code_page_where_that_is_wanted() {
        use Encoding::{Utf8, Utf8OrCp1252};
        // Both of these are `é`.
        let (utf8, cp1252) = ("[caf\u{e9}]".as_bytes(), b"[caf\xe9]");
        for encoding in [Utf8, Utf8OrCp1252] {
            assert_eq!(decode(utf8, encoding).as_deref(), Some("[caf\u{e9}]"));
        }
        assert_eq!(decode(cp1252, Utf8), None);
        assert_eq!(decode(cp1252, Utf8OrCp1252).as_deref(), Some("[caf\u{e9}]"));
        assert_eq!(
            decode(b"\x80\x99\xff", Utf8OrCp1252).as_deref(),
            Some("€™ÿ")
        );
        for hole in [0x81, 0x8d, 0x8f, 0x90, 0x9d] {
            assert_eq!(decode(&[b'a', hole], Utf8OrCp1252), None, "{hole:#x}");
        }
    }

    #[test]
    fn each_line_ends_as_on_windows() {
        assert_eq!(
            *text_mode_of_windows(b"[a]\nb = c\n\n"),
            b"[a]\r\nb = c\r\n\r\n"
        );
        assert_eq!(*text_mode_of_windows(b"hf_x"), b"hf_x");
    }
}
