//! Paths as Python's `posixpath` has them.

use std::borrow::Cow;

/// `posixpath.expanduser`: a leading `~` or `~user`, up to the first slash.
pub(super) fn expand_user(
    path: String,
    env: impl Fn(&str) -> Option<String>,
    account: impl Fn(Option<&str>) -> Option<String>,
) -> String {
    let Some(after) = path.strip_prefix('~') else {
        return path;
    };
    let (user, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
    let home = match user {
        "" => env("HOME").or_else(|| account(None)),
        user => account(Some(user)),
    };
    let Some(mut home) = home else { return path };
    home.truncate(home.trim_end_matches('/').len());
    home.push_str(rest);
    if home.is_empty() {
        "/".to_owned()
    } else {
        home
    }
}

/// `posixpath.expandvars`: `$NAME` and `${NAME}`; an unknown one stays, and a value is not expanded
/// again.
pub(super) fn expand_vars(path: String, env: impl Fn(&str) -> Option<String>) -> String {
    if !path.contains('$') {
        return path;
    }
    let mut expanded = String::with_capacity(path.len() * 2);
    let mut rest = path.as_str();
    while let Some(dollar) = rest.find('$') {
        let (before, reference) = rest.split_at(dollar);
        let (name, length) = variable(&reference[1..]);
        let (reference, after) = reference.split_at(1 + length);
        let value = if name.is_empty() { None } else { env(name) };
        expanded.push_str(before);
        expanded.push_str(&value.map_or(Cow::Borrowed(reference), Cow::Owned));
        rest = after;
    }
    expanded.push_str(rest);
    expanded
}

/// The name that follows a `$`, and how many bytes it takes there: letters of ASCII, digits and
/// underscores, or anything within braces. Nothing where none follows.
fn variable(text: &str) -> (&str, usize) {
    if let Some((name, _)) = text
        .strip_prefix('{')
        .and_then(|braced| braced.split_once('}'))
    {
        return (name, name.len() + "{}".len());
    }
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let end = text
        .find(|character| !is_word(character))
        .unwrap_or(text.len());
    (&text[..end], end)
}

/// `posixpath.join` with a relative second part.
pub(super) fn join(mut base: String, name: &str) -> String {
    if !base.is_empty() && !base.ends_with('/') {
        base.push('/');
    }
    base.push_str(name);
    base
}

/// `posixpath.split`.
pub(super) fn split(path: &str) -> (&str, &str) {
    let (head, tail) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    match head.trim_end_matches('/') {
        "" => (head, tail),
        trimmed => (trimmed, tail),
    }
}
