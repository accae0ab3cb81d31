//! The merge of a mirror's files with the view of the store: a pure function from what both sides
//! last agreed on, what the view wants and what was observed, to what has to be done.
//!
//! The store side is a value or unknown, never absent: only a tombstone removes. In doubt, never
//! lose; then, never raise.

use std::collections::BTreeMap;

use hfd_proto::{Secret, TokenName};

use crate::model::{Base, Fingerprint, Index, Mirror, Print, Record, Salt};
use crate::observe::{Observation, Section, Stored, TokenFile};
use crate::view::{shown, view};

/// What has to be done. Imports, removals and the change of the active token go into the store and
/// the index first; then [`reconcile`] is asked once more and `write` is carried out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Values that the files have and the store has not.
    pub imports: Vec<Import>,
    /// Names that a tool removed, believed.
    pub removals: Vec<TokenName>,
    /// A change of the active token that a tool made.
    pub active: Option<NewActive>,
    /// What the files must become; `None` when they are right or must be left alone.
    pub write: Option<Files>,
    /// Why the files were left alone although they differ, for `status`.
    pub held: Option<Held>,
    /// What only time can tell: asked again with [`Occasion::Settled`] when nothing has happened for
    /// as long as the doubt takes.
    pub doubt: Option<Doubt>,
}

/// Something that looks the same whether it is meant or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Both files are gone: a logout from everything, or a directory on its way to be deleted.
    BothGone,
    /// A token that was logged out stands in the file again: a stale writer, or a login of which the
    /// second file is still to be written.
    Echo,
}

impl Plan {
    fn changes(&self, name: &TokenName) -> bool {
        self.imports.iter().any(|import| import.name == *name)
    }
}

/// A value to be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The name it gets.
    pub name: TokenName,
    /// The access token.
    pub access: Secret,
    /// The refresh token beside it.
    pub refresh: Option<Secret>,
    /// When the access token ends, in Unix seconds.
    pub expires_at: Option<i64>,
    /// Whether a section names it; false for a bare `token`.
    pub named: bool,
    /// Whether it takes the place of an older value of that name.
    pub update: bool,
}

/// What a tool made active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewActive {
    /// Nothing: `token` is gone.
    Nothing,
    /// The token of that name.
    Name(TokenName),
}

/// Why files that differ from the view were not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Both files are gone: a logout from everything, or the directory was cleaned. Nothing leaves
    /// the store, nothing is put back until hfd is asked to.
    BothGone,
    /// A file does not parse; a tool's next write would wipe it, ours will not.
    Unreadable,
}

/// The new contents of the files. A part that is `None` stays as it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The sections of `stored_tokens`, by name; the file is absent only if it was.
    pub stored: Option<BTreeMap<String, Content>>,
    /// `token`: the value to write, or nothing to unlink it.
    pub token: Option<Option<Fingerprint>>,
}

/// Where the content of a section comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// From the store: these values, and other keys that the file already had.
    Store(Print, Vec<(String, String)>),
    /// As the file has it: a section that hfd does not understand.
    File(Section),
}

/// How the caller wants doubts resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Something was noticed: a tool's removal may be believed, and what is gone stays gone.
    Noticed,
    /// Nothing has happened for as long as the doubt of the last plan takes.
    Settled,
    /// hfd was asked to change this mirror: it writes the view.
    Asked,
}

/// Compares the files of a mirror with its view.
pub fn reconcile(index: &Index, mirror: &Mirror, seen: &Observation, occasion: Occasion) -> Plan {
    let Some(view) = view(index, mirror) else {
        return Plan::default();
    };
    let merge = Merge::new(index, mirror, &view, seen);
    if merge.both_gone() && occasion != Occasion::Asked {
        let plan = merge.logged_out(occasion);
        if plan != Plan::default() {
            return plan;
        }
        // What was here is removed: what there is besides may be shown.
    }
    let mut plan = Plan::default();
    if let Some(sections) = &merge.sections {
        merge.sections_into(&mut plan, sections, occasion);
    }
    merge.token_into(&mut plan, occasion);
    merge.write_into(&mut plan, occasion);
    plan
}

/// One call of [`reconcile`].
struct Merge<'a> {
    index: &'a Index,
    mirror: &'a Mirror,
    view: &'a Base,
    seen: &'a Observation,
    /// The sections that hfd keeps, by name; `None` where the file does not parse.
    sections: Option<BTreeMap<TokenName, (Print, &'a Section)>>,
    /// What `token` holds.
    token: Option<Fingerprint>,
}

impl<'a> Merge<'a> {
    fn new(index: &'a Index, mirror: &'a Mirror, view: &'a Base, seen: &'a Observation) -> Self {
        let sections = match &seen.stored {
            Stored::Absent => Some(BTreeMap::new()),
            Stored::Unreadable(_) => None,
            Stored::Sections(sections) => Some(
                sections
                    .iter()
                    .filter_map(|section| {
                        let (name, access) = section.usable()?;
                        Some((name, (print_of(&index.salt, section, access), section)))
                    })
                    .collect(),
            ),
        };
        let token = match &seen.token {
            TokenFile::Value(value) => Some(index.salt.fingerprint(value)),
            TokenFile::Absent | TokenFile::Unreadable(_) => None,
        };
        Self {
            index,
            mirror,
            view,
            seen,
            sections,
            token,
        }
    }

    /// Both files vanished since they were last right.
    fn both_gone(&self) -> bool {
        let base = &self.mirror.base;
        self.seen.stored == Stored::Absent
            && self.seen.token == TokenFile::Absent
            && (!base.sections.is_empty() || base.token.is_some())
    }

    /// Nothing is active here; once that has settled, what both sides agreed on is removed.
    fn logged_out(&self, occasion: Occasion) -> Plan {
        let active = self.mirror.active.is_some().then_some(NewActive::Nothing);
        if occasion == Occasion::Noticed {
            return Plan {
                active,
                held: Some(Held::BothGone),
                doubt: Some(Doubt::BothGone),
                ..Plan::default()
            };
        }
        let base = &self.mirror.base;
        let agreed = |(name, record): &(&TokenName, &Record)| match base.sections.get(*name) {
            Some(print) => print.access == record.access,
            None => base.token == Some(record.access) && !record.named,
        };
        let tokens = self.index.tokens.iter().filter(agreed);
        Plan {
            active,
            removals: tokens.map(|(name, _)| name.clone()).collect(),
            ..Plan::default()
        }
    }

    /// A token that was logged out and came back, in a file from which it had gone.
    fn is_echo(&self, name: &TokenName, file: Fingerprint) -> bool {
        !self.index.tokens.contains_key(name)
            && !self.mirror.base.sections.contains_key(name)
            && self.is_removed(name, file)
            && !self.is_made_active(file)
    }

    /// Echoes, which stay in the file while they are in doubt.
    fn echoes(&self) -> impl Iterator<Item = (&TokenName, Print)> {
        let sections = self.sections.iter().flatten();
        sections
            .map(|(name, (print, _))| (name, *print))
            .filter(|(name, print)| self.is_echo(name, print.access))
    }

    fn sections_into(
        &self,
        plan: &mut Plan,
        file: &BTreeMap<TokenName, (Print, &'a Section)>,
        occasion: Occasion,
    ) {
        // Updates first: what is kept elsewhere depends on them.
        for update in [true, false] {
            for (name, (print, section)) in file {
                let import = self.import_of(plan, name, *print, section);
                plan.imports
                    .extend(import.filter(|import| import.update == update));
            }
        }
        if occasion != Occasion::Asked {
            let removal = self.believed_removal(plan, file);
            plan.removals.extend(removal);
        }
    }

    /// What a section of the file means for the store.
    fn import_of(
        &self,
        plan: &Plan,
        name: &TokenName,
        file: Print,
        section: &Section,
    ) -> Option<Import> {
        let base = self.mirror.base.sections.get(name);
        let record = self.index.tokens.get(name);
        let known = record.map(Print::from);
        let shown = record.map(|record| shown(self.index, self.mirror, record));
        let import = |name: TokenName, update| {
            Import {
                name,
                access: section.access.clone()?,
                refresh: section.refresh.clone(),
                expires_at: section.expires_at,
                named: true,
                update,
            }
            .into()
        };
        match known {
            // Logged out; a stale writer brought it back. Made active as well, it is a new login.
            None if self.is_removed(name, file.access) => self
                .is_made_active(file.access)
                .then(|| import(name.clone(), false))?,
            // Known by another name now; the file did not hear of it yet.
            None if base.is_some_and(|base| base.access == file.access) => None,
            None => import(name.clone(), false),
            Some(known) if !says_more(file, known) => None,
            // The file says what it said before: the store has moved on.
            Some(_) if base.is_some_and(|base| !says_more(file, *base)) => None,
            // A value that hfd itself replaced or removed: a stale writer brought it back.
            Some(_) if self.is_superseded(name, file.access) => None,
            Some(_) if self.is_removed(name, file.access) && !self.is_made_active(file.access) => {
                None
            }
            // A tool changed it, or says more about it.
            Some(known) if base == shown.as_ref() || known.access == file.access => {
                import(name.clone(), true)
            }
            // Kept under another name already, with all that is said about it here.
            Some(_) if self.is_kept(plan, file) => None,
            // Two values of one name and no common ancestor that tells which is newer: keep both.
            Some(_) => import(self.free_name(plan, name), false),
        }
    }

    /// The value was logged out by this name; or by another one, and no token has it now.
    fn is_removed(&self, name: &TokenName, value: Fingerprint) -> bool {
        let mut stones = self.index.tombstones.iter();
        stones.any(|stone| {
            let is_gone = || self.index.name_of(value, None).is_none();
            stone.access == value && (stone.name == *name || is_gone())
        })
    }

    /// A tool wrote it into `token`, where another one was.
    fn is_made_active(&self, value: Fingerprint) -> bool {
        self.token == Some(value) && self.mirror.base.token != Some(value)
    }

    /// A token says as much, and will after `plan`.
    fn is_kept(&self, plan: &Plan, file: Print) -> bool {
        let mut tokens = self.index.tokens.iter();
        tokens.any(|(name, record)| !says_more(file, Print::from(record)) && !plan.changes(name))
    }

    /// A name that neither the index nor the file nor another import has.
    fn free_name(&self, plan: &Plan, name: &TokenName) -> TokenName {
        let sections = self.sections.iter().flat_map(BTreeMap::keys);
        let imports = plan.imports.iter().map(|import| &import.name);
        self.index
            .free_name_beside(name, &sections.chain(imports).collect())
    }

    fn is_superseded(&self, name: &TokenName, value: Fingerprint) -> bool {
        self.index
            .superseded
            .get(name)
            .is_some_and(|values| values.contains(&value))
    }

    /// A removal is believed only in the shape that upstream's `logout NAME` leaves: exactly one
    /// section gone, nothing else changed, and `token` gone with it if it was the active one.
    /// Versions up to 1.19 drop refresh tokens and expiries of all that stays.
    fn believed_removal(
        &self,
        plan: &Plan,
        file: &BTreeMap<TokenName, (Print, &'a Section)>,
    ) -> Option<TokenName> {
        let Stored::Sections(sections) = &self.seen.stored else {
            return None;
        };
        let base = &self.mirror.base;
        let mut gone = base
            .sections
            .iter()
            .filter(|(name, _)| !file.contains_key(*name));
        let (Some((name, print)), None) = (gone.next(), gone.next()) else {
            return None;
        };
        let is_as = |as_it_would_be: fn(Print) -> Print| {
            let mut others = file.iter();
            others.all(|(name, (print, _))| {
                base.sections.get(name).copied().map(as_it_would_be) == Some(*print)
            })
        };
        let others_unchanged = is_as(|base| base)
            || is_as(|base| Print {
                refresh: None,
                expires_at: None,
                ..base
            });
        let token_fits = match &self.seen.token {
            TokenFile::Absent => base.token.is_none() || base.token == Some(print.access),
            TokenFile::Value(_) => self.token == base.token && self.token != Some(print.access),
            TokenFile::Unreadable(_) => false,
        };
        // Without its value it is not gone: somebody is at work on the file.
        let is_there = sections.iter().any(|found| found.name == name.as_str());
        // The active token differs from the base after both files were gone, too.
        let same_token = self.view.token == base.token || self.came_back(plan);
        let unchanged_here = self.view.sections.get(name) == Some(print) && same_token;
        (others_unchanged && token_fits && unchanged_here && !is_there).then(|| name.clone())
    }

    fn token_into(&self, plan: &mut Plan, occasion: Occasion) {
        let base = self.mirror.base.token;
        let value = match &self.seen.token {
            TokenFile::Value(value) => value,
            TokenFile::Absent => {
                // Asked for again after both files were gone, it is as in the base, too.
                let gone = base.is_some() && base == self.token_after(plan);
                if gone && occasion != Occasion::Asked {
                    plan.active = Some(NewActive::Nothing);
                }
                return;
            }
            TokenFile::Unreadable(_) => return,
        };
        // While the active token gets another value, `token` may be of another one.
        let active = self.mirror.active.as_ref();
        let is_right = self.token == self.view.token && !active.is_some_and(|it| plan.changes(it));
        let came_back = occasion != Occasion::Asked && self.came_back(plan);
        if is_right || (self.token == base && !came_back) {
            return;
        }
        let name = self.name_of_token(plan, value);
        if self.mirror.active.as_ref() != Some(&name) {
            plan.active = Some(NewActive::Name(name));
        }
    }

    /// `token` is as it was agreed, nothing is active any more, and nobody removed the token: a
    /// tool logged out of everything and in again.
    fn came_back(&self, plan: &Plan) -> bool {
        let (None, Some(print)) = (self.view.token, self.token) else {
            return false;
        };
        let imported = |import: &Import| self.index.salt.fingerprint(&import.access) == print;
        let is_known =
            self.index.name_of(print, None).is_some() || plan.imports.iter().any(imported);
        let stones = &self.index.tombstones;
        self.mirror.base.token == Some(print)
            && is_known
            && stones.iter().all(|stone| stone.access != print)
    }

    /// What the view wants in `token` once the imports of `plan` are done.
    fn token_after(&self, plan: &Plan) -> Option<Fingerprint> {
        let active = self.mirror.active.as_ref();
        let import = plan
            .imports
            .iter()
            .find(|import| Some(&import.name) == active);
        match import {
            Some(import) => Some(self.index.salt.fingerprint(&import.access)),
            None => self.view.token,
        }
    }

    /// The name of the value in `token`: a section of the file, a token of the index, one for which
    /// hfd has a newer value, the one that was logged out with this value, or none, in which case
    /// it is imported without one.
    fn name_of_token(&self, plan: &mut Plan, value: &Secret) -> TokenName {
        let print = self.index.salt.fingerprint(value);
        let imported = plan.imports.iter().find(|import| import.access == *value);
        if let Some(import) = imported {
            return import.name.clone();
        }
        if let Some(name) = self.name_of_known(plan, print) {
            return name.clone();
        }
        if let Some(name) = self.name_of_stale(print) {
            return name.clone();
        }
        let removed = self
            .index
            .tombstones
            .iter()
            .rev()
            .find(|stone| stone.access == print);
        let unnamed = TokenName::parse(format!("unnamed-{}", print.short()));
        let (name, named) = match (removed, unnamed) {
            (Some(stone), _) if !stone.name.as_str().starts_with("unnamed-") => {
                (stone.name.clone(), true)
            }
            (Some(stone), _) => (stone.name.clone(), false),
            // "unnamed-" and four digits are always a name.
            (None, Ok(name)) => (name, false),
            (None, Err(_)) => unreachable!("a short ASCII text is a valid name"),
        };
        let name = self.free_name(plan, &name);
        // What a section that is on its way out says about the value is kept.
        let mut sections = self.sections.iter().flat_map(BTreeMap::values);
        let section = sections.find(|(found, _)| found.access == print);
        plan.imports.push(Import {
            name: name.clone(),
            access: value.clone(),
            refresh: section.and_then(|(_, section)| section.refresh.clone()),
            expires_at: section.and_then(|(print, _)| print.expires_at),
            named,
            update: false,
        });
        name
    }

    /// The token that has this value and will have it after `plan`, the active one first.
    fn name_of_known(&self, plan: &Plan, value: Fingerprint) -> Option<&TokenName> {
        let active = self.mirror.active.as_ref();
        let mut names = active.into_iter().chain(self.index.tokens.keys());
        names.find(|name| {
            let record = self.index.tokens.get(*name);
            // No import is of this value: those were asked before.
            record.is_some_and(|record| record.access == value) && !plan.changes(name)
        })
    }

    /// The token that had this value until hfd replaced it, the active one first.
    fn name_of_stale(&self, value: Fingerprint) -> Option<&TokenName> {
        let active = self.mirror.active.as_ref();
        let mut names = active.into_iter().chain(self.index.superseded.keys());
        names.find(|name| self.is_superseded(name, value) && self.index.tokens.contains_key(*name))
    }

    /// What the files must become, as far as the index is right already.
    fn write_into(&self, plan: &mut Plan, occasion: Occasion) {
        if !plan.imports.is_empty() || !plan.removals.is_empty() || plan.active.is_some() {
            // The index comes first; the view is then another.
            return;
        }
        let mut files = Files::default();
        match &self.sections {
            None => plan.held = Some(Held::Unreadable),
            Some(file) => {
                let echoes: BTreeMap<&TokenName, Print> = match occasion {
                    Occasion::Settled => BTreeMap::new(),
                    Occasion::Noticed | Occasion::Asked => self.echoes().collect(),
                };
                if !echoes.is_empty() {
                    plan.doubt = Some(Doubt::Echo);
                }
                let prints = file.iter().map(|(name, (print, _))| (name, print));
                let prints = prints.filter(|(name, _)| !echoes.contains_key(name));
                if !prints.eq(self.view.sections.iter()) {
                    files.stored = Some(self.contents(&echoes));
                }
            }
        }
        match &self.seen.token {
            TokenFile::Unreadable(_) if self.mirror.base.token == self.view.token => {
                plan.held = Some(Held::Unreadable);
            }
            _ if self.token != self.view.token => files.token = Some(self.view.token),
            _ => {}
        }
        if files.stored.is_some() || files.token.is_some() {
            plan.write = Some(files);
        }
    }

    fn contents(&self, echoes: &BTreeMap<&TokenName, Print>) -> BTreeMap<String, Content> {
        let mut contents: BTreeMap<String, Content> = BTreeMap::new();
        if let Stored::Sections(sections) = &self.seen.stored {
            let foreign = sections.iter().filter(|section| section.usable().is_none());
            contents.extend(
                foreign.map(|section| (section.name.clone(), Content::File(section.clone()))),
            );
        }
        let echoes = echoes.iter().map(|(name, print)| (*name, print));
        for (name, print) in self.view.sections.iter().chain(echoes) {
            let others = self.others_of(name, *print);
            contents.insert(name.as_str().to_owned(), Content::Store(*print, others));
        }
        contents
    }

    /// What a section has beside the three keys that the store fills.
    fn others_of(&self, name: &TokenName, print: Print) -> Vec<(String, String)> {
        let Stored::Sections(sections) = &self.seen.stored else {
            return Vec::new();
        };
        let ours = |key: &str| match key {
            "hf_token" => true,
            "refresh_token" => print.refresh.is_some(),
            "expires_at" => print.expires_at.is_some(),
            _ => false,
        };
        let same_name = sections.iter().filter(|found| found.name == name.as_str());
        same_name
            .flat_map(|section| &section.others)
            .filter(|(key, _)| !ours(key))
            .cloned()
            .collect()
    }
}

/// Whether a section holds something that the store does not: another access token, or beside the
/// same one a refresh token or an expiry that is not known. Versions up to 1.19 of huggingface_hub
/// drop the last two of every section, which says nothing about them.
fn says_more(file: Print, known: Print) -> bool {
    file.access != known.access
        || (file.refresh.is_some() && file.refresh != known.refresh)
        || (file.expires_at.is_some() && file.expires_at != known.expires_at)
}

pub(crate) fn print_of(salt: &Salt, section: &Section, access: &Secret) -> Print {
    Print {
        access: salt.fingerprint(access),
        refresh: section
            .refresh
            .as_ref()
            .map(|value| salt.fingerprint(value)),
        expires_at: section.expires_at,
    }
}

/// Whether something that both sides agreed on is missing in the files: a removal, or a tool between
/// its two writes.
pub fn is_less(mirror: &Mirror, seen: &Observation) -> bool {
    let has = |name: &TokenName| match &seen.stored {
        Stored::Sections(sections) => sections.iter().any(|found| found.name == name.as_str()),
        Stored::Absent => false,
        Stored::Unreadable(_) => true,
    };
    let token_is_gone = mirror.base.token.is_some() && seen.token == TokenFile::Absent;
    token_is_gone || !mirror.base.sections.keys().all(has)
}

/// What view and files agree on once `seen` needs no write, to be kept as the base.
pub fn agreed(index: &Index, mirror: &Mirror) -> Base {
    view(index, mirror).unwrap_or_default()
}

/// The base to keep when `seen` needs no write, although `held` may say why it is not right.
pub fn base_after(index: &Index, mirror: &Mirror, seen: &Observation, held: Option<Held>) -> Base {
    let mut base = agreed(index, mirror);
    match (held, &seen.stored) {
        (None, _) => {}
        // What is gone can be asked for again, and is not to be put back before.
        (Some(Held::BothGone), _) => base = mirror.base.clone(),
        // A tool's next login leaves itself alone in the file: that must not look like a logout
        // of what was there before.
        (Some(Held::Unreadable), Stored::Unreadable(_)) => base.sections.clear(),
        (Some(Held::Unreadable), _) => {}
    }
    base
}

/// The values found in a mirror's files by fingerprint: what need not be asked of the store again.
pub fn values<'a>(salt: &Salt, seen: &'a Observation) -> BTreeMap<Fingerprint, &'a Secret> {
    let mut values = BTreeMap::new();
    let mut add = |value: &'a Secret| {
        values.insert(salt.fingerprint(value), value);
    };
    if let Stored::Sections(sections) = &seen.stored {
        for section in sections {
            section
                .access
                .iter()
                .chain(&section.refresh)
                .for_each(&mut add);
        }
    }
    if let TokenFile::Value(value) = &seen.token {
        add(value);
    }
    values
}
