//! What the daemon knows, without any secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hfd_proto::{Endpoint, Home, Mode, Secret, StoreId, TokenKind, TokenName};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::renewal::Renewal;

/// How many fingerprints of values that hfd itself replaced are kept per name. A stale writer
/// brings back one of the last few; sixteen is a year of monthly renewals.
const SUPERSEDED: usize = 16;

/// How many removals are remembered. The oldest is forgotten first; an echo comes within minutes.
const TOMBSTONES: usize = 1024;

/// The most tokens hfd keeps: what fits into one line of the wire when listed.
pub const MAX_TOKENS: usize = 4096;

/// 128 bits of SHA-256 over this installation's salt and a value: tells whether two values are the
/// same, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// The number, for use as a key.
    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// Half of it: enough to tell apart the values of one name.
    pub fn half(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The first four hexadecimal digits, as in `unnamed-3fa9`.
    pub fn short(self) -> String {
        format!("{:04x}", self.0 >> 112)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.short())
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// The salt of this installation's fingerprints: 16 random bytes, so that fingerprints of two
/// machines cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Salt(pub [u8; 16]);

impl Salt {
    /// The fingerprint of a value.
    pub fn fingerprint(&self, value: &Secret) -> Fingerprint {
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update(value.expose())
            .finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Fingerprint(u128::from_be_bytes(first))
    }
}

/// A token without its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The only Hub it may be sent to.
    pub endpoint: Endpoint,
    /// Whose it is; unknown until the Hub was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it may do, in the Hub's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What sort of credential it is.
    pub kind: TokenKind,
    /// When the access token ends, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Where its values rest.
    pub store: StoreId,
    /// The access token.
    pub access: Fingerprint,
    /// The refresh token that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Fingerprint>,
    /// False for a bare token that no section names: it is never written as one.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub named: bool,
    /// How it is kept from ending.
    #[serde(default, skip_serializing_if = "Renewal::is_default")]
    pub renewal: Renewal,
    /// The access token that the Hub said it does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Fingerprint>,
}

impl Record {
    /// A token of which nothing else is known. What a login, an import or a keychain tells beyond
    /// that is set by those who know it, so that a new field does not concern the others.
    pub fn new(endpoint: Endpoint, kind: TokenKind, store: StoreId, access: Fingerprint) -> Self {
        Self {
            endpoint,
            user: None,
            role: None,
            kind,
            expires_at: None,
            store,
            access,
            refresh: None,
            named: true,
            renewal: Renewal::default(),
            rejected: None,
        }
    }

    /// Its refresh token is in a file from now on.
    fn share(&mut self) {
        self.renewal.shared |= self.refresh.is_some();
    }
}

fn yes() -> bool {
    true
}

/// A section of `stored_tokens`, or what one should be, by fingerprints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// `hf_token`.
    pub access: Fingerprint,
    /// `refresh_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Fingerprint>,
    /// `expires_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl From<&Record> for Print {
    fn from(record: &Record) -> Self {
        Self {
            access: record.access,
            refresh: record.refresh,
            expires_at: record.expires_at,
        }
    }
}

/// What a mirror's files and its view last agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The sections of `stored_tokens`.
    pub sections: BTreeMap<TokenName, Print>,
    /// The value in `token`.
    pub token: Option<Fingerprint>,
}

/// One directory that the daemon keeps in step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// What it shows.
    pub mode: Mode,
    /// The token in its `token` file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<TokenName>,
    /// Whether it shows refresh tokens although they are withheld.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handed_back: bool,
    /// The common ancestor of the merge.
    #[serde(default)]
    pub base: Base,
}

/// A removal that hfd made or believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The name that was removed.
    pub name: TokenName,
    /// The value that it had.
    pub access: Fingerprint,
    /// When, in Unix seconds.
    pub at: i64,
    /// `hfd`, or the mirror's directory where a tool removed it.
    pub by: String,
}

/// A token that was logged out or replaced. Its values rest in the store for [`KEPT_FOR`], and
/// `hfd restore` brings it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub name: TokenName,
    /// All about it.
    pub record: Record,
    /// When it went, in Unix seconds.
    pub at: i64,
    /// `hfd`, or the mirror's directory where a tool did it.
    pub by: String,
    /// Whether another value took its place; otherwise it was logged out.
    pub replaced: bool,
    /// What tells its items in the store from those of others of its name.
    pub number: u64,
}

/// How long it is kept, in seconds: 30 days.
pub const KEPT_FOR: i64 = 30 * 24 * 3600;

/// So many are kept; the oldest go first.
pub const MAX_KEPT: usize = 256;

/// Everything the daemon knows about one machine's tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The salt of every fingerprint in it.
    pub salt: Salt,
    /// The tokens.
    #[serde(default)]
    pub tokens: BTreeMap<TokenName, Record>,
    /// The mirrors, by the path of their `token` file. A list, because JSON keys are text.
    #[serde(default, with = "pairs")]
    pub mirrors: BTreeMap<Home, Mirror>,
    /// Removals, oldest first.
    #[serde(default)]
    pub tombstones: Vec<Tombstone>,
    /// Values that hfd itself replaced, oldest first.
    #[serde(default)]
    pub superseded: BTreeMap<TokenName, Vec<Fingerprint>>,
    /// Whether there ever was a mirror: the first home of all becomes one by itself.
    #[serde(default)]
    pub had_mirror: bool,
    /// What can be brought back, oldest first.
    #[serde(default)]
    pub kept: Vec<Kept>,
    /// Whether hfd is locked: mirrors are hidden, no value is told.
    #[serde(default)]
    pub locked: bool,
    /// Whether refresh tokens are kept out of the files.
    #[serde(default)]
    pub withhold: bool,
}

/// One change of the index, as the journal keeps it. Applying one twice changes nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// A token is there, new or changed; the value that it had is stale from now on.
    Put {
        /// Its name.
        name: TokenName,
        /// All about it.
        record: Record,
    },
    /// A token as a tool left it in a file. The value that it had may come back: only what hfd
    /// itself replaced is stale.
    Take {
        /// Its name.
        name: TokenName,
        /// All about it.
        record: Record,
    },
    /// A token is gone; a tombstone remains.
    Remove {
        /// What is remembered of it.
        tombstone: Tombstone,
    },
    /// A token has another name, in every mirror too.
    Rename {
        /// Before.
        old: TokenName,
        /// After.
        new: TokenName,
    },
    /// A directory is a mirror from now on, or in another mode.
    Manage {
        /// Which.
        home: Home,
        /// What it shows.
        mode: Mode,
    },
    /// A mirror has another active token.
    Activate {
        /// The mirror.
        home: Home,
        /// The token.
        name: Option<TokenName>,
    },
    /// A directory is no mirror any more.
    Unmanage {
        /// Which.
        home: Home,
    },
    /// A token that went can be brought back.
    Keep {
        /// What is remembered of it.
        kept: Kept,
    },
    /// It cannot any more.
    Forget {
        /// Its name.
        name: TokenName,
        /// Its access token.
        access: Fingerprint,
    },
    /// hfd is locked, or unlocked.
    Lock {
        /// Which of the two.
        locked: bool,
    },
    /// Refresh tokens leave the files, or come back into them.
    Withhold {
        /// Which of the two.
        withhold: bool,
    },
    /// They come back into the files of one mirror, which hfd is about to leave alone; or leave them
    /// again, because it could not.
    HandBack {
        /// Which.
        home: Home,
        /// Which of the two.
        #[serde(default = "yes")]
        handed_back: bool,
    },
    /// Files and view of a mirror agree on this.
    Agree {
        /// The mirror.
        home: Home,
        /// On what.
        base: Base,
    },
}

impl Index {
    /// An index that knows nothing.
    pub fn new(salt: Salt) -> Self {
        Self {
            salt,
            tokens: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            tombstones: Vec::new(),
            superseded: BTreeMap::new(),
            had_mirror: false,
            kept: Vec::new(),
            locked: false,
            withhold: false,
        }
    }

    /// Applies a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Put { name, record } => {
                let value = record.access;
                if let Some(old) = self.put(&name, record).filter(|old| *old != value) {
                    self.supersede(name, old);
                }
            }
            Change::Take { name, record } => drop(self.put(&name, record)),
            Change::Remove { tombstone } => self.remove(tombstone),
            Change::Rename { old, new } => self.rename(&old, new),
            Change::Manage { home, mode } => {
                self.had_mirror = true;
                let new = Mirror {
                    mode,
                    active: None,
                    handed_back: false,
                    base: Base::default(),
                };
                self.mirrors.entry(home).or_insert(new).mode = mode;
            }
            Change::Activate { home, name } => {
                if let Some(mirror) = self.mirrors.get_mut(&home) {
                    mirror.active = name;
                }
            }
            Change::Unmanage { home } => drop(self.mirrors.remove(&home)),
            Change::Keep { kept } => {
                let mut there = self.kept.iter_mut();
                let same = |old: &&mut Kept| {
                    (&old.name, old.number, old.at) == (&kept.name, kept.number, kept.at)
                };
                // What only rests elsewhere now stays as old as it is.
                if let Some(old) = there.find(same) {
                    *old = kept;
                } else {
                    self.forget(&kept.name, kept.record.access);
                    self.kept.push(kept);
                }
            }
            Change::Forget { name, access } => self.forget(&name, access),
            Change::Lock { locked } => self.locked = locked,
            Change::Withhold { withhold } => {
                self.withhold = withhold;
                if !withhold {
                    self.tokens.values_mut().for_each(Record::share);
                }
            }
            Change::HandBack { home, handed_back } => {
                if let Some(mirror) = self.mirrors.get_mut(&home) {
                    mirror.handed_back = handed_back;
                }
            }
            Change::Agree { home, base } => {
                if let Some(mirror) = self.mirrors.get_mut(&home) {
                    mirror.base = base;
                }
            }
        }
    }

    /// Returns the value that the token had.
    fn put(&mut self, name: &TokenName, record: Record) -> Option<Fingerprint> {
        // A value that is wanted again is neither stale nor removed any more.
        let value = record.access;
        let mut record = record;
        if !self.withhold {
            // What a login or `hfd restore` brings stands in a file in a moment.
            record.share();
        }
        self.tombstones
            .retain(|stone| stone.name != *name || stone.access != value);
        if let Some(superseded) = self.superseded.get_mut(name) {
            superseded.retain(|print| *print != value);
            if superseded.is_empty() {
                self.superseded.remove(name);
            }
        }
        let old = self.tokens.insert(name.clone(), record);
        old.map(|old| old.access)
    }

    fn forget(&mut self, name: &TokenName, access: Fingerprint) {
        self.kept
            .retain(|kept| kept.name != *name || kept.record.access != access);
    }

    fn supersede(&mut self, name: TokenName, old: Fingerprint) {
        let superseded = self.superseded.entry(name).or_default();
        superseded.retain(|print| *print != old);
        superseded.push(old);
        if superseded.len() > SUPERSEDED {
            superseded.remove(0);
        }
    }

    fn remove(&mut self, tombstone: Tombstone) {
        let name = &tombstone.name;
        // A removal that is settled late must not take a token that came after it.
        if self
            .tokens
            .get(name)
            .is_some_and(|record| record.access == tombstone.access)
        {
            self.tokens.remove(name);
            self.bury(&tombstone);
            for mirror in self.mirrors.values_mut() {
                mirror.active.take_if(|active| active == name);
            }
        }
        if !self.tombstones.contains(&tombstone) {
            self.tombstones.push(tombstone);
        }
        let over = self.tombstones.len().saturating_sub(TOMBSTONES);
        self.tombstones.drain(..over);
    }

    /// The values that a token had before its last are removed with it: a stale writer may have
    /// any of them. They are the first to be forgotten.
    fn bury(&mut self, tombstone: &Tombstone) {
        let earlier = self.superseded.remove(&tombstone.name).unwrap_or_default();
        let stones = earlier.into_iter().map(|access| Tombstone {
            access,
            ..tombstone.clone()
        });
        self.tombstones.splice(0..0, stones);
    }

    fn rename(&mut self, old: &TokenName, new: TokenName) {
        let Some(mut record) = self.tokens.remove(old) else {
            return;
        };
        // Whoever names a bare token wants to see it listed by other tools.
        record.named = true;
        self.tombstones
            .retain(|stone| stone.name != new || stone.access != record.access);
        let superseded = self.superseded.remove(old);
        self.superseded.remove(&new);
        if let Some(superseded) = superseded {
            self.superseded.insert(new.clone(), superseded);
        }
        for mirror in self.mirrors.values_mut() {
            if mirror.active.as_ref() == Some(old) {
                mirror.active = Some(new.clone());
            }
        }
        self.tokens.insert(new, record);
    }

    /// Whether hfd has, or had, a token of this value.
    pub fn has_seen(&self, value: Fingerprint) -> bool {
        let tokens = self.tokens.values().map(|record| record.access);
        let replaced = self.superseded.values().flatten().copied();
        let removed = self.tombstones.iter().map(|stone| stone.access);
        let kept = self.kept.iter().map(|kept| kept.record.access);
        let mut all = tokens.chain(replaced).chain(removed).chain(kept);
        all.any(|seen| seen == value)
    }

    /// The name under which a value is known: `preferred` if it holds it, else the first one.
    pub fn name_of(&self, value: Fingerprint, preferred: Option<&TokenName>) -> Option<&TokenName> {
        let holds = |name: &&TokenName| self.tokens.get(*name).is_some_and(|r| r.access == value);
        preferred
            .filter(holds)
            .and_then(|name| self.tokens.get_key_value(name))
            .map(|(name, _)| name)
            .or_else(|| self.tokens.keys().find(holds))
    }

    /// `name` if it is free, else `name-2`, `name-3`, …, shortened where that would exceed the
    /// limit of a name.
    pub fn free_name(&self, name: &TokenName) -> TokenName {
        self.free_name_beside(name, &BTreeSet::new())
    }

    /// [`Index::free_name`] where names that the index does not know are taken as well.
    pub(crate) fn free_name_beside(
        &self,
        name: &TokenName,
        taken: &BTreeSet<&TokenName>,
    ) -> TokenName {
        let is_free = |name: &TokenName| !self.tokens.contains_key(name) && !taken.contains(name);
        if is_free(name) {
            return name.clone();
        }
        // Room for a dash and more digits than there are tokens.
        let mut end = name.as_str().len().min(240);
        while !name.as_str().is_char_boundary(end) {
            end -= 1;
        }
        let stem = &name.as_str()[..end];
        (2_u64..)
            .filter_map(|number| TokenName::parse(format!("{stem}-{number}")).ok())
            .find(is_free)
            .unwrap_or_else(|| name.clone())
    }
}

/// A map with keys that are no JSON strings, as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use hfd_proto::Home;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Mirror;

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<Home, Mirror>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Home, Mirror>, D::Error> {
        Ok(Vec::<(Home, Mirror)>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}
