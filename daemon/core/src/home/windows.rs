//! Paths as Python's `ntpath` has them: two kinds of slashes, drives, and variables in three ways of
//! writing.

const SLASHES: [char; 2] = ['\\', '/'];

/// `ntpath.expanduser`: a leading `~` or `~user`, up to the first slash. The directories of other users
/// are guessed to be beside one's own.
pub(super) fn expand_user(path: String, env: impl Fn(&str) -> Option<String>) -> String {
    let Some(after) = path.strip_prefix('~') else {
        return path;
    };
    let (user, rest) = after.split_at(after.find(SLASHES).unwrap_or(after.len()));
    let drive = || env("HOMEDRIVE").unwrap_or_default();
    let own = env("USERPROFILE").or_else(|| env("HOMEPATH").map(|home| join(&drive(), &home)));
    let Some(own) = own else { return path };
    let current = env("USERNAME");
    if user.is_empty() || current.as_deref() == Some(user) {
        return own + rest;
    }
    match split(&own) {
        (profiles, name) if current.as_deref() == Some(name) => join(profiles, user) + rest,
        _ => path,
    }
}

/// `ntpath.expandvars`: `$NAME`, `${NAME}` and `%NAME%`, but not within single quotes; `$$` and `%%` are
/// one character. An unknown one stays, and a value is not expanded again.
pub(super) fn expand_vars(path: String, env: impl Fn(&str) -> Option<String>) -> String {
    if !path.contains(['$', '%']) {
        return path;
    }
    let mut expanded = String::with_capacity(path.len() * 2);
    let mut rest = path.as_str();
    while let Some(at) = rest.find(['\'', '%', '$']) {
        let (before, from) = rest.split_at(at);
        expanded.push_str(before);
        let (text, length) = special(from, &env);
        expanded.push_str(&text);
        rest = &from[length..];
    }
    expanded.push_str(rest);
    expanded
}

/// What the quote, percent sign or dollar at the start of `from` and what belongs to it become, and how
/// many bytes that is.
fn special(from: &str, env: impl Fn(&str) -> Option<String>) -> (String, usize) {
    let (mark, after) = from.split_at(1);
    let as_it_is = |length: usize| (from[..length].to_owned(), length);
    let variable = |name: &str, length: usize| {
        let value = if name.is_empty() { None } else { env(name) };
        value.map_or_else(|| as_it_is(length), |value| (value, length))
    };
    let closed = |by: char| after.find(by);
    match mark {
        "'" => as_it_is(closed('\'').map_or(from.len(), |end| end + 2)),
        _ if after.starts_with(mark) => (mark.to_owned(), 2),
        "%" => match closed('%') {
            Some(end) => variable(&after[..end], end + 2),
            None => as_it_is(from.len()),
        },
        _ if after.starts_with('{') => match closed('}') {
            Some(end) => variable(&after[1..end], end + 2),
            None => as_it_is(from.len()),
        },
        _ => {
            let is_name = |character: char| {
                character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
            };
            let end = after.find(|character| !is_name(character));
            let name = &after[..end.unwrap_or(after.len())];
            variable(name, 1 + name.len())
        }
    }
}

/// `ntpath.join` of two.
pub(super) fn join(base: &str, path: &str) -> String {
    let ((mut drive, mut joined), (new_drive, new)) = (split_drive(base), split_drive(path));
    let mut room = String::new();
    if new.starts_with(SLASHES) {
        if !new_drive.is_empty() || drive.is_empty() {
            drive = new_drive;
        }
        joined = new;
    } else if !new_drive.is_empty() && new_drive.to_lowercase() != drive.to_lowercase() {
        (drive, joined) = (new_drive, new);
    } else {
        if !new_drive.is_empty() {
            drive = new_drive;
        }
        room.push_str(joined);
        if !joined.is_empty() && !joined.ends_with(SLASHES) {
            room.push('\\');
        }
        room.push_str(new);
        joined = &room;
    }
    let is_share = !drive.is_empty() && !drive.ends_with(':');
    let slash = match is_share && !joined.is_empty() && !joined.starts_with(SLASHES) {
        true => "\\",
        false => "",
    };
    [drive, slash, joined].concat()
}

/// `ntpath.split`.
pub(super) fn split(path: &str) -> (&str, &str) {
    let (drive, rest) = split_drive(path);
    let name = rest.rfind(SLASHES).map_or(0, |slash| slash + 1);
    let (head, tail) = rest.split_at(name);
    let trimmed = match head.trim_end_matches(SLASHES) {
        "" => head,
        trimmed => trimmed,
    };
    (&path[..drive.len() + trimmed.len()], tail)
}

/// Whether the path means the same in each directory of each drive.
pub(super) fn is_absolute(path: &str) -> bool {
    let (drive, rest) = split_drive(path);
    !drive.is_empty() && (rest.starts_with(SLASHES) || !drive.ends_with(':'))
}

/// `ntpath.splitdrive`: a letter and a colon, or a server and a share, then the rest.
fn split_drive(path: &str) -> (&str, &str) {
    let slash_from = |start: usize| Some(path.get(start..)?.find(SLASHES)? + start);
    let length = if path.starts_with(SLASHES) && path[1..].starts_with(SLASHES) {
        let start = if is_long_share(path) { 8 } else { 2 };
        let share = slash_from(start).and_then(|slash| slash_from(slash + 1));
        share.unwrap_or(path.len())
    } else {
        let mut characters = path.char_indices();
        match (characters.next(), characters.next()) {
            (Some(_), Some((at, ':'))) => at + 1,
            _ => 0,
        }
    };
    path.split_at(length)
}

/// Whether it begins with `\\?\UNC\`.
fn is_long_share(path: &str) -> bool {
    let is = |(ours, theirs): (char, char)| match theirs {
        '\\' => SLASHES.contains(&ours),
        theirs => ours.eq_ignore_ascii_case(&theirs),
    };
    path.chars().count() >= 8 && path.chars().zip(r"\\?\UNC\".chars()).all(is)
}
