//! A store, one mirror and its two files, brought together as the daemon does it.
//!
//! Values are short here: `A` is the access token `hf_A`, `A+R@9` has the refresh token `hf_R` and
//! expires at 9.

use std::collections::{BTreeMap, BTreeSet};

use hfd_core::explain::{Effect, explain};
use hfd_core::ini::Document;
use hfd_core::model::{Base, Change, Fingerprint, Index, Mirror, Print, Record, Salt, Tombstone};
use hfd_core::observe::{Observation, Stored, TokenFile};
use hfd_core::reconcile::{
    Content, Doubt, Files, Held, Import, NewActive, Occasion, Plan, agreed, base_after, reconcile,
    values,
};
use hfd_proto::{Endpoint, Home, Mode, Secret, StoreId, TokenKind, TokenName};

pub(crate) const SALT: Salt = Salt([7; 16]);

pub(crate) fn name(text: &str) -> TokenName {
    TokenName::parse(text).expect("a name")
}

pub(crate) fn home() -> Home {
    Home {
        token_path: "/home/ada/.cache/huggingface/token".into(),
    }
}

fn secret(short: &str) -> Secret {
    Secret::parse(&format!("hf_{short}")).expect("a token")
}

pub(crate) fn value(short: &str) -> Fingerprint {
    SALT.fingerprint(&secret(short))
}

pub(crate) fn print(text: &str) -> Print {
    let (rest, expires_at) = match text.split_once('@') {
        Some((rest, at)) => (rest, Some(at.parse().expect("seconds"))),
        None => (text, None),
    };
    let (access, refresh) = match rest.split_once('+') {
        Some((access, refresh)) => (access, Some(value(refresh))),
        None => (rest, None),
    };
    Print {
        access: value(access),
        refresh,
        expires_at,
    }
}

pub(crate) fn record(text: &str) -> Record {
    let Print {
        access,
        refresh,
        expires_at,
    } = print(text);
    Record {
        expires_at,
        refresh,
        ..Record::new(
            Endpoint::default(),
            TokenKind::AccessToken,
            StoreId::File,
            access,
        )
    }
}

/// A section as huggingface_hub writes it.
pub(crate) fn section(name: &str, text: &str) -> String {
    let (rest, at) = text.split_once('@').unwrap_or((text, ""));
    let (access, refresh) = rest.split_once('+').unwrap_or((rest, ""));
    let mut section = format!("[{name}]\nhf_token = hf_{access}\n");
    if !refresh.is_empty() {
        section += &format!("refresh_token = hf_{refresh}\n");
    }
    if !at.is_empty() {
        section += &format!("expires_at = {at}\n");
    }
    section + "\n"
}

/// `stored_tokens` with these sections: `"a=A b=B+R@9"`.
pub(crate) fn sections(text: &str) -> String {
    let entries = text.split_whitespace().map(|entry| {
        let (name, value) = entry.split_once('=').expect("name=value");
        section(name, value)
    });
    entries.collect()
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) index: Index,
    /// `stored_tokens`.
    pub(crate) stored: Option<String>,
    /// `token`.
    pub(crate) token: Option<String>,
    /// What the store holds or held: values by fingerprint.
    vault: BTreeMap<Fingerprint, String>,
    /// Values that somebody removed or replaced knowingly.
    pub(crate) given_up: BTreeSet<Fingerprint>,
    clock: i64,
}

/// What one look led to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The plan of the first call.
    pub(crate) first: Plan,
    /// Whether anything was written.
    pub(crate) wrote: bool,
    pub(crate) held: Option<Held>,
    pub(crate) doubt: Option<Doubt>,
    /// What was written, and what for.
    pub(crate) effects: BTreeMap<TokenName, Effect>,
}

impl Outcome {
    /// The effects: `"a: Added, b: Withheld"`.
    pub(crate) fn told(&self) -> String {
        let effects = self.effects.iter();
        let words = effects.map(|(name, effect)| format!("{}: {effect:?}", name.escaped()));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// How far a look comes before the daemon is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    AfterOneImport,
    BeforeWriting,
    BetweenFiles,
    BeforeAgreeing,
}

impl Cut {
    pub(crate) const ALL: [Self; 4] = [
        Self::AfterOneImport,
        Self::BeforeWriting,
        Self::BetweenFiles,
        Self::BeforeAgreeing,
    ];
}

impl World {
    pub(crate) fn new(mode: Mode) -> Self {
        let mut index = Index::new(SALT);
        index.apply(Change::Manage { home: home(), mode });
        Self {
            index,
            stored: None,
            token: None,
            vault: BTreeMap::new(),
            given_up: BTreeSet::new(),
            clock: 0,
        }
    }

    /// Tokens that store and files agree on; the first is active.
    pub(crate) fn agreed(text: &str) -> Self {
        let mut world = Self::new(Mode::Files);
        for entry in text.split_whitespace() {
            let (name, value) = entry.split_once('=').expect("name=value");
            world.login(name, value);
        }
        let first = text.split('=').next().expect("a name");
        world.switch(first);
        world.sync_as(Occasion::Asked);
        world
    }

    // What hfd is asked to do. The files are not touched before the next look.

    pub(crate) fn login(&mut self, at: &str, text: &str) {
        self.learn(text);
        let (name, record) = (name(at), record(text));
        let old = self.index.tokens.get(&name).map(|old| old.access);
        self.given_up
            .extend(old.filter(|old| *old != record.access));
        self.index.apply(Change::Put { name, record });
    }

    pub(crate) fn logout(&mut self, at: &str) {
        let Some(record) = self.index.tokens.get(&name(at)) else {
            return;
        };
        let access = record.access;
        self.given_up.insert(access);
        self.remove(name(at), access, "hfd");
    }

    pub(crate) fn rename(&mut self, old: &str, new: &str) {
        self.index.apply(Change::Rename {
            old: name(old),
            new: name(new),
        });
    }

    pub(crate) fn switch(&mut self, to: &str) {
        self.index.apply(Change::Activate {
            home: home(),
            name: Some(name(to)),
        });
    }

    pub(crate) fn forget_base(&mut self) {
        self.agree(Base::default());
    }

    // The daemon.

    pub(crate) fn mirror(&self) -> &Mirror {
        &self.index.mirrors[&home()]
    }

    pub(crate) fn look(&self) -> Observation {
        let stored = self.stored.as_ref();
        let token = self.token.as_ref();
        Observation {
            stored: stored.map_or(Stored::Absent, |text| Stored::parse(text.as_bytes())),
            token: token.map_or(TokenFile::Absent, |text| TokenFile::parse(text.as_bytes())),
        }
    }

    pub(crate) fn plan(&self, occasion: Occasion) -> Plan {
        reconcile(&self.index, self.mirror(), &self.look(), occasion)
    }

    /// Something was noticed: looks, takes over, writes, and proves that it is then at rest.
    pub(crate) fn sync(&mut self) -> Outcome {
        self.sync_as(Occasion::Noticed)
    }

    /// Like [`World::sync`], and says what was taken over.
    pub(crate) fn sync_in_words(&mut self) -> String {
        let first = self.sync().first;
        self.words(&first)
    }

    pub(crate) fn sync_as(&mut self, occasion: Occasion) -> Outcome {
        for (print, value) in values(&SALT, &self.look()) {
            self.vault.insert(print, value.expose().to_owned());
        }
        let first = self.plan(occasion);
        self.take_over(&first);
        let second = self.plan(occasion);
        assert!(takes_nothing(&second), "{first:?}\nthen {second:?}");
        let held = second.held.or(first.held);
        let doubt = second.doubt.or(first.doubt);
        let wrote = second.write.is_some();
        let effects = match second.write {
            Some(files) => self.write_and_tell(files),
            None => BTreeMap::new(),
        };
        let base = base_after(&self.index, self.mirror(), &self.look(), held);
        self.agree(base);
        let at_rest = self.plan(Occasion::Noticed);
        assert!(
            takes_nothing(&at_rest) && at_rest.write.is_none(),
            "{first:?}\nthen, written: {wrote},\nand still {at_rest:?}"
        );
        Outcome {
            first,
            wrote,
            held,
            doubt,
            effects,
        }
    }

    /// Writes, and proves that every section that is another then is told of, and no other.
    fn write_and_tell(&mut self, files: Files) -> BTreeMap<TokenName, Effect> {
        let before = self.file_as_base().sections;
        let token = files.token.is_some();
        let effects = explain(&self.index, self.mirror(), &self.look(), &files);
        self.write(files);
        let after = self.file_as_base().sections;
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let told = effects.get(name);
            match before.get(name) == after.get(name) {
                false => assert!(told.is_some(), "{} in {effects:?}", name.escaped()),
                true => assert!(told.is_none() || token, "{} in {effects:?}", name.escaped()),
            }
        }
        effects
    }

    /// Like [`World::sync`], and ends before it is done, as when the daemon is killed.
    pub(crate) fn sync_until(&mut self, cut: Cut) {
        for (print, value) in values(&SALT, &self.look()) {
            self.vault.insert(print, value.expose().to_owned());
        }
        let mut first = self.plan(Occasion::Noticed);
        if cut == Cut::AfterOneImport {
            first.imports.truncate(1);
            (first.removals, first.active) = (Vec::new(), None);
        }
        self.take_over(&first);
        if matches!(cut, Cut::AfterOneImport | Cut::BeforeWriting) {
            return;
        }
        let files = self.plan(Occasion::Noticed).write.unwrap_or_default();
        self.write(match cut {
            Cut::BetweenFiles => Files {
                token: None,
                ..files
            },
            _ => files,
        });
    }

    fn take_over(&mut self, plan: &Plan) {
        for import in &plan.imports {
            self.import(import);
        }
        for name in &plan.removals {
            let access = self.index.tokens[name].access;
            self.given_up.insert(access);
            self.remove(name.clone(), access, "a tool");
        }
        if let Some(active) = &plan.active {
            let name = match active {
                NewActive::Nothing => None,
                NewActive::Name(name) => Some(name.clone()),
            };
            self.index.apply(Change::Activate { home: home(), name });
        }
    }

    fn import(&mut self, import: &Import) {
        let access = SALT.fingerprint(&import.access);
        let refresh = import.refresh.as_ref().map(|value| SALT.fingerprint(value));
        let old = self.index.tokens.get(&import.name).cloned();
        assert_eq!(old.is_some(), import.update, "{import:?}");
        let record = match old {
            Some(old) if old.access == access => Record {
                refresh: refresh.or(old.refresh),
                expires_at: import.expires_at.or(old.expires_at),
                ..old
            },
            old => {
                self.given_up.extend(old.map(|old| old.access));
                Record {
                    access,
                    refresh,
                    expires_at: import.expires_at,
                    named: import.named,
                    ..record("")
                }
            }
        };
        let name = import.name.clone();
        self.index.apply(Change::Take { name, record });
    }

    fn remove(&mut self, name: TokenName, access: Fingerprint, by: &str) {
        self.clock += 1;
        let tombstone = Tombstone {
            name,
            access,
            at: self.clock,
            by: by.to_owned(),
        };
        self.index.apply(Change::Remove { tombstone });
    }

    fn write(&mut self, files: Files) {
        if let Some(contents) = files.stored {
            let mut document = Document::new();
            for (name, content) in contents {
                let (print, others) = match content {
                    Content::Store(print, others) => (Some(print), others),
                    Content::File(section) => (None, section.others),
                };
                let mut set = |key: &str, value: &str| {
                    document.set(&name, key, value).expect("can be written");
                };
                if let Some(print) = print {
                    set("hf_token", &self.vault[&print.access]);
                    if let Some(refresh) = print.refresh {
                        set("refresh_token", &self.vault[&refresh]);
                    }
                    if let Some(at) = print.expires_at {
                        set("expires_at", &at.to_string());
                    }
                }
                others.iter().for_each(|(key, value)| set(key, value));
            }
            let bytes = document.to_bytes().to_vec();
            self.stored = Some(String::from_utf8(bytes).expect("UTF-8"));
        }
        if let Some(token) = files.token {
            self.token = token.map(|print| self.vault[&print].clone());
        }
    }

    pub(crate) fn agree(&mut self, base: Base) {
        self.index.apply(Change::Agree { home: home(), base });
    }

    pub(crate) fn learn(&mut self, text: &str) {
        for short in text.split('@').next().expect("a value").split('+') {
            let value = secret(short);
            self.vault
                .insert(SALT.fingerprint(&value), value.expose().to_owned());
        }
    }

    // What can be asked of it.

    /// What `token` holds.
    pub(crate) fn token_in_file(&self) -> Option<Fingerprint> {
        match self.look().token {
            TokenFile::Value(value) => Some(SALT.fingerprint(&value)),
            _ => None,
        }
    }

    /// The tokens: `"a=A b=B+R@9"`, `*` after the active one's name.
    pub(crate) fn tokens(&self) -> String {
        let active = self.mirror().active.as_ref();
        let entries = self.index.tokens.iter().map(|(name, record)| {
            let star = if active == Some(name) { "*" } else { "" };
            format!("{}{star}={}", name.escaped(), self.shown(record.into()))
        });
        entries.collect::<Vec<_>>().join(" ")
    }

    fn shown(&self, print: Print) -> String {
        let short = |print: Fingerprint| self.vault[&print].trim_start_matches("hf_").to_owned();
        let refresh = print.refresh.map(|value| format!("+{}", short(value)));
        let at = print.expires_at.map(|at| format!("@{at}"));
        short(print.access) + &refresh.unwrap_or_default() + &at.unwrap_or_default()
    }

    /// What a plan takes over, in words.
    pub(crate) fn words(&self, plan: &Plan) -> String {
        let mut words = Vec::new();
        for import in &plan.imports {
            let verb = if import.update { "update" } else { "import" };
            let print = Print {
                access: SALT.fingerprint(&import.access),
                refresh: import.refresh.as_ref().map(|value| SALT.fingerprint(value)),
                expires_at: import.expires_at,
            };
            words.push(format!(
                "{verb} {}={}",
                import.name.escaped(),
                self.shown(print)
            ));
        }
        let removals = plan.removals.iter();
        words.extend(removals.map(|name| format!("remove {}", name.escaped())));
        match &plan.active {
            None => {}
            Some(NewActive::Nothing) => words.push("log out".to_owned()),
            Some(NewActive::Name(name)) => words.push(format!("activate {}", name.escaped())),
        }
        words.join(", ")
    }

    /// Every value that is in the files now.
    pub(crate) fn values_in_files(&self) -> BTreeSet<Fingerprint> {
        let seen = self.look();
        let mut found = BTreeSet::new();
        if let Stored::Sections(sections) = &seen.stored {
            let access = sections
                .iter()
                .filter_map(|section| section.access.as_ref());
            found.extend(access.map(|value| SALT.fingerprint(value)));
        }
        if let TokenFile::Value(value) = &seen.token {
            found.insert(SALT.fingerprint(value));
        }
        found
    }

    /// What the files hold of ours.
    pub(crate) fn file_as_base(&self) -> Base {
        let seen = self.look();
        let mut base = Base::default();
        if let Stored::Sections(sections) = &seen.stored {
            for section in sections {
                let Some((name, access)) = section.usable() else {
                    continue;
                };
                let print = Print {
                    access: SALT.fingerprint(access),
                    refresh: section
                        .refresh
                        .as_ref()
                        .map(|value| SALT.fingerprint(value)),
                    expires_at: section.expires_at,
                };
                base.sections.insert(name, print);
            }
        }
        if let TokenFile::Value(value) = &seen.token {
            base.token = Some(SALT.fingerprint(value));
        }
        base
    }

    /// Whether the file has a usable section of that name.
    pub(crate) fn look_for(&self, at: &str) -> bool {
        self.file_as_base().sections.contains_key(&name(at))
    }

    pub(crate) fn view(&self) -> Base {
        agreed(&self.index, self.mirror())
    }
}

fn takes_nothing(plan: &Plan) -> bool {
    plan.imports.is_empty() && plan.removals.is_empty() && plan.active.is_none()
}
