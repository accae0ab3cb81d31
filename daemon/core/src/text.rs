//! How the bytes of a file are text where Python runs on Windows.

use zeroize::Zeroizing;

/// How a file is text that is no UTF-8.
#[derive(Debug, Clone, Copy)]
pub enum Encoding {
    /// Not at all: huggingface_hub takes it for empty since 2.1.1.
    Utf8,
    /// In the code page of the system, as huggingface_hub wrote it on Windows before 2.1.1. Nothing where
    /// the bytes mean nothing there: Python would read none of them.
    Utf8OrLocal(fn(&[u8]) -> Option<Zeroizing<String>>),
}

impl Encoding {
    /// The text of a file that is no UTF-8, where it has one.
    ///
    /// A file is in one encoding: an older version that reads UTF-8 takes its bytes for other characters, and
    /// writes those as the same bytes again.
    pub(crate) fn decode(self, content: &[u8]) -> Option<Zeroizing<String>> {
        match self {
            Self::Utf8OrLocal(decode) if std::str::from_utf8(content).is_err() => decode(content),
            _ => None,
        }
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
    fn only_what_is_no_utf8_is_read_in_the_code_page_and_only_where_that_is_wanted() {
        let local = Encoding::Utf8OrLocal(|_| Some(Zeroizing::new("local".to_owned())));
        let decode = |encoding: Encoding, content| {
            let text = encoding.decode(content);
            text.map(|text| text.as_str().to_owned())
        };
        assert_eq!(decode(local, b"[caf\xe9]").as_deref(), Some("local"));
        assert_eq!(decode(local, "[caf\u{e9}]".as_bytes()), None);
        assert_eq!(decode(Encoding::Utf8, b"[caf\xe9]"), None);
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
