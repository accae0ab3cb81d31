//! Windows Credential Manager, of whoever runs the tests: they take turns, and each begins and ends
//! without items of hfd's. Under Wine that is a prefix of its own.

use hfd_daemon::store::{Backend, Native, Store};
use tokio::sync::{Mutex, MutexGuard};

use crate::bench::Bench;

static TURN: Mutex<()> = Mutex::const_new(());

pub(crate) struct Manager {
    _turn: MutexGuard<'static, ()>,
}

impl Manager {
    /// With nothing in it. Items that a person has are not removed: then no test begins.
    pub(crate) async fn alone() -> Self {
        let turn = TURN.lock().await;
        let store = Store::spawn(Backend::Native(Native::new()));
        let wine = std::env::var_os("WINEPREFIX").is_some();
        for key in store.keys().await.unwrap() {
            assert!(
                wine,
                "Credential Manager holds tokens of hfd: log out first"
            );
            store.delete(&key).await.unwrap();
        }
        Self { _turn: turn }
    }
}

impl Bench for Manager {
    fn store(&self) -> Store {
        Store::spawn(Backend::Native(Native::new()))
    }

    /// Wine keeps items in its registry, whose keys have 255 characters; `%xx` takes three for each
    /// byte.
    fn longest_name(&self) -> usize {
        match std::env::var_os("WINEPREFIX") {
            Some(_) => 64,
            None => 255,
        }
    }
}
