//! The keychain of a Linux desktop, over the Secret Service API of freedesktop.org: GNOME Keyring,
//! KWallet, KeePassXC.
//!
//! Why not the keyring crates: their stores for it wait without end for a provider that is frozen,
//! raise dialogs on reads, and fail for ever once the provider was restarted. This is the crate
//! beneath them, on a connection of our own whose every message has a time-out. What differs
//! between providers is said where it matters.

mod bus;
mod changes;
mod fault;
mod items;
mod kwallet;
mod prompt;

use std::ffi::OsString;

use hfd_proto::{Secret, StoreId};
use secret_service::{EncryptionType, Error};

use self::bus::{Addresses, Bus};
use self::changes::Changes;
use self::fault::{Fault, Ticket};
use self::items::Collection;
use super::{Change, Key, StoreError};

/// Makes a call on the open collection, and once more when it met with a session of the past. A
/// macro, because the compiler cannot yet see that an async closure with this borrow is `Send`.
macro_rules! attempt {
    ($place:ident . $open:ident, $ticket:ident, $collection:ident => $call:expr) => {
        loop {
            let outcome = match $place.$open().await {
                Ok($collection) => $call,
                Err(fault) => Err(fault),
            };
            if let Some(settled) = $place.settle(outcome, &$ticket) {
                break settled;
            }
        }
    };
}

type Service = secret_service::SecretService<'static>;

/// The keychain behind one session bus. Nothing is connected before the first call.
pub struct SecretService {
    addresses: Addresses,
    kwallet: kwallet::Settings,
    /// Kept for as long as it lasts: KeePassXC asks its user once per connection.
    bus: Option<Bus>,
    session: Option<Session>,
    /// Where new items go, as last seen.
    collection: Option<String>,
    changes: Changes,
    /// How many signals there were when it was last looked.
    signals: u64,
}

/// An agreement with one run of the provider, which forgets it when it is restarted.
struct Session {
    service: Service,
    encrypted: bool,
}

impl SecretService {
    /// The keychain on the session bus that `env` (`std::env::var_os` but in tests) names:
    /// `DBUS_SESSION_BUS_ADDRESS`, else `bus` in the runtime directory, as sd-bus and GLib do.
    pub fn new(env: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            addresses: Addresses::new(&env),
            kwallet: kwallet::Settings::new(&env),
            bus: None,
            session: None,
            collection: None,
            changes: Changes::default(),
            signals: 0,
        }
    }

    pub(super) fn id(&self) -> StoreId {
        StoreId::SecretService
    }

    pub(super) async fn get(&mut self, key: &Key) -> Result<Option<Secret>, StoreError> {
        let ticket = Ticket::default();
        attempt!(self.collection, ticket, collection => collection.get(key).await)
    }

    pub(super) async fn put(&mut self, key: &Key, secret: &Secret) -> Result<(), StoreError> {
        let ticket = Ticket::default();
        attempt!(self.collection, ticket, collection => collection.put(key, secret, &ticket).await)
    }

    pub(super) async fn delete(&mut self, key: &Key) -> Result<bool, StoreError> {
        let ticket = Ticket::default();
        attempt!(self.collection, ticket, collection => collection.delete(key, &ticket).await)
    }

    pub(super) async fn keys(&mut self) -> Result<Vec<Key>, StoreError> {
        let ticket = Ticket::default();
        attempt!(self.collection, ticket, collection => collection.keys().await)
    }

    pub(super) async fn probe(&mut self) -> Result<(), StoreError> {
        let ticket = Ticket::default();
        attempt!(self.collection, ticket, _collection => Ok(()))
    }

    /// As [`Self::probe`], but a provider that does not run is not started: the bus would start
    /// one that is locked, or run into the same failure once a minute.
    pub(super) async fn glance(&mut self) -> Result<(), StoreError> {
        self.signals = self.changes.signals();
        let ticket = Ticket::default();
        attempt!(self.running, ticket, _collection => Ok(()))
    }

    /// Waits for a signal that the provider came or went, that a collection changed its state, or
    /// that items were touched.
    pub(super) async fn noticed(&mut self) {
        let Some(bus) = &mut self.bus else {
            return std::future::pending().await;
        };
        tokio::select! {
            sign = bus.sign() => self.heed(sign),
            () = self.changes.due() => {}
        }
    }

    /// What other programs, or this one, have done to items since it was last asked for; `None` when
    /// there is no more. A provider that has ended is not started for it. Cancelling loses nothing.
    pub(super) async fn next_change(&mut self) -> Result<Option<Change>, StoreError> {
        while let Some(next) = self.changes.next() {
            self.signals = self.changes.signals();
            let (ticket, look) = (Ticket::default(), &next.look);
            let told =
                attempt!(self.running, ticket, collection => collection.look_at(look).await)?;
            next.done();
            if told.is_some() {
                return Ok(told);
            }
        }
        Ok(None)
    }

    /// It cannot be looked: the end of the provider, or the lock, was what had items touched, or
    /// nobody can read them.
    pub(super) fn forget_changes(&self) {
        self.changes.forget(self.signals);
    }

    pub(super) async fn abandon(&mut self) {
        if let Some(bus) = &self.bus {
            bus.prompts.dismiss(&bus.connection).await;
        }
    }

    pub(super) fn reset(&mut self) {
        self.session = None;
        self.bus = None;
    }

    pub(super) fn detail(&self) -> Option<String> {
        let collection = self.collection.as_ref()?;
        Some(match &self.session {
            Some(session) if !session.encrypted => {
                format!("collection {collection}, unencrypted session")
            }
            _ => format!("collection {collection}"),
        })
    }

    /// The outcome of an attempt, or `None` when it met with a session of the past and deserves
    /// another.
    fn settle<T>(
        &mut self,
        outcome: Result<T, Fault>,
        ticket: &Ticket,
    ) -> Option<Result<T, StoreError>> {
        let fault = match outcome {
            Ok(value) => return Some(Ok(value)),
            Err(fault) => fault,
        };
        self.forget(&fault);
        if fault.is_stale() && ticket.once_more() {
            tracing::debug!("once more, with a new session: {fault}");
            return None;
        }
        Some(Err(ticket.verdict(fault)))
    }

    /// The default collection, found unlocked. Its lock state is read before anything else: while
    /// it is locked a search finds nothing (oo7) or raises a dialog (KeePassXC), and creating an
    /// item raises one everywhere.
    async fn collection(&mut self) -> Result<Collection<'_>, Fault> {
        self.open().await?;
        let (Some(bus), Some(session)) = (&self.bus, &self.session) else {
            return Err(Fault::Stale(String::from("the session was lost")));
        };
        let collection = match session.service.get_default_collection().await {
            Err(Error::NoResult) => return Err(Fault::NoCollection),
            collection => collection?,
        };
        let path = collection.collection_path.as_str();
        if self.collection.as_deref() != Some(path) {
            self.collection = Some(path.to_owned());
        }
        if collection.is_locked().await? {
            if !kwallet::is_open(&self.kwallet, &bus.connection, &collection).await? {
                return Err(Fault::Locked);
            }
            let unlocking = collection.unlock();
            bus.prompts.watch(&bus.connection, unlocking).await?;
        }
        Ok(Collection {
            collection,
            service: &session.service,
            bus,
        })
    }

    /// As [`Self::collection`], of a provider that runs already.
    async fn running(&mut self) -> Result<Collection<'_>, Fault> {
        if !self.bus().await?.has_provider().await? {
            return Err(Fault::NotRunning);
        }
        self.collection().await
    }

    /// Sees to it that there is a session with the provider that runs now.
    async fn open(&mut self) -> Result<(), Fault> {
        while let Some(sign) = self.bus.as_mut().and_then(Bus::next_sign) {
            self.heed(sign);
        }
        if self.session.is_none() {
            let connection = self.bus().await?.connection.clone();
            self.session = Some(Session::open(connection).await?);
        }
        Ok(())
    }

    async fn bus(&mut self) -> Result<&Bus, Fault> {
        let bus = match self.bus.take() {
            Some(bus) => bus,
            None => Bus::connect(&self.addresses, &self.changes).await?,
        };
        Ok(self.bus.insert(bus))
    }

    fn heed(&mut self, sign: bus::Sign) {
        match sign {
            bus::Sign::Collections => {}
            bus::Sign::Provider => self.session = None,
            bus::Sign::Disconnected => self.reset(),
        }
    }

    /// Drops what `fault` shows to be of no more use.
    fn forget(&mut self, fault: &Fault) {
        match fault {
            Fault::Stale(_) | Fault::NotRunning => self.session = None,
            Fault::Disconnected(_) | Fault::NoBus(_) => self.reset(),
            _ => {}
        }
    }
}

impl std::fmt::Debug for SecretService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretService")
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Opens a session whose values are encrypted on their way over the bus. KWallet without its
    /// crypto plugin cannot do that: then a plain one, which any program of this user that monitors
    /// the bus can read.
    async fn open(connection: zbus::Connection) -> Result<Self, Fault> {
        let mut encrypted = true;
        let opened = Service::connect_with_existing(EncryptionType::Dh, connection.clone()).await;
        let service = match opened.map_err(Fault::from) {
            Err(Fault::Refused(why)) => {
                tracing::warn!("the keychain offers no encrypted session: {why}");
                encrypted = false;
                Service::connect_with_existing(EncryptionType::Plain, connection).await?
            }
            opened => opened?,
        };
        Ok(Self { service, encrypted })
    }
}
