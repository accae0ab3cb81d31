//! Tokens that move from one store to another, and one that stops halfway.

use hfd_proto::{Migrate, Migrated, StoreId};

use super::*;

async fn migrate(bench: &Bench, to: StoreId) -> Result<Migrated, Error> {
    let dry_run = false;
    bench.engine.migrate(Migrate { to, dry_run }).await
}

fn place(bench: &Bench) -> (StoreId, bool) {
    let state = bench.state.borrow();
    let record = &state.index.tokens[&name("work")];
    (record.store, record.refresh.is_some())
}

#[tokio::test]
async fn a_refresh_token_leaves_its_store_when_it_is_in_the_other_one() {
    let mut bench = Bench::new();
    let keychain = StoreId::HERE[0];
    let stored = "[work]\nhf_token = hf_oauth_one\nrefresh_token = rt_one\n\n";
    std::fs::write(bench.path("stored_tokens"), stored).unwrap();
    bench.sync().await;
    // What was logged out has a refresh token as well, under the same name.
    let second = stored.replace("_one", "_two");
    std::fs::write(bench.path("stored_tokens"), &second).unwrap();
    bench.sync().await;
    assert_eq!(bench.in_keychain().await, 4);
    let moved = migrate(&bench, StoreId::File).await.unwrap();
    assert_eq!((moved.moved.len(), moved.kept, moved.left), (1, 1, 0));
    assert_eq!(bench.in_keychain().await, 0);
    // The keychain takes so many and then no more.
    for taken in 1..4 {
        bench.knobs.fail_after(taken);
        let error = migrate(&bench, keychain).await.unwrap_err();
        assert_eq!(error.kind, Kind::TimedOut, "{error}");
        bench.restart();
        // It is undone before anything is answered.
        bench.sync().await;
        assert_eq!(bench.state.borrow().unsettled, 0);
        assert_eq!(place(&bench), (StoreId::File, true), "after {taken}");
        assert_eq!(bench.in_keychain().await, 0, "nothing stays of it");
    }
    let moved = migrate(&bench, keychain).await.unwrap();
    assert_eq!((moved.moved.len(), moved.kept, moved.left), (1, 1, 0));
    assert_eq!(place(&bench), (keychain, true));
    assert_eq!(bench.in_keychain().await, 4);
    bench.restore(Some("work")).await.unwrap();
    assert_eq!(bench.read("stored_tokens"), stored);
}
