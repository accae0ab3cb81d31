//! Login, logout, switch, rename: what a person asks for.

use hfd_core::model::{Change, Fingerprint, MAX_TOKENS, Record, Tombstone};
use hfd_core::observe::Stored;
use hfd_core::reconcile::Occasion;
use hfd_core::renewal::Renewal;
use hfd_proto::{
    Error, Home, Kind, Login, LoginReply, Logout, LogoutReply, MirrorState, MirrorStatus, Mode,
    Pending, Rename, RenameReply, Secret, StoreId, Switch, SwitchReply, TokenKind, TokenName,
    WhoamiReply,
};

use super::change::{items, kept_items};
use super::restore::Keeping;
use super::settle::kind_of;
use super::sync::{now, token_of};
use super::{Arrival, Session, Worker, sync};
use crate::hub::Identity;
use crate::journal::Item;
use crate::mirror::observe;
use crate::snapshot::no_such_token;

impl Worker {
    pub(super) async fn login(&mut self, arrival: Arrival) -> Result<LoginReply, Error> {
        let Arrival {
            request,
            identity,
            session,
        } = arrival;
        // Where nothing is to be active there, another home stays as it is.
        let manage = request.switch.then_some(Mode::ActiveOnly);
        let managed = self.index().had_mirror && !self.is_mirror(request.home.as_ref());
        let home = self.prepare(request.home.as_ref(), manage).await?;
        let managed = managed && home.is_some();
        let name = self.name_for(&request, identity.as_ref())?;
        let mut record = self.record_for(&request, identity.as_ref(), &name);
        if let Some(session) = &session {
            self.add_session(&mut record, session);
        }
        let old = self.index().tokens.get(&name).cloned();
        let same = old.as_ref().filter(|old| {
            (old.access, old.store, &old.endpoint)
                == (record.access, record.store, &record.endpoint)
        });
        if let (None, Some(old)) = (&session, same) {
            // The same token again: what it is renewed with stays.
            record.refresh = old.refresh;
            record.expires_at = record.expires_at.or(old.expires_at);
            record.renewal = old.renewal.clone();
        }
        let mut changes = vec![Change::Put {
            name: name.clone(),
            record: record.clone(),
        }];
        let active = request.switch && home.is_some();
        if let Some(home) = home.clone().filter(|_| active) {
            changes.push(Change::Activate {
                home,
                name: Some(name.clone()),
            });
        }
        // What the old value had and the new one has not: a refresh token, another place.
        let kept = items(&name, &record);
        let deletes = old.iter().flat_map(|old| items(&name, old));
        let deletes = deletes.filter(|item| !kept.contains(item)).collect();
        let mut puts = Vec::new();
        if let Some(old) = old.as_ref().filter(|old| old.access != record.access) {
            let keeping = self.keep(&name, old, "hfd", true).await?;
            puts = keeping.puts;
            changes.extend(keeping.change);
        }
        for item in kept {
            match (
                item.refresh,
                session.as_ref().and_then(|it| it.refresh.clone()),
            ) {
                (true, Some(refresh)) => puts.push((item, refresh)),
                (true, None) => {}
                (false, _) => puts.push((item, request.token.clone())),
            }
        }
        self.transact(puts, deletes, changes).await?;
        self.event("login", Some(&name), None);
        let pending = self.write_mirrors(home.as_ref(), &name).await?;
        Ok(LoginReply {
            name,
            user: record.user,
            role: record.role,
            endpoint: record.endpoint,
            store: record.store.into(),
            active,
            replaced: old.is_some_and(|old| old.access != record.access),
            managed,
            pending,
        })
    }

    fn is_mirror(&self, home: Option<&Home>) -> bool {
        home.is_some_and(|home| self.index().mirrors.contains_key(home))
    }

    pub(super) async fn logout(&mut self, request: Logout) -> Result<LogoutReply, Error> {
        let home = self.prepare(request.home.as_ref(), None).await?;
        let active = home
            .as_ref()
            .and_then(|home| self.index().mirrors.get(home))
            .and_then(|mirror| mirror.active.clone());
        let names: Vec<TokenName> = match request.name {
            Some(name) if self.index().tokens.contains_key(&name) => vec![name],
            Some(name) => return Err(no_such_token(&name)),
            None if request.all => self.index().tokens.keys().cloned().collect(),
            None => vec![active.clone().ok_or_else(not_logged_in)?],
        };
        let (mut puts, mut deletes, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for (name, record) in names
            .iter()
            .filter_map(|name| self.index().tokens.get_key_value(name))
        {
            deletes.extend(items(name, record));
            if request.purge {
                let kept = self.index().kept.iter().filter(|kept| kept.name == *name);
                deletes.extend(kept.clone().flat_map(kept_items));
                changes.extend(kept.map(|kept| Change::Forget {
                    name: name.clone(),
                    access: kept.record.access,
                }));
            } else {
                let keeping = self.keep(name, record, "hfd", false).await?;
                puts.extend(keeping.puts);
                changes.extend(keeping.change);
            }
            let (name, access, at) = (name.clone(), record.access, now());
            let tombstone = Tombstone {
                name,
                access,
                at,
                by: "hfd".to_owned(),
            };
            changes.push(Change::Remove { tombstone });
        }
        let gone: Vec<_> = names
            .iter()
            .map(|name| self.index().tokens.get(name).cloned())
            .collect();
        self.transact(puts, deletes, changes).await?;
        for (name, record) in names.iter().zip(gone) {
            if let Some(record) = record {
                self.unmark(name, &record).await;
            }
            self.event("logout", Some(name), None);
        }
        let pending = match names.first() {
            Some(first) => self.write_mirrors(home.as_ref(), first).await?,
            None => Vec::new(),
        };
        let was_active = active.is_some_and(|active| names.contains(&active));
        Ok(LogoutReply {
            removed: names,
            was_active,
            pending,
        })
    }

    pub(super) async fn switch(&mut self, request: Switch) -> Result<SwitchReply, Error> {
        let home = self.prepare(request.home.as_ref(), None).await?;
        let name = request.name;
        let record = self.index().tokens.get(&name);
        let record = record.ok_or_else(|| no_such_token(&name))?.clone();
        let homes: Vec<Home> = match (&home, request.all) {
            (_, true) => self.index().mirrors.keys().cloned().collect(),
            (Some(home), false) => vec![home.clone()],
            (None, false) => return Err(not_managed(request.home.as_ref())),
        };
        let activate = |home: &Home| Change::Activate {
            home: home.clone(),
            name: Some(name.clone()),
        };
        self.change(homes.iter().map(activate).collect())?;
        self.event("switch", Some(&name), home.as_ref());
        let pending = self.write_mirrors(home.as_ref(), &name).await?;
        let dirs = homes.iter().filter_map(|home| home.token_path.parent());
        let switched = dirs.map(ToOwned::to_owned);
        let mirrors = switched
            .filter(|dir| pending.iter().all(|p| p.dir != *dir))
            .collect();
        Ok(SwitchReply {
            name,
            endpoint: record.endpoint,
            expires_at: record.expires_at,
            renews: record.refresh.is_some(),
            mirrors,
            pending,
        })
    }

    pub(super) async fn rename(&mut self, request: Rename) -> Result<RenameReply, Error> {
        let home = self.prepare(request.home.as_ref(), None).await?;
        let Rename { old, new, .. } = request;
        let record = self
            .index()
            .tokens
            .get(&old)
            .ok_or_else(|| no_such_token(&old))?
            .clone();
        if old == new {
            return Ok(RenameReply {
                name: new,
                pending: Vec::new(),
            });
        }
        if self.index().tokens.contains_key(&new) {
            return Err(taken(&new));
        }
        let mut puts: Vec<(Item, Secret)> = Vec::new();
        for item in items(&old, &record) {
            let value = self.read_item(&item).await?;
            let Some(value) = value else { continue };
            puts.push((
                Item {
                    name: new.clone(),
                    ..item
                },
                value,
            ));
        }
        if puts.is_empty() {
            let (old, store) = (old.escaped(), record.store.as_str());
            let message = format!("the store {store} does not hold `{old}`");
            return Err(Error::new(Kind::StoreUnavailable, message));
        }
        let change = Change::Rename {
            old: old.clone(),
            new: new.clone(),
        };
        self.transact(puts, items(&old, &record), vec![change])
            .await?;
        self.unmark(&old, &record).await;
        self.renamed(&old, &new);
        let pending = self.write_mirrors(home.as_ref(), &new).await?;
        Ok(RenameReply { name: new, pending })
    }

    /// What a browser login brings.
    fn add_session(&self, record: &mut Record, session: &Session) {
        let salt = self.index().salt;
        let refresh = session.refresh.as_ref();
        record.kind = TokenKind::Oauth;
        record.refresh = refresh.map(|value| salt.fingerprint(value));
        record.expires_at = session.expires_at.or(record.expires_at);
        record.renewal = Renewal {
            client_id: Some(session.client_id.clone()),
            since: Some(self.parts.clock.now()),
            shared: !self.index().withhold,
            ..Renewal::default()
        };
    }

    /// The Hub does not know this value any more, whoever asks.
    pub(super) fn rejected(&mut self, name: &TokenName, value: Fingerprint) {
        let Some(old) = self.index().tokens.get(name) else {
            return;
        };
        if old.access != value || old.rejected == Some(value) {
            return;
        }
        let record = Record {
            rejected: Some(value),
            ..old.clone()
        };
        let name = name.clone();
        if let Err(error) = self.change(vec![Change::Put { name, record }]) {
            tracing::warn!(%error, "cannot write the journal");
        }
    }

    /// What the Hub said at `whoami` is kept with the token.
    pub(super) fn learn(&mut self, said: WhoamiReply) {
        let Some(name) = said.name else { return };
        let Some(old) = self.index().tokens.get(&name) else {
            return;
        };
        let user = Some(said.user);
        let record = Record {
            user,
            role: said.role.or(old.role.clone()),
            rejected: None,
            expires_at: old.expires_at.or(said.expires_at),
            ..old.clone()
        };
        if record != *old
            && let Err(error) = self
                .parts
                .journal
                .change(vec![Change::Put { name, record }], false)
        {
            tracing::warn!(%error, "cannot write the journal");
        }
    }

    /// A value that another program put into the keychain is taken for the token's, of which nothing
    /// else is known then. What the old one was renewed with is not the new one's: that goes to
    /// `hfd restore`, with the old value where a file still has it. What counts is what is there now:
    /// who noticed the other value may have met with a change of our own under way.
    pub(super) async fn replaced(&mut self, name: &TokenName, old: Fingerprint) {
        let unsettled = self.parts.journal.unsettled.iter();
        let mut open = unsettled.flat_map(|transaction| &transaction.puts);
        let Some(record) = self.index().tokens.get(name) else {
            return;
        };
        if record.access != old || open.any(|(item, _)| item.name == *name) {
            return;
        }
        let record = record.clone();
        let Some(item) = items(name, &record).into_iter().find(|item| !item.refresh) else {
            return;
        };
        let new = match self.read_item(&item).await {
            Ok(Some(value)) => self.parts.values.saw(&value),
            // The keychain's owner meant it, or the next lookup says what is wrong.
            Ok(None) | Err(_) => return self.drop_value(old),
        };
        if new == old {
            return;
        }
        tracing::info!("another program changed a token in the keychain");
        match self.put_replaced(name, &record, new).await {
            Ok(()) => {
                self.unmark(name, &record).await;
                self.event("updated", Some(name), None);
                self.sync_mirrors().await;
            }
            Err(error) => {
                tracing::warn!(%error, "a changed token is not taken up");
                self.drop_value(old);
            }
        }
    }

    /// A token has no longer this value, so that it is asked of its store. It may be that of another one.
    fn drop_value(&self, value: Fingerprint) {
        let tokens = self.index().tokens.values();
        if tokens.filter(|record| record.access == value).count() < 2 {
            self.parts.values.forget(value);
        }
    }

    async fn put_replaced(
        &mut self,
        name: &TokenName,
        old: &Record,
        new: Fingerprint,
    ) -> Result<(), Error> {
        let was = match self.parts.values.cached(old.access) {
            Some(value) => Some(value),
            None => self.shown(old.access).await,
        };
        let keeping = match was {
            Some(value) => {
                // The keychain has the new one in its place.
                self.parts.values.learn(old.access, &value);
                self.keep(name, old, "another program", true).await?
            }
            None => Keeping::default(),
        };
        // Where it could not be kept it stays where it is, and is nobody's.
        let kept = keeping.change.is_some();
        let gone = items(name, old).into_iter();
        let gone = gone.filter(|item| item.refresh && kept);
        let mut changes: Vec<Change> = keeping.change.into_iter().collect();
        changes.push(Change::Put {
            name: name.clone(),
            record: Record {
                access: new,
                user: None,
                role: None,
                expires_at: None,
                refresh: None,
                renewal: Renewal::default(),
                ..old.clone()
            },
        });
        self.transact(keeping.puts, gone.collect(), changes).await
    }

    /// A value that a mirror's file holds.
    async fn shown(&self, access: Fingerprint) -> Option<Secret> {
        let salt = self.index().salt;
        for mirror in self.mirrors.values() {
            let Ok(Ok(seen)) = mirror.disk.run(Some(self.deadline), observe).await else {
                continue;
            };
            let sections = match &seen.observation.stored {
                Stored::Sections(sections) => sections.as_slice(),
                _ => &[],
            };
            let in_sections = sections
                .iter()
                .filter_map(|section| section.access.as_ref());
            let in_token = token_of(&seen).ok().flatten();
            let mut all = in_sections.chain(in_token);
            if let Some(value) = all.find(|value| salt.fingerprint(value) == access) {
                return Some(value.clone());
            }
        }
        None
    }

    /// Before a change: what is still open is settled, and the caller's files are looked at, so
    /// that nothing which a tool has just written is taken for old.
    pub(super) async fn prepare(
        &mut self,
        home: Option<&Home>,
        manage: Option<Mode>,
    ) -> Result<Option<Home>, Error> {
        self.check_unlocked()?;
        let own = self.own_mirror(home, manage).await?;
        self.settle().await;
        if let Some(home) = &own {
            self.sync_mirror(home, Occasion::Noticed).await;
        }
        Ok(own)
    }

    /// Brings every mirror in step after a change. The caller's own must hold it; the others are
    /// named where they do not.
    pub(super) async fn write_mirrors(
        &mut self,
        own: Option<&Home>,
        name: &TokenName,
    ) -> Result<Vec<Pending>, Error> {
        let (mut pending, mut own_failed) = (Vec::new(), None);
        let mut homes: Vec<Home> = self.index().mirrors.keys().cloned().collect();
        // The caller's first: another's slow disk takes none of its time.
        homes.sort_by_key(|home| own != Some(home));
        for home in homes {
            let is_own = own == Some(&home);
            let occasion = if is_own {
                Occasion::Asked
            } else {
                Occasion::Noticed
            };
            self.sync_mirror(&home, occasion).await;
            let Some(now) = self.mirrors.get(&home) else {
                continue;
            };
            if now.state == MirrorState::InSync {
                continue;
            }
            let detail = now.detail.clone().unwrap_or_default();
            if is_own {
                own_failed = Some(not_written(&home, name, now.state, &detail));
                continue;
            }
            let dir = home
                .token_path
                .parent()
                .unwrap_or(&home.token_path)
                .to_owned();
            pending.push(Pending { dir, detail });
        }
        match own_failed {
            Some(error) => Err(error),
            None => Ok(pending),
        }
    }

    /// The name of a new login: the one asked for, else the Hub's, else one made from the user's.
    fn name_for(&self, request: &Login, identity: Option<&Identity>) -> Result<TokenName, Error> {
        let endpoint = request.endpoint.as_ref();
        let endpoint = endpoint.unwrap_or(&self.parts.endpoint).clone();
        let user = identity.map(|identity| identity.user.as_str());
        let same = |name: &TokenName| match self.index().tokens.get(name) {
            None => true,
            Some(old) => {
                old.endpoint == endpoint
                    && (old.user.is_none() || user.is_none() || old.user.as_deref() == user)
            }
        };
        let name = match (&request.name, identity) {
            (Some(name), _) if request.force || same(name) => name.clone(),
            (Some(name), _) => return Err(taken(name)),
            (None, None) => {
                return Err(
                    Error::new(Kind::Usage, "without asking the Hub a login needs a name")
                        .hint("add --name NAME"),
                );
            }
            (None, Some(identity)) => {
                let hubs = hub_name(identity);
                if request.force || same(&hubs) {
                    hubs
                } else {
                    let own =
                        TokenName::parse(format!("{hubs}-{}", identity.user, hubs = hubs.as_str()));
                    let own = own.unwrap_or(hubs);
                    if same(&own) {
                        own
                    } else {
                        self.index().free_name(&own)
                    }
                }
            }
        };
        if self.index().tokens.len() >= MAX_TOKENS && !self.index().tokens.contains_key(&name) {
            return Err(Error::new(
                Kind::Refused,
                format!("hfd keeps at most {MAX_TOKENS} tokens"),
            )
            .hint("log out of some with `hfd logout NAME`"));
        }
        Ok(name)
    }

    fn record_for(&self, request: &Login, identity: Option<&Identity>, name: &TokenName) -> Record {
        let old = self.index().tokens.get(name);
        let kept: Option<StoreId> = request.store.or(old.map(|old| old.store));
        // Another value may be another person's: only the Hub can say.
        let access = self.index().salt.fingerprint(&request.token);
        let same_value = old.filter(|old| old.access == access);
        let kind = identity.map_or_else(|| kind_of(&request.token, false), |known| known.kind);
        let asked = request.endpoint.as_ref();
        Record {
            user: identity
                .map(|identity| identity.user.clone())
                .or_else(|| same_value.and_then(|old| old.user.clone())),
            role: identity.and_then(|identity| identity.role.clone()),
            expires_at: identity.and_then(|identity| identity.expires_at),
            ..Record::new(
                asked.unwrap_or(&self.parts.endpoint).clone(),
                kind,
                self.store_for(kept),
                access,
            )
        }
    }
}

/// The Hub's name for a token, made fit for a section header: `displayName`, or `oauth-USER` as
/// upstream calls a browser login. `DEFAULT` becomes `DEFAULT-1`, line breaks become spaces.
fn hub_name(identity: &Identity) -> TokenName {
    let given = identity
        .display_name
        .clone()
        .filter(|name| !name.is_empty());
    let given = given.unwrap_or_else(|| format!("oauth-{}", identity.user));
    let mut fit = given.replace(['\r', '\n'], " ");
    fit.truncate(fit.floor_char_boundary(200));
    if fit == "DEFAULT" {
        fit.push_str("-1");
    }
    // Not empty, no line break, not DEFAULT, short: nothing is left to be refused.
    TokenName::parse(fit).unwrap_or_else(|_| hub_name_of_nobody())
}

fn hub_name_of_nobody() -> TokenName {
    match TokenName::parse("unnamed") {
        Ok(name) => name,
        Err(_) => unreachable!("a plain word is a valid name"),
    }
}

fn taken(name: &TokenName) -> Error {
    let shown = name.escaped();
    Error::new(
        Kind::Refused,
        format!("`{shown}` is the name of another token"),
    )
    .hint("choose another name, or log that one out first")
}

/// Nothing is active here.
pub(crate) fn not_logged_in() -> Error {
    Error::new(Kind::NotLoggedIn, "not logged in").hint("`hfd login` logs in")
}

pub(super) fn not_managed(home: Option<&Home>) -> Error {
    match home {
        None => Error::new(Kind::Usage, "no Hugging Face home was given"),
        Some(home) => Error::new(
            Kind::Refused,
            format!("{} is not managed by hfd", sync::shown(home)),
        )
        .hint("`hfd login` there makes it a mirror, or unset HF_HOME"),
    }
}

/// A mirror that could not be brought in step with what was just asked for.
pub(super) fn not_written_at(home: &Home, mirror: &MirrorStatus) -> Error {
    let kind = match mirror.state == MirrorState::Waiting {
        true => Kind::TimedOut,
        false => Kind::Other,
    };
    let detail = mirror.detail.as_deref().unwrap_or("they are not in step");
    Error::new(
        kind,
        format!("the files in {} do not follow: {detail}", sync::shown(home)),
    )
    .hint("mend that, then run `hfd sync`")
}

fn not_written(home: &Home, name: &TokenName, state: MirrorState, detail: &str) -> Error {
    let kind = if state == MirrorState::Waiting {
        Kind::TimedOut
    } else {
        Kind::Other
    };
    let (name, dir) = (name.escaped(), sync::shown(home));
    Error::new(
        kind,
        format!("hfd holds the change of `{name}`, but the files in {dir} do not: {detail}"),
    )
    .hint("mend that, then run `hfd sync`")
}
