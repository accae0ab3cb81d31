//! What Python means by white space, where Rust means something else.

/// `str.isspace` of one character, which is also `\s` of `re` and what `str.strip` removes: Unicode's
/// White_Space and the four separators U+001C to U+001F (CPython, `Objects/unicodetype_db.h`).
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}
