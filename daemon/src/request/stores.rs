//! The stores themselves: how each is, whether it takes a value, and the key of the one that hfd encrypts.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use hfd_proto::{
    Endpoint, Error, Kind, LockReply, Probe, Protection, Rekey, Rekeyed, Secret, StoreEntry,
    StoreId, StoreState, Stores, StoresReply, TokenName, Unlock,
};

use crate::daemon::Daemon;
use crate::engine::{leaving, locked};
use crate::store::{Key, Part, Store};

/// Every store of this system, asked at the same time: one that does not answer costs its own deadline.
pub(super) async fn answer(daemon: &Arc<Daemon>, request: &Stores) -> Result<StoresReply, Error> {
    let mut ids = StoreId::HERE.to_vec();
    ids.retain(|id| request.id.is_none_or(|only| only == *id));
    ids.sort_by_key(|id| *id != daemon.stores.default);
    let probe = request.probe;
    let asked = ids.into_iter().map(|id| {
        let daemon = Arc::clone(daemon);
        tokio::spawn(async move { entry(&daemon, id, probe).await })
    });
    let mut stores = Vec::new();
    for asked in asked.collect::<Vec<_>>() {
        stores.push(asked.await.map_err(|_| leaving())??);
    }
    Ok(StoresReply { stores })
}

async fn entry(daemon: &Daemon, id: StoreId, probe: bool) -> Result<StoreEntry, Error> {
    let store = daemon.stores.get(id)?;
    let answered = store.probe().await.map_err(Error::from);
    let status = store.status();
    // One that cannot be read says so by its state.
    let protection = store.protection().await.ok().flatten();
    // A file is not made for it.
    let is_there = id != StoreId::File || protection.is_some() || id == daemon.stores.default;
    let probe = match probe && is_there && status.state == StoreState::Ready {
        true => Some(try_out(store).await?),
        false => None,
    };
    let snapshot = daemon.snapshot();
    let tokens = snapshot.index.tokens.values();
    Ok(StoreEntry {
        id: id.into(),
        state: status.state,
        detail: status.detail,
        hint: answered.err().and_then(|error| error.hint),
        default: id == daemon.stores.default,
        tokens: tokens.filter(|record| record.store == id).count(),
        protection: protection.map(Into::into),
        probe,
    })
}

/// A value of no worth is written, read back and removed.
async fn try_out(store: &Store) -> Result<Probe, Error> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| Error::new(Kind::Other, error.to_string()))?;
    let number = u64::from_ne_bytes(random);
    let value = Secret::parse(&format!("no-token-{number:016x}"))
        .map_err(|why| Error::new(Kind::Other, why.to_string()))?;
    let name =
        TokenName::parse("hfd doctor").map_err(|why| Error::new(Kind::Other, why.to_string()))?;
    let key = Key {
        endpoint: Endpoint::default(),
        name,
        part: Part::Probe,
    };
    let mut probe = Probe {
        write_ms: None,
        read_ms: None,
        remove_ms: None,
        error: None,
    };
    let outcome = async {
        timed(&mut probe.write_ms, store.put(&key, &value)).await?;
        let read = timed(&mut probe.read_ms, store.get(&key)).await?;
        let removed = timed(&mut probe.remove_ms, store.delete(&key)).await?;
        match read.as_ref() == Some(&value) && removed {
            true => Ok(()),
            false => Err(Error::new(
                Kind::StoreUnavailable,
                format!(
                    "{} gives back something else than it was given",
                    store.id().title()
                ),
            )
            .hint("another program may clean it up; choose another store (`hfd store list`)")),
        }
    };
    let outcome: Result<(), Error> = outcome.await;
    probe.error = outcome.err();
    Ok(probe)
}

async fn timed<T>(
    milliseconds: &mut Option<u64>,
    call: impl Future<Output = Result<T, crate::store::StoreError>>,
) -> Result<T, Error> {
    let start = Instant::now();
    let outcome = call.await?;
    *milliseconds = u64::try_from(start.elapsed().as_millis()).ok();
    Ok(outcome)
}

/// `hfd store rekey`.
pub(super) async fn rekey(daemon: &Daemon, request: Rekey) -> Result<Rekeyed, Error> {
    let protection = match &request.passphrase {
        Some(_) => Protection::Passphrase,
        None => Protection::KeyFile,
    };
    if daemon.snapshot().index.locked {
        return Err(locked());
    }
    let store = daemon.stores.get(StoreId::File)?;
    store.rekey(request.passphrase).await?;
    Ok(Rekeyed {
        protection: protection.into(),
    })
}

/// `hfd unlock`: the encrypted file first, since what is shown then may rest there.
pub(super) async fn unlock(daemon: &Daemon, request: Unlock) -> Result<LockReply, Error> {
    let locked_by_person = daemon.snapshot().index.locked;
    // A passphrase is for `hfd unlock` then, which tries first whether one is needed.
    if request.store_only && request.passphrase.is_some() && locked_by_person {
        return Err(locked());
    }
    let file = daemon.stores.get(StoreId::File)?;
    match request.passphrase {
        Some(passphrase) => file.unlock(Some(passphrase)).await?,
        // Whatever is wrong with it concerns nobody who keeps nothing there.
        None => drop(file.unlock(None).await),
    }
    if request.store_only {
        return Ok(LockReply {
            was_locked: false,
            pending: Vec::new(),
        });
    }
    daemon.engine.lock(false, request.home).await
}
