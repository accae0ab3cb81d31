//! What holds of every store while something fails.

use std::time::{Duration, Instant};

use hfd_daemon::store::{Effect, Store, StoreError};
use hfd_proto::{Error, StoreState};

use crate::bench::{Breakable, key, secret, soon};

/// Waits until the store is in that state by itself, without a call.
async fn becomes(store: &Store, state: StoreState) {
    let mut status = store.subscribe();
    let waiting = status.wait_for(|status| status.state == state);
    soon(&format!("the store to become {state:?}"), waiting)
        .await
        .unwrap();
}

/// Every call, and what it answered.
async fn every_call(store: &Store) -> Vec<Result<(), StoreError>> {
    vec![
        store.get(&key("work")).await.map(drop),
        store.get(&key("nobody")).await.map(drop),
        store.put(&key("work"), &secret("hf_new")).await,
        store.put(&key("another"), &secret("hf_x")).await,
        store.delete(&key("work")).await.map(drop),
        store.keys().await.map(drop),
        store.probe().await,
    ]
}

pub(crate) async fn a_locked_store_says_so_at_once_and_opens_by_itself(bench: &mut impl Breakable) {
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    bench.lock().await;
    let begun = Instant::now();
    for outcome in every_call(&store).await {
        let error = outcome.expect_err("a locked store answered");
        assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
        assert_eq!(Error::from(error).kind.exit_status(), 11);
    }
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(store.status().state, StoreState::Locked);
    bench.unlock().await;
    becomes(&store, StoreState::Ready).await;
    assert_eq!(store.keys().await, Ok(vec![key("work")]));
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_old"))));
}

pub(crate) async fn a_lock_is_noticed_without_a_call(bench: &mut impl Breakable) {
    let store = bench.store();
    store.probe().await.unwrap();
    bench.lock().await;
    becomes(&store, StoreState::Locked).await;
    bench.unlock().await;
    becomes(&store, StoreState::Ready).await;
}

pub(crate) async fn a_frozen_store_keeps_nobody_waiting_and_thaws_by_itself(
    bench: &mut impl Breakable,
) {
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    bench.freeze();
    let mut callers = tokio::task::JoinSet::new();
    let begun = Instant::now();
    for n in 0..100 {
        let store = store.clone();
        callers.spawn(async move {
            let outcome = match n {
                0 => store.put(&key("work"), &secret("hf_new")).await,
                1 => store.delete(&key("nobody")).await.map(drop),
                2 => store.keys().await.map(drop),
                _ => store.get(&key("work")).await.map(drop),
            };
            (n, outcome)
        });
    }
    becomes(&store, StoreState::Waiting).await;
    for (n, outcome) in callers.join_all().await {
        let Err(StoreError::TimedOut { effect, .. }) = outcome else {
            panic!("a frozen store answered {n}: {outcome:?}");
        };
        // The first was under way. A read never has an effect.
        match n {
            0 => assert_eq!(effect, Effect::Possible),
            1 => {}
            _ => assert_eq!(effect, Effect::None),
        }
    }
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    bench.thaw();
    becomes(&store, StoreState::Ready).await;
    let value = store.get(&key("work")).await.unwrap().unwrap();
    assert!([secret("hf_old"), secret("hf_new")].contains(&value));
    store.put(&key("work"), &secret("hf_newest")).await.unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_newest"))));
}

pub(crate) async fn a_write_over_a_freeze_is_the_old_value_or_the_new(bench: &mut impl Breakable) {
    let store = bench.store();
    let mut old = secret("hf_0");
    store.put(&key("work"), &old).await.unwrap();
    // A write takes one to three milliseconds on gnome-keyring, so these hit its messages.
    for (round, pause) in [0, 400, 800, 1200, 1800, 2600].into_iter().enumerate() {
        let new = secret(&format!("hf_{}", round + 1));
        let writing = tokio::spawn({
            let (store, new) = (store.clone(), new.clone());
            async move { store.put(&key("work"), &new).await }
        });
        tokio::time::sleep(Duration::from_micros(pause)).await;
        bench.freeze();
        let outcome = writing.await.unwrap();
        bench.thaw();
        store.probe().await.unwrap();
        becomes(&store, StoreState::Ready).await;
        let value = store.get(&key("work")).await.unwrap().unwrap();
        match outcome {
            Ok(()) => assert_eq!(value, new),
            Err(StoreError::TimedOut {
                effect: Effect::Possible,
                ..
            }) => assert!(value == old || value == new),
            other => panic!("{other:?}"),
        }
        assert_eq!(store.keys().await, Ok(vec![key("work")]));
        old = value;
    }
}

pub(crate) async fn a_store_that_ends_is_no_empty_store_and_comes_back(bench: &mut impl Breakable) {
    let store = bench.store();
    store.put(&key("work"), &secret("hf_old")).await.unwrap();
    bench.end().await;
    becomes(&store, StoreState::Unavailable).await;
    for outcome in every_call(&store).await {
        let error = Error::from(outcome.expect_err("a store that has ended answered"));
        let status = error.kind.exit_status();
        assert!([11, 12, 13].contains(&status), "{error:?}");
        assert!(error.hint.is_some());
    }
    assert_ne!(store.status().state, StoreState::Ready);
    bench.start().await;
    becomes(&store, StoreState::Ready).await;
    assert_eq!(store.keys().await, Ok(vec![key("work")]));
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_old"))));
}

pub(crate) async fn a_dropped_session_is_opened_again_unnoticed(bench: &mut impl Breakable) {
    let store = bench.store();
    store.put(&key("work"), &secret("hf_0")).await.unwrap();
    for round in 1..4 {
        bench.restart().await;
        let value = secret(&format!("hf_{round}"));
        // Each kind of call is once the first on the new session.
        match round {
            1 => assert!(store.get(&key("work")).await.unwrap().is_some()),
            2 => assert_eq!(store.keys().await, Ok(vec![key("work")])),
            _ => {}
        }
        store.put(&key("work"), &value).await.unwrap();
        assert_eq!(store.get(&key("work")).await, Ok(Some(value)));
    }
    bench.restart().await;
    assert_eq!(store.delete(&key("work")).await, Ok(true));
}
