//! What a write does to the files of a mirror, token by token, and what it does that for.

use std::collections::BTreeMap;

use hfd_proto::TokenName;

use crate::model::{Base, Fingerprint, Index, Mirror, Print};
use crate::observe::{Observation, Stored, TokenFile};
use crate::reconcile::{Content, Files, print_of};

/// What a write does to one token in a mirror, with its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is written into `token`.
    Activated,
    /// Its section is new.
    Added,
    /// Its section was agreed on, was gone, and is there again.
    PutBack,
    /// Its section gets another value.
    Replaced,
    /// The refresh token leaves its section.
    Withheld,
    /// The refresh token comes back into its section.
    HandedBack,
    /// Its section says what it did not say: when the token ends.
    Completed,
    /// It leaves the files, because hfd is locked.
    Locked,
    /// It leaves the files, because it was logged out.
    LoggedOut,
    /// Its section leaves the file, because hfd knows the token by another name.
    Renamed,
    /// It leaves the files, because the mirror's mode does not show it.
    NotShown,
}

/// The effects of writing `files` in the place of `seen`, one for each token that it changes: what is
/// said of a section goes before what is said of `token`, but for a section that is merely new.
pub fn explain(
    index: &Index,
    mirror: &Mirror,
    seen: &Observation,
    files: &Files,
) -> BTreeMap<TokenName, Effect> {
    let mut effects = BTreeMap::new();
    if let Some(contents) = &files.stored {
        sections(index, mirror, seen, contents, &mut effects);
    }
    match (&files.token, &mirror.active) {
        (Some(Some(_)), Some(active)) => {
            let effect = effects.entry(active.clone()).or_insert(Effect::Activated);
            if *effect == Effect::Added {
                *effect = Effect::Activated;
            }
        }
        (Some(None), _) => {
            if let TokenFile::Value(value) = &seen.token
                && let Some(name) = name_of(index, mirror, index.salt.fingerprint(value))
            {
                let effect = why_gone(index, &name, None);
                effects.entry(name).or_insert(effect);
            }
        }
        _ => {}
    }
    effects
}

fn sections(
    index: &Index,
    mirror: &Mirror,
    seen: &Observation,
    contents: &BTreeMap<String, Content>,
    effects: &mut BTreeMap<TokenName, Effect>,
) {
    let mut before = BTreeMap::new();
    if let Stored::Sections(found) = &seen.stored {
        let usable = found.iter().filter_map(|section| {
            let (name, access) = section.usable()?;
            Some((name, print_of(&index.salt, section, access)))
        });
        before.extend(usable);
    }
    for (section, content) in contents {
        let (Content::Store(after, _), Ok(name)) = (content, TokenName::parse(section.as_str()))
        else {
            continue;
        };
        let effect = match before.remove(&name) {
            Some(before) => why_changed(before, *after),
            None => Some(why_new(&mirror.base, &name)),
        };
        effects.extend(effect.map(|effect| (name, effect)));
    }
    for (name, print) in before {
        let effect = why_gone(index, &name, Some(print.access));
        effects.insert(name, effect);
    }
}

fn why_new(base: &Base, name: &TokenName) -> Effect {
    match base.sections.contains_key(name) {
        true => Effect::PutBack,
        false => Effect::Added,
    }
}

fn why_changed(before: Print, after: Print) -> Option<Effect> {
    if before.access != after.access {
        return Some(Effect::Replaced);
    }
    match (before.refresh, after.refresh) {
        (Some(_), None) => Some(Effect::Withheld),
        (None, Some(_)) => Some(Effect::HandedBack),
        _ if before != after => Some(Effect::Completed),
        _ => None,
    }
}

fn why_gone(index: &Index, name: &TokenName, access: Option<Fingerprint>) -> Effect {
    if index.locked {
        return Effect::Locked;
    }
    if index.tokens.contains_key(name) {
        return Effect::NotShown;
    }
    match access.and_then(|access| index.name_of(access, None)) {
        Some(_) => Effect::Renamed,
        None => Effect::LoggedOut,
    }
}

/// The name that a value in `token` has, or had until it was logged out.
fn name_of(index: &Index, mirror: &Mirror, value: Fingerprint) -> Option<TokenName> {
    let known = index.name_of(value, mirror.active.as_ref());
    let removed = || {
        let mut stones = index.tombstones.iter().rev();
        let stone = stones.find(|stone| stone.access == value)?;
        Some(&stone.name)
    };
    known.or_else(removed).cloned()
}
