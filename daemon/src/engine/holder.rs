//! Who has a refresh token. It may be used once, so that whatever comes of that concerns all of them.

use hfd_core::model::{Change, Fingerprint, Kept, Record};
use hfd_core::renewal::Renewal;
use hfd_proto::{Error, TokenName};

use super::Worker;
use super::change::items;
use crate::journal::Item;

/// Who has a refresh token: a token, or one that is kept for `hfd restore`.
pub(super) struct Holder {
    pub(super) name: TokenName,
    pub(super) record: Record,
    pub(super) kept: Option<Kept>,
}

impl Holder {
    /// Its items, once the record is this one.
    pub(super) fn items(&self, record: &Record) -> Vec<Item> {
        let mut items = items(&self.name, record);
        for item in &mut items {
            item.kept = self.kept.as_ref().map(|kept| kept.number);
        }
        items
    }

    /// It has changed.
    pub(super) fn becomes(self, record: Record) -> Vec<Change> {
        let name = self.name;
        let Some(kept) = self.kept else {
            return vec![Change::Put { name, record }];
        };
        let access = self.record.access;
        vec![
            Change::Forget { name, access },
            Change::Keep {
                kept: Kept { record, ..kept },
            },
        ]
    }
}

impl Worker {
    /// The first token with this refresh token.
    pub(super) fn token_with(&self, refresh: Fingerprint) -> Option<(TokenName, Record)> {
        let mut tokens = self.index().tokens.iter();
        let found = tokens.find(|(_, record)| record.refresh == Some(refresh));
        found.map(|(name, record)| (name.clone(), record.clone()))
    }

    /// Everybody with this refresh token: while the Hub was asked, a token may have been renamed or
    /// logged out, and two names may share one.
    pub(super) fn holders(&self, refresh: Fingerprint) -> Vec<Holder> {
        let tokens = self.index().tokens.iter().map(|(name, record)| Holder {
            name: name.clone(),
            record: record.clone(),
            kept: None,
        });
        let kept = self.index().kept.iter().map(|kept| Holder {
            name: kept.name.clone(),
            record: kept.record.clone(),
            kept: Some(kept.clone()),
        });
        let all = tokens.chain(kept);
        all.filter(|holder| holder.record.refresh == Some(refresh))
            .collect()
    }

    /// Notes something with everybody who has this refresh token; returns the tokens' names.
    pub(super) async fn set_renewal(
        &mut self,
        sent: Fingerprint,
        set: impl Fn(&mut Renewal),
    ) -> Result<Vec<TokenName>, Error> {
        let mut changes = Vec::new();
        let (mut marked, mut names) = (Vec::new(), Vec::new());
        for holder in self.holders(sent) {
            let mut record = holder.record.clone();
            set(&mut record.renewal);
            if holder.kept.is_none() {
                marked.push((holder.name.clone(), holder.record.clone()));
                names.push(holder.name.clone());
            }
            if record != holder.record {
                changes.extend(holder.becomes(record));
            }
        }
        if !changes.is_empty() {
            self.change(changes)?;
        }
        for (name, old) in &marked {
            self.unmark(name, old).await;
        }
        Ok(names)
    }
}
