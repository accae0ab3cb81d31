//! Stories of the engine on real files, a real journal, and the store in memory that misbehaves on
//! demand.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hfd_core::model::Salt;
use hfd_proto::{
    Endpoint, Error, Event, Home, Kind, Login, LoginReply, Logout, Manage, MirrorState, Mode,
    Rename, Restore, Secret, StoreId, Switch, TokenName, Unmanage,
};
use tokio::sync::{broadcast, watch};

mod again;
mod flight;
mod idle;
mod keeping;
mod migrate;
mod renewal;

use super::{Arrival, Begun, Engine, Parts};
use crate::journal::Journal;
use crate::snapshot::Snapshot;
use crate::store::{Backend, Key, Knobs, Memory, Part, Store};
use crate::stores::Stores;
use crate::values::Values;

/// A daemon without its socket.
struct Bench {
    endpoint: Endpoint,
    directory: tempfile::TempDir,
    /// Where the index is.
    index: PathBuf,
    store: Store,
    knobs: Knobs,
    engine: Engine,
    state: watch::Receiver<Arc<Snapshot>>,
    events: broadcast::Receiver<Event>,
}

impl Bench {
    fn new() -> Self {
        Self::at(Endpoint::default())
    }

    /// With this Hub in the configuration.
    fn at(endpoint: Endpoint) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("hf")).unwrap();
        let index = directory.path().join("state");
        std::fs::create_dir(&index).unwrap();
        let (memory, knobs) = Memory::new(StoreId::HERE[0]);
        let store = Store::spawn(Backend::Memory(memory));
        let (engine, state, events) = start(&index, store.clone(), endpoint.clone());
        Self {
            endpoint,
            directory,
            index,
            store,
            knobs,
            engine,
            state,
            events,
        }
    }

    /// The daemon dies and another starts: same disk, same keychain.
    fn restart(&mut self) {
        let (index, store) = (&self.index, self.store.clone());
        (self.engine, self.state, self.events) = start(index, store, self.endpoint.clone());
    }

    /// The next daemon finds no index. That of this one stays where it is: it may be open still.
    fn lose_index(&mut self) {
        self.index = self.directory.path().join("new state");
        std::fs::create_dir(&self.index).unwrap();
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join("hf").join(file)
    }

    fn home(&self) -> Option<Home> {
        Some(Home {
            token_path: self.path("token"),
        })
    }

    fn read(&self, file: &str) -> String {
        match std::fs::read_to_string(self.path(file)) {
            // As Python reads it on every system.
            Ok(text) => text.replace("\r\n", "\n"),
            Err(_) => "(none)".to_owned(),
        }
    }

    async fn login(&self, name_: &str, value: &str) -> Result<LoginReply, Error> {
        let login = Login {
            token: secret(value),
            name: Some(name(name_)),
            home: self.home(),
            switch: true,
            offline: true,
            endpoint: None,
            store: None,
            force: false,
            network: hfd_proto::Network::default(),
        };
        self.engine.login(arrival(login)).await
    }

    /// The keychain freezes while it is writing this token.
    async fn login_into_a_freeze(&self, name: &str, value: &str) -> Result<LoginReply, Error> {
        self.knobs.slow(std::time::Duration::from_millis(200));
        let login = self.login(name, value);
        tokio::pin!(login);
        tokio::select! {
            reply = &mut login => return reply,
            () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
        }
        self.knobs.frozen(true);
        self.knobs.slow(std::time::Duration::ZERO);
        login.await
    }

    async fn sync(&self) {
        self.engine.sync(self.home()).await.unwrap();
    }

    fn names(&self) -> Vec<String> {
        self.state
            .borrow()
            .index
            .tokens
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect()
    }

    fn active(&self) -> Option<String> {
        let state = self.state.borrow();
        state
            .active(self.home().as_ref())
            .map(|name| name.as_str().to_owned())
    }

    async fn in_keychain(&self) -> usize {
        self.store.keys().await.unwrap().len()
    }

    async fn event(&mut self, wanted: &str) {
        while self.events.recv().await.unwrap().event != wanted {}
    }
}

fn start(
    index: &Path,
    store: Store,
    endpoint: Endpoint,
) -> (
    Engine,
    watch::Receiver<Arc<Snapshot>>,
    broadcast::Receiver<Event>,
) {
    let journal = Journal::open(index, Salt([1; 16])).unwrap();
    let stores = Arc::new(Stores::of(store, index.join("file")));
    let values = Arc::new(Values::new(journal.index.salt, Arc::clone(&stores)));
    let (publish, state) = watch::channel(Arc::new(Snapshot {
        index: Arc::clone(&journal.index),
        mirrors: std::collections::BTreeMap::new(),
        unsettled: 0,
    }));
    let (events, seen) = broadcast::channel(64);
    (
        Engine::start(Parts {
            journal,
            stores,
            values,
            publish,
            events,
            lock: None,
            leave: Arc::default(),
            withhold: false,
            clock: Arc::default(),
            endpoint,
        })
        .unwrap(),
        state,
        seen,
    )
}

/// A login with a token.
fn arrival(request: Login) -> Box<Arrival> {
    Box::new(Arrival {
        request,
        identity: None,
        session: None,
    })
}

fn secret(value: &str) -> Secret {
    Secret::parse(value).unwrap()
}

fn name(text: &str) -> TokenName {
    TokenName::parse(text).unwrap()
}

#[tokio::test]
async fn a_login_is_in_the_keychain_in_the_files_and_active() {
    let bench = Bench::new();
    let reply = bench.login("work", "hf_work").await.unwrap();
    assert!(reply.active && !reply.replaced);
    assert_eq!(bench.in_keychain().await, 1);
    assert_eq!(bench.read("token"), "hf_work");
    assert_eq!(
        bench.read("stored_tokens"),
        "[work]\nhf_token = hf_work\n\n"
    );
}

#[tokio::test]
async fn what_was_there_before_is_taken_up_and_the_files_stay() {
    let bench = Bench::new();
    let stored = "[a]\nhf_token = hf_a\n\n[oauth-b]\nhf_token = hf_oauth_b\n\
                  refresh_token = rt_b\nexpires_at = 2000000000\n\n";
    std::fs::write(bench.path("stored_tokens"), stored).unwrap();
    std::fs::write(bench.path("token"), "hf_bare").unwrap();
    bench.sync().await;
    assert_eq!(
        bench.in_keychain().await,
        4,
        "a, b, b's refresh token, the bare token"
    );
    assert_eq!(bench.read("stored_tokens"), stored);
    assert_eq!(bench.read("token"), "hf_bare");
    let names = bench.names();
    assert_eq!(names[..2], ["a", "oauth-b"]);
    assert!(names[2].starts_with("unnamed-"));
    assert_eq!(bench.active(), Some(names[2].clone()));
}

#[tokio::test]
async fn a_tool_that_switches_and_adds_is_followed() {
    let bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    std::fs::write(
        bench.path("stored_tokens"),
        "[other]\nhf_token = hf_other\n\n[work]\nhf_token = hf_work\n\n",
    )
    .unwrap();
    std::fs::write(bench.path("token"), "hf_other").unwrap();
    bench.sync().await;
    assert_eq!(bench.names(), ["other", "work"]);
    assert_eq!(bench.active().as_deref(), Some("other"));
}

#[cfg(target_os = "linux")] // elsewhere nobody tells that a file is open for writing
#[tokio::test]
async fn what_is_only_half_written_is_not_taken_for_an_edit() {
    let bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let mut file = std::fs::File::create(bench.path("stored_tokens")).unwrap();
    file.write_all(b"[work]\nhf_token = hf_wo").unwrap();
    bench.sync().await;
    let state = || bench.state.borrow().mirrors[&bench.home().unwrap()].state;
    assert_eq!(state(), MirrorState::Pending);
    file.write_all(b"rk\n\n[other]\nhf_token = hf_other\n\n")
        .unwrap();
    drop(file);
    bench.sync().await;
    assert_eq!(state(), MirrorState::InSync);
    assert_eq!(bench.names(), ["other", "work"]);
    assert_eq!(bench.read("token"), "hf_work");
    assert!(
        bench.state.borrow().index.kept.is_empty(),
        "nothing was replaced"
    );
}

#[tokio::test]
async fn what_is_written_into_a_displaced_file_is_taken_up_when_that_is_closed() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let displaced = bench.path(".hfd-s-0123456789abcdef");
    let mut file = std::fs::File::create(&displaced).unwrap();
    bench.restart();
    bench.sync().await;
    file.write_all(b"[other]\nhf_token = hf_other\n\n").unwrap();
    bench.sync().await;
    assert_eq!(bench.names(), ["work"], "not before it is closed");
    drop(file);
    bench.sync().await;
    assert_eq!(bench.names(), ["other", "work"]);
    assert!(!displaced.exists());
}

#[tokio::test]
async fn a_locked_keychain_refuses_and_nothing_has_changed() {
    let bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    bench.knobs.locked(true);
    let error = bench.login("more", "hf_more").await.unwrap_err();
    assert_eq!(error.kind, Kind::Locked);
    assert_eq!(bench.names(), ["work"]);
    assert_eq!(bench.read("token"), "hf_work");
    bench.knobs.locked(false);
    bench.login("more", "hf_more").await.unwrap();
    assert_eq!(bench.names(), ["more", "work"]);
}

#[tokio::test]
async fn a_login_that_timed_out_is_settled_when_the_keychain_thaws() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let error = bench
        .login_into_a_freeze("late", "hf_late")
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::TimedOut, "{error}");
    assert_eq!(bench.names(), ["work"]);
    // A switch needs no store: it goes on working.
    let switch = Switch {
        name: name("work"),
        home: bench.home(),
        all: false,
    };
    bench.engine.switch(switch).await.unwrap();
    bench.knobs.frozen(false);
    tokio::select! {
        () = bench.event("settled") => {}
        () = tokio::time::sleep(std::time::Duration::from_secs(60)) => panic!("never settled"),
    }
    bench.sync().await;
    assert_eq!(bench.names(), ["late", "work"]);
    assert_eq!(bench.read("token"), "hf_late");
    assert_eq!(bench.state.borrow().unsettled, 0);
}

#[tokio::test]
async fn a_daemon_that_dies_in_a_login_shows_the_old_state_or_the_new() {
    // The keychain refuses after the intent was written: the old state.
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    bench.knobs.frozen(true);
    let late = bench.login("late", "hf_late");
    tokio::select! {
        _ = late => panic!("the keychain is frozen"),
        () = tokio::time::sleep(std::time::Duration::from_millis(300)) => {}
    }
    bench.restart();
    bench.knobs.frozen(false);
    bench.sync().await;
    bench.sync().await;
    let (names, keys) = (bench.names(), bench.in_keychain().await);
    assert_eq!(names.len(), keys, "index and keychain agree: {names:?}");
    assert_eq!(
        bench.read("token"),
        if keys == 2 { "hf_late" } else { "hf_work" }
    );
}

#[tokio::test]
async fn a_lost_index_is_made_again_from_the_keychain() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    bench.login("play", "hf_play").await.unwrap();
    bench.lose_index();
    std::fs::write(
        bench.path("stored_tokens"),
        "[work]\nhf_token = hf_other\n\n",
    )
    .unwrap();
    bench.restart();
    bench.sync().await;
    // Two values of one name without a common past: both are kept.
    assert_eq!(bench.names(), ["play", "work", "work-2"]);
    assert!(
        bench
            .read("stored_tokens")
            .contains("[work-2]\nhf_token = hf_other")
    );
    assert!(
        bench
            .read("stored_tokens")
            .contains("[work]\nhf_token = hf_work")
    );
}

#[tokio::test]
async fn what_a_keychain_took_of_several_tokens_is_kept_and_the_rest_follows() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let stored = "[a]\nhf_token = hf_a\n\n[b]\nhf_token = hf_b\n\n[c]\nhf_token = hf_c\n\n\
                  [work]\nhf_token = hf_work\n\n";
    std::fs::write(bench.path("stored_tokens"), stored).unwrap();
    bench.knobs.fail_after(1);
    bench.sync().await;
    assert_eq!(bench.in_keychain().await, 2, "work and a");
    assert_eq!(bench.state.borrow().unsettled, 1);
    bench.event("undone").await;
    bench.sync().await;
    assert_eq!(bench.names(), ["a", "b", "c", "work"]);
    assert_eq!(bench.in_keychain().await, 4);
    assert_eq!(bench.state.borrow().unsettled, 0);
    assert_eq!(bench.read("stored_tokens"), stored);
}

#[tokio::test]
async fn a_logout_of_which_half_was_done_is_completed() {
    let mut bench = Bench::new();
    for name in ["a", "b", "c"] {
        bench.login(name, &format!("hf_{name}")).await.unwrap();
    }
    // Three copies are kept, one of the tokens is removed, the next is refused.
    bench.knobs.fail_after(4);
    let all = Logout {
        all: true,
        home: bench.home(),
        ..Logout::default()
    };
    let error = bench.engine.logout(all).await.unwrap_err();
    assert_eq!(error.kind, Kind::TimedOut, "it was begun: {error}");
    assert_eq!(bench.in_keychain().await, 5);
    bench.event("settled").await;
    bench.sync().await;
    assert_eq!(bench.names(), [""; 0]);
    assert_eq!(bench.in_keychain().await, 3, "what can be brought back");
    assert_eq!(bench.read("token"), "(none)");
}

#[tokio::test]
async fn a_rename_of_which_half_was_done_leaves_the_old_name_and_no_more() {
    let mut bench = Bench::new();
    let stored = "[oauth-b]\nhf_token = hf_oauth_b\nrefresh_token = rt_b\n\n";
    std::fs::write(bench.path("stored_tokens"), stored).unwrap();
    bench.sync().await;
    // The access token is written, the refresh token is refused.
    bench.knobs.fail_after(1);
    let rename = Rename {
        old: name("oauth-b"),
        new: name("b"),
        home: bench.home(),
    };
    let error = bench.engine.rename(rename).await.unwrap_err();
    assert_eq!(error.kind, Kind::TimedOut, "it was begun: {error}");
    bench.event("undone").await;
    assert_eq!(bench.names(), ["oauth-b"]);
    assert_eq!(bench.in_keychain().await, 2);
}

#[tokio::test]
async fn two_tokens_of_one_name_are_both_found_again() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let own = Key {
        endpoint: Endpoint::parse("https://hub.example").unwrap(),
        name: name("work"),
        part: Part::Access,
    };
    bench.store.put(&own, &secret("hf_own")).await.unwrap();
    bench.lose_index();
    bench.restart();
    bench.sync().await;
    assert_eq!(bench.names(), ["work", "work-2"]);
    let state = bench.state.borrow();
    let endpoints = state.index.tokens.values().map(|record| &record.endpoint);
    assert_eq!(
        endpoints.filter(|endpoint| endpoint.is_default()).count(),
        1
    );
}

#[tokio::test]
async fn a_value_that_another_program_put_into_the_keychain_reaches_the_files() {
    let bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let old = Salt([1; 16]).fingerprint(&secret("hf_work"));
    // Somebody has met with a change that was under way: there is no other value.
    bench.engine.replaced(name("work"), old);
    bench.engine.rest().await.unwrap();
    assert_eq!(bench.record("work").access, old);
    assert_eq!(bench.read("token"), "hf_work");
    let key = Key {
        endpoint: Endpoint::default(),
        name: name("work"),
        part: Part::Access,
    };
    bench.store.put(&key, &secret("hf_seahorse")).await.unwrap();
    bench.engine.replaced(name("work"), old);
    bench.engine.rest().await.unwrap();
    assert_eq!(bench.read("token"), "hf_seahorse");
    assert_eq!(
        bench.read("stored_tokens"),
        "[work]\nhf_token = hf_seahorse\n\n"
    );
}

#[tokio::test]
async fn logout_and_rename_reach_keychain_and_files() {
    let bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    bench.login("play", "hf_play").await.unwrap();
    let rename = Rename {
        old: name("play"),
        new: name("fun"),
        home: bench.home(),
    };
    bench.engine.rename(rename).await.unwrap();
    assert_eq!(bench.names(), ["fun", "work"]);
    assert_eq!(bench.active().as_deref(), Some("fun"));
    let rename = Rename {
        old: name("fun"),
        new: name("work"),
        home: bench.home(),
    };
    assert_eq!(
        bench.engine.rename(rename).await.unwrap_err().kind,
        Kind::Refused
    );
    let logout = Logout {
        home: bench.home(),
        ..Logout::default()
    };
    let reply = bench.engine.logout(logout).await.unwrap();
    assert_eq!((reply.removed, reply.was_active), (vec![name("fun")], true));
    assert_eq!(bench.in_keychain().await, 2, "one is kept");
    assert_eq!(bench.read("token"), "(none)");
    let logout = Logout {
        name: Some(name("nobody")),
        home: bench.home(),
        ..Logout::default()
    };
    assert_eq!(
        bench.engine.logout(logout).await.unwrap_err().kind,
        Kind::NoSuchToken
    );
}

#[tokio::test]
async fn a_file_that_does_not_parse_is_left_as_it_is_and_told() {
    let bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    std::fs::write(bench.path("stored_tokens"), "not an ini file").unwrap();
    let error = bench.login("more", "hf_more").await.unwrap_err();
    assert!(error.message.contains("stored_tokens"), "{error}");
    assert_eq!(bench.read("stored_tokens"), "not an ini file");
    assert_eq!(
        bench.read("token"),
        "hf_more",
        "the part that can be right is right"
    );
    assert_eq!(
        bench.names(),
        ["more", "work"],
        "the keychain has it all the same"
    );
    let home = bench.home().unwrap();
    assert_eq!(
        bench.state.borrow().mirrors[&home].state,
        MirrorState::Unreadable
    );
}

#[tokio::test]
async fn both_files_gone_is_a_logout_here_and_no_loss() {
    let bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    std::fs::remove_file(bench.path("token")).unwrap();
    std::fs::remove_file(bench.path("stored_tokens")).unwrap();
    bench.sync().await;
    assert_eq!(
        (bench.active(), bench.read("token")),
        (None, "(none)".to_owned())
    );
    assert_eq!(bench.in_keychain().await, 1);
    let switch = Switch {
        name: name("work"),
        home: bench.home(),
        all: false,
    };
    bench.engine.switch(switch).await.unwrap();
    assert_eq!(
        bench.read("stored_tokens"),
        "[work]\nhf_token = hf_work\n\n"
    );
}

#[tokio::test]
async fn upstreams_logout_of_one_name_is_believed() {
    let bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    bench.login("play", "hf_play").await.unwrap();
    std::fs::write(
        bench.path("stored_tokens"),
        "[work]\nhf_token = hf_work\n\n",
    )
    .unwrap();
    std::fs::remove_file(bench.path("token")).unwrap();
    bench.sync().await;
    assert_eq!(bench.names(), ["work"]);
    assert_eq!(bench.in_keychain().await, 2, "one is kept");
}

impl Bench {
    async fn logout(&self, name_: &str, purge: bool) {
        let logout = Logout {
            name: Some(name(name_)),
            purge,
            home: self.home(),
            ..Logout::default()
        };
        self.engine.logout(logout).await.unwrap();
    }

    async fn restore(&self, name_: Option<&str>) -> Result<hfd_proto::RestoreReply, Error> {
        let restore = Restore {
            name: name_.map(name),
            home: self.home(),
        };
        self.engine.restore(restore).await
    }

    /// Names of what can be brought back, with who did it.
    async fn kept(&self) -> Vec<(String, String, bool)> {
        let kept = self.restore(None).await.unwrap().kept;
        kept.into_iter()
            .map(|entry| (entry.name.as_str().to_owned(), entry.by, entry.replaced))
            .collect()
    }
}

#[tokio::test]
async fn what_was_logged_out_can_be_brought_back() {
    let mut bench = Bench::new();
    let stored =
        "[oauth-b]\nhf_token = hf_oauth_b\nrefresh_token = rt_b\nexpires_at = 2000000000\n\n";
    std::fs::write(bench.path("stored_tokens"), stored).unwrap();
    bench.sync().await;
    bench.logout("oauth-b", false).await;
    assert_eq!(bench.names(), [""; 0]);
    assert_eq!(bench.in_keychain().await, 2, "both values are kept");
    assert_eq!(
        bench.kept().await,
        [("oauth-b".into(), "hfd".into(), false)]
    );
    bench.restart();
    bench.restore(Some("oauth-b")).await.unwrap();
    assert_eq!(bench.read("stored_tokens"), stored);
    assert_eq!(bench.in_keychain().await, 2);
    assert_eq!(bench.kept().await, []);
    let error = bench.restore(Some("oauth-b")).await.unwrap_err();
    assert_eq!(error.kind, Kind::NoSuchToken);
}

#[tokio::test]
async fn what_was_purged_is_gone() {
    let bench = Bench::new();
    bench.login("work", "hf_one").await.unwrap();
    bench.login("work", "hf_two").await.unwrap();
    assert_eq!(bench.kept().await, [("work".into(), "hfd".into(), true)]);
    bench.logout("work", true).await;
    assert_eq!(bench.kept().await, []);
    assert_eq!(bench.in_keychain().await, 0);
}

#[tokio::test]
async fn a_value_that_a_tool_replaced_can_be_brought_back_and_the_other_then_too() {
    let bench = Bench::new();
    bench.login("work", "hf_ours").await.unwrap();
    std::fs::write(
        bench.path("stored_tokens"),
        "[work]\nhf_token = hf_theirs\n\n",
    )
    .unwrap();
    std::fs::write(bench.path("token"), "hf_theirs").unwrap();
    bench.sync().await;
    let by = bench.directory.path().join("hf").display().to_string();
    assert_eq!(bench.kept().await, [("work".into(), by, true)]);
    bench.restore(Some("work")).await.unwrap();
    assert_eq!(bench.read("token"), "hf_ours");
    assert_eq!(bench.kept().await, [("work".into(), "hfd".into(), true)]);
    bench.restore(Some("work")).await.unwrap();
    assert_eq!(bench.read("token"), "hf_theirs");
    assert_eq!(bench.in_keychain().await, 2);
}

#[tokio::test]
async fn what_is_kept_is_found_again_without_the_index() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    bench.logout("work", false).await;
    bench.lose_index();
    bench.restart();
    bench.sync().await;
    assert_eq!(bench.names(), [""; 0]);
    assert_eq!(bench.kept().await.len(), 1);
    bench.restore(Some("work")).await.unwrap();
    assert_eq!(bench.names(), ["work"]);
    assert_eq!(bench.in_keychain().await, 1);
}

#[tokio::test]
async fn a_lock_hides_everything_and_outlives_the_daemon() {
    let mut bench = Bench::new();
    bench.login("play", "hf_play").await.unwrap();
    bench.login("work", "hf_work").await.unwrap();
    let (stored, token) = (bench.read("stored_tokens"), bench.read("token"));
    bench.engine.lock(true, bench.home()).await.unwrap();
    assert_eq!(bench.read("token"), "(none)");
    assert!(!bench.read("stored_tokens").contains("hf_"));
    assert_eq!(
        bench.login("more", "hf_more").await.unwrap_err().kind,
        Kind::Locked
    );
    bench.restart();
    // A tool logs in meanwhile: that is taken up, and hidden again.
    std::fs::write(
        bench.path("stored_tokens"),
        "[tool]\nhf_token = hf_tool\n\n",
    )
    .unwrap();
    std::fs::write(bench.path("token"), "hf_tool").unwrap();
    bench.sync().await;
    assert_eq!(bench.names(), ["play", "tool", "work"]);
    assert_eq!(bench.read("token"), "(none)");
    assert!(!bench.read("stored_tokens").contains("hf_"));
    let reply = bench.engine.lock(false, bench.home()).await.unwrap();
    assert!(reply.was_locked && reply.pending.is_empty());
    assert_eq!(bench.read("token"), "hf_tool");
    let switch = Switch {
        name: name("work"),
        home: bench.home(),
        all: false,
    };
    bench.engine.switch(switch).await.unwrap();
    bench.logout("tool", true).await;
    assert_eq!(
        (bench.read("stored_tokens"), bench.read("token")),
        (stored, token)
    );
}

#[tokio::test]
async fn a_mirror_shows_what_its_mode_says() {
    let bench = Bench::new();
    bench.login("play", "hf_play").await.unwrap();
    bench.login("work", "hf_work").await.unwrap();
    let all = bench.read("stored_tokens");
    let manage = async |mode| {
        let home = bench.home().unwrap();
        bench.engine.manage(Manage { home, mode }).await.unwrap()
    };
    manage(Mode::ActiveOnly).await;
    assert_eq!(
        bench.read("stored_tokens"),
        "[work]\nhf_token = hf_work\n\n"
    );
    assert_eq!(bench.read("token"), "hf_work");
    manage(Mode::Off).await;
    assert_eq!(
        (
            bench.read("stored_tokens").as_str(),
            bench.read("token").as_str()
        ),
        ("", "(none)")
    );
    assert_eq!(bench.names(), ["play", "work"]);
    // Nothing that a tool does there concerns hfd.
    std::fs::write(bench.path("token"), "hf_tool").unwrap();
    bench.sync().await;
    assert_eq!(bench.names(), ["play", "work"]);
    std::fs::remove_file(bench.path("token")).unwrap();
    manage(Mode::Files).await;
    assert_eq!(bench.read("stored_tokens"), all);
}

#[tokio::test]
async fn a_mirror_that_is_removed_keeps_its_files_and_is_left_alone() {
    let bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let home = bench.home().unwrap();
    bench.engine.unmanage(Unmanage { home }).await.unwrap();
    assert_eq!(bench.read("token"), "hf_work");
    bench.sync().await;
    assert!(bench.state.borrow().index.mirrors.is_empty());
    let home = bench.home().unwrap();
    let error = bench.engine.unmanage(Unmanage { home }).await.unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
}

#[tokio::test]
async fn both_files_gone_for_five_seconds_is_a_logout_from_everything() {
    let mut bench = Bench::new();
    bench.login("play", "hf_play").await.unwrap();
    bench.login("work", "hf_work").await.unwrap();
    for file in ["stored_tokens", "token"] {
        std::fs::remove_file(bench.path(file)).unwrap();
    }
    bench.sync().await;
    assert_eq!(bench.names(), ["play", "work"]);
    // A cache that is on its way to be deleted is no logout: the five seconds begin anew.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    std::fs::write(bench.path("version.txt"), "1").unwrap();
    let begun = std::time::Instant::now();
    bench.event("removed").await;
    bench.event("removed").await;
    assert!(begun.elapsed() >= std::time::Duration::from_secs(5));
    bench.engine.rest().await.unwrap();
    assert_eq!(bench.names(), [""; 0]);
    let kept = bench.kept().await;
    let names: Vec<&str> = kept.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["work", "play"]);
    bench.restore(Some("work")).await.unwrap();
    assert!(bench.read("stored_tokens").contains("hf_work"));
}

#[tokio::test]
async fn a_directory_that_is_gone_or_another_one_is_no_logout_however_long() {
    for again in [false, true] {
        if again && std::env::var_os("WINEPREFIX").is_some() {
            // Wine gives the number of a directory to the next one; NTFS does not.
            continue;
        }
        let bench = Bench::new();
        bench.login("work", "hf_work").await.unwrap();
        std::fs::remove_dir_all(bench.directory.path().join("hf")).unwrap();
        if again {
            std::fs::create_dir(bench.directory.path().join("hf")).unwrap();
        }
        bench.sync().await;
        tokio::time::sleep(std::time::Duration::from_millis(5500)).await;
        bench.sync().await;
        assert_eq!(bench.names(), ["work"], "made anew: {again}");
    }
}

#[tokio::test]
async fn files_that_went_while_no_daemon_looked_are_no_logout() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    bench.engine.rest().await.unwrap();
    for file in ["stored_tokens", "token"] {
        std::fs::remove_file(bench.path(file)).unwrap();
    }
    bench.restart();
    tokio::time::sleep(std::time::Duration::from_millis(5500)).await;
    bench.sync().await;
    assert_eq!(bench.names(), ["work"]);
}
