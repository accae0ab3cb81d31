//! Text in the code page of this Windows, in which huggingface_hub wrote before 2.1.1.

use windows_sys::Win32::Globalization::{CP_ACP, MB_ERR_INVALID_CHARS, MultiByteToWideChar};
use zeroize::Zeroizing;

/// What the bytes say in the code page of this Windows, which is Python's `locale.getencoding()`; nothing
/// where they say nothing.
pub(super) fn decode_local(bytes: &[u8]) -> Option<Zeroizing<String>> {
    decode(bytes, CP_ACP)
}

fn decode(bytes: &[u8], code_page: u32) -> Option<Zeroizing<String>> {
    let length = i32::try_from(bytes.len()).ok()?;
    // No code page has more UTF-16 units than bytes, and none of those more than three bytes in UTF-8:
    // reserved whole, so that no reallocation leaves a copy behind.
    let mut wide = Zeroizing::new(vec![0u16; bytes.len()]);
    let mut text = Zeroizing::new(String::with_capacity(3 * bytes.len()));
    // SAFETY: both buffers are as long as is said.
    let units = unsafe {
        MultiByteToWideChar(
            code_page,
            MB_ERR_INVALID_CHARS,
            bytes.as_ptr(),
            length,
            wide.as_mut_ptr(),
            length,
        )
    };
    // Nothing where it failed, and where there was nothing.
    let units = usize::try_from(units).ok().filter(|units| *units > 0)?;
    for character in char::decode_utf16(wide[..units].iter().copied()) {
        text.push(character.ok().filter(|found| !is_made_up(*found))?);
    }
    Some(text)
}

/// What Windows has for bytes that mean nothing in a code page: a control character of the same number, or
/// one that has no meaning. Python refuses such bytes.
fn is_made_up(character: char) -> bool {
    matches!(character, '\u{80}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}')
}

#[cfg(test)]
mod tests {
    use hfd_core::observe::{Section, Stored};
    use hfd_core::text::Encoding;

    use super::*;

    const RECORDED: &str = include_str!("../../../core/tests/oracle/windows.jsonl");
    const CODE_PAGES: &str = include_str!("../../../core/tests/oracle/code_pages.json");

    fn bytes(characters: &str) -> Vec<u8> {
        let bytes = characters.chars().map(u32::from).map(u8::try_from);
        bytes.collect::<Result<_, _>>().unwrap()
    }

    /// One function for each, since a decoder knows one code page.
    fn encoding(code_page: &str) -> Encoding {
        Encoding::Utf8OrLocal(match code_page {
            "cp1252" => |bytes| decode(bytes, 1252),
            "cp1251" => |bytes| decode(bytes, 1251),
            "cp932" => |bytes| decode(bytes, 932),
            "cp936" => |bytes| decode(bytes, 936),
            "cp949" => |bytes| decode(bytes, 949),
            other => panic!("{other} is not recorded"),
        })
    }

    #[test]
    fn what_older_versions_of_huggingface_hub_wrote_is_read_as_they_read_it() {
        let mut read = 0;
        for line in RECORDED.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let Some(text) = case["text"].as_str() else {
                continue;
            };
            let content = bytes(case["stored_tokens"].as_str().unwrap());
            let encoding = encoding(case["code_page"].as_str().unwrap());
            let ours = Stored::parse_as(&content, encoding);
            assert_eq!(ours, Stored::parse(text.as_bytes()), "{line}");
            let Stored::Sections(sections) = ours else {
                panic!("{ours:?}");
            };
            let theirs = case["read"].as_object().unwrap();
            let token_of = |section: &Section| section.access.as_ref().unwrap().expose().to_owned();
            assert_eq!(sections.len(), theirs.len());
            for section in &sections {
                let token = theirs[&section.name]["hf_token"].as_str();
                assert_eq!(Some(token_of(section).as_str()), token, "{line}");
            }
            read += 1;
        }
        assert!(read > 20, "{read}");
    }

    #[test]
    fn a_byte_means_what_it_means_to_python_or_nothing() {
        let tables: Vec<String> = serde_json::from_str(CODE_PAGES).unwrap();
        let pages = [874, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258];
        assert_eq!(tables.len(), pages.len());
        for (table, page) in tables.iter().zip(pages) {
            for (byte, character) in (0..=u8::MAX).zip(table.chars()) {
                let ours = decode(&[byte], page).map(|text| text.as_str().to_owned());
                let theirs = Some(character.to_string()).filter(|it| it != "\u{fffd}");
                if (page, byte) == (1255, 0xca) {
                    // A Hebrew vowel that Python does not have.
                    continue;
                }
                assert_eq!(ours, theirs, "{byte:#x} in {page}");
            }
        }
    }

    #[test]
    fn half_a_character_is_nothing() {
        assert_eq!(decode(b"[\x93\xfa]", 932).unwrap().as_str(), "[日]");
        assert!(decode(b"[\x93", 932).is_none());
        assert!(decode(b"", 932).is_none());
    }

    #[test]
    fn this_windows_has_a_code_page() {
        assert_eq!(decode_local(b"hf_x").unwrap().as_str(), "hf_x");
    }
}
