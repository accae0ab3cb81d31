//! Renewal and withholding: what the engine does before and after the Hub is asked.

use hfd_core::model::{Fingerprint, Record};

use super::*;
use crate::engine::{Arrival, Renewed, Session};
use crate::hub::Granted;

/// Far enough away that nothing is due.
const LATER: i64 = 4_000_000_000;

pub(super) fn granted(access: &str, refresh: Option<&str>) -> Box<Granted> {
    Box::new(Granted {
        access: secret(access),
        refresh: refresh.map(secret),
        expires_in: Some(1000),
        date: None,
    })
}

impl Bench {
    /// A browser login.
    pub(super) async fn browser(&self, name_: &str, access: &str, refresh: &str) {
        let request = Login {
            token: secret(access),
            name: Some(name(name_)),
            home: self.home(),
            switch: true,
            offline: true,
            endpoint: None,
            store: None,
            force: false,
            network: hfd_proto::Network::default(),
        };
        let session = Some(Session {
            refresh: Some(secret(refresh)),
            expires_at: Some(LATER),
            client_id: "client".to_owned(),
        });
        let arrival = Arrival {
            request,
            identity: None,
            session,
        };
        self.engine.login(Box::new(arrival)).await.unwrap();
    }

    pub(super) fn record(&self, name_: &str) -> Record {
        self.state.borrow().index.tokens[&name(name_)].clone()
    }

    pub(super) async fn item(&self, name_: &str, part: Part) -> Option<String> {
        let key = Key {
            endpoint: Endpoint::default(),
            name: name(name_),
            part,
        };
        let value = self.store.get(&key).await.unwrap();
        value.map(|value| value.expose().to_owned())
    }

    /// What the Hub is asked with.
    pub(super) async fn begin(&self, name_: &str) -> Begun {
        let begun = self.engine.begin_renewal(self.refresh(name_)).await;
        begun.unwrap().expect("something to renew")
    }

    pub(super) fn refresh(&self, name_: &str) -> Fingerprint {
        self.record(name_).refresh.unwrap()
    }

    pub(super) async fn finish(&self, begun: &Begun, granted: Box<Granted>) -> Result<(), Error> {
        let sent = begun.record.refresh.unwrap();
        let renewed = Renewed::Granted(granted, 3_000);
        self.engine.finish_renewal(sent, renewed).await
    }

    /// Whether another program could take the lock under which huggingface_hub renews.
    pub(super) fn lock_is_free(&self) -> bool {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.path("stored_tokens.lock"))
            .unwrap();
        file.try_lock().is_ok()
    }
}

#[tokio::test]
async fn a_renewed_token_is_in_the_store_and_in_both_files() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    let begun = bench.begin("work").await;
    assert_eq!(begun.refresh.expose(), "hf_r_one");
    assert!(!begun.again);
    assert!(bench.item("work", Part::Renewing).await.is_some());
    bench
        .finish(&begun, granted("hf_two", Some("hf_r_two")))
        .await
        .unwrap();
    assert_eq!(bench.item("work", Part::Access).await.unwrap(), "hf_two");
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_two");
    assert_eq!(bench.item("work", Part::Renewing).await, None);
    assert_eq!(bench.read("token"), "hf_two");
    assert_eq!(
        bench.read("stored_tokens"),
        "[work]\nhf_token = hf_two\nrefresh_token = hf_r_two\nexpires_at = 4000\n\n"
    );
    // Nobody wants a renewed value back.
    assert!(bench.kept().await.is_empty());
}

#[tokio::test]
async fn without_rotation_the_refresh_token_stays() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    let begun = bench.begin("work").await;
    bench.finish(&begun, granted("hf_two", None)).await.unwrap();
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_one");
    assert_eq!(bench.begin("work").await.refresh.expose(), "hf_r_one");
}

#[tokio::test]
async fn a_store_that_takes_nothing_keeps_the_hub_from_being_asked() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.knobs.fail_after(0);
    let error = bench
        .engine
        .begin_renewal(bench.refresh("work"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::StoreUnavailable);
    assert_eq!(bench.record("work").renewal.begun, None);
    assert!(bench.lock_is_free());
}

#[tokio::test]
async fn an_answer_that_the_store_does_not_take_can_be_brought_again() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    let begun = bench.begin("work").await;
    bench.knobs.locked(true);
    let answer = || granted("hf_two", Some("hf_r_two"));
    assert_eq!(
        bench.finish(&begun, answer()).await.unwrap_err().kind,
        Kind::Locked
    );
    bench.knobs.locked(false);
    bench.finish(&begun, answer()).await.unwrap();
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_two");
    assert_eq!(bench.read("token"), "hf_two");
    // A third time it is known.
    bench.finish(&begun, answer()).await.unwrap();
}

#[tokio::test]
async fn a_daemon_killed_before_the_answer_knows_that_it_had_asked() {
    let mut bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.begin("work").await;
    bench.restart();
    let begun = bench.begin("work").await;
    assert!(begun.again);
    let sent = begun.record.refresh.unwrap();
    let refused = Renewed::Refused { lost: begun.again };
    let finished = bench.engine.finish_renewal(sent, refused).await;
    let error = finished.unwrap_err();
    assert!(
        error.message.contains("cut off from the Hub's answer"),
        "{error}"
    );
    assert_eq!(bench.record("work").renewal.refused, Some(sent));
    // A new login makes it good.
    bench.browser("work", "hf_two", "hf_r_two").await;
    let renewal = bench.record("work").renewal;
    assert_eq!((renewal.refused, renewal.begun), (None, None));
}

#[tokio::test]
async fn who_renewed_first_is_believed() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    let begun = bench.begin("work").await;
    let upstream =
        "[work]\nhf_token = hf_two\nrefresh_token = hf_r_two\nexpires_at = 4100000000\n\n";
    std::fs::write(bench.path("stored_tokens"), upstream).unwrap();
    std::fs::write(bench.path("token"), "hf_two").unwrap();
    // Found out although the Hub refused: the refresh token had been used by that tool.
    let refused = Renewed::Refused { lost: false };
    bench
        .engine
        .finish_renewal(begun.record.refresh.unwrap(), refused)
        .await
        .unwrap();
    assert_eq!(bench.record("work").renewal.refused, None);
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_two");
}

#[tokio::test]
async fn tools_wait_while_a_token_is_renewed_that_they_could_renew() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    assert!(bench.record("work").renewal.shared);
    let begun = bench.begin("work").await;
    assert!(!bench.lock_is_free());
    // hfd itself goes on writing under its own lock.
    bench.login("play", "hf_play").await.unwrap();
    assert!(bench.read("stored_tokens").contains("hf_play"));
    bench.finish(&begun, granted("hf_two", None)).await.unwrap();
    assert!(bench.lock_is_free());
}

#[tokio::test]
async fn withheld_refresh_tokens_leave_the_files_and_come_back() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    assert!(bench.read("stored_tokens").contains("hf_r_one"));
    bench.engine.withhold(true).await.unwrap();
    assert_eq!(
        bench.read("stored_tokens"),
        "[work]\nhf_token = hf_one\nexpires_at = 4000000000\n\n"
    );
    // One that another tool's login brings leaves at first sight, and is kept.
    let upstream =
        "[work]\nhf_token = hf_two\nrefresh_token = hf_r_two\nexpires_at = 4100000000\n\n";
    std::fs::write(bench.path("stored_tokens"), upstream).unwrap();
    std::fs::write(bench.path("token"), "hf_two").unwrap();
    bench.sync().await;
    assert!(!bench.read("stored_tokens").contains("hf_r_two"));
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_two");
    // The first renewal of it still waits for the tools, the next one needs not.
    let begun = bench.begin("work").await;
    assert!(!bench.lock_is_free());
    bench
        .finish(&begun, granted("hf_three", Some("hf_r_three")))
        .await
        .unwrap();
    let begun = bench.begin("work").await;
    assert!(bench.lock_is_free());
    bench
        .finish(&begun, granted("hf_four", Some("hf_r_four")))
        .await
        .unwrap();
    bench.engine.withhold(false).await.unwrap();
    assert!(
        bench
            .read("stored_tokens")
            .contains("refresh_token = hf_r_four")
    );
    assert!(bench.record("work").renewal.shared);
}

#[tokio::test]
async fn a_mirror_that_hfd_leaves_gets_the_refresh_tokens_and_the_care_for_them() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.engine.withhold(true).await.unwrap();
    let home = bench.home().unwrap();
    bench.engine.unmanage(Unmanage { home }).await.unwrap();
    assert!(
        bench
            .read("stored_tokens")
            .contains("refresh_token = hf_r_one")
    );
    assert_eq!(bench.record("work").refresh, None);
    assert_eq!(bench.item("work", Part::Refresh).await, None);
    assert_eq!(bench.item("work", Part::Access).await.unwrap(), "hf_one");
}

#[tokio::test]
async fn a_token_pasted_under_the_name_of_a_browser_login_is_not_renewed_away() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.engine.withhold(true).await.unwrap();
    std::fs::write(
        bench.path("stored_tokens"),
        "[work]\nhf_token = hf_pasted\n\n",
    )
    .unwrap();
    std::fs::write(bench.path("token"), "hf_pasted").unwrap();
    bench.sync().await;
    assert_eq!(bench.record("work").refresh, None);
    assert_eq!(bench.item("work", Part::Refresh).await, None);
    bench.restore(Some("work")).await.unwrap();
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_one");
}

#[tokio::test]
async fn a_stale_writer_does_not_bring_back_what_was_renewed() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    let stale = bench.read("stored_tokens");
    let begun = bench.begin("work").await;
    bench
        .finish(&begun, granted("hf_two", Some("hf_r_two")))
        .await
        .unwrap();
    std::fs::write(bench.path("stored_tokens"), stale).unwrap();
    bench.sync().await;
    assert!(bench.read("stored_tokens").contains("hf_r_two"));
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_two");
}

#[tokio::test]
async fn a_mirror_whose_directory_is_gone_is_left_alone_without_handing_anything_back() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.engine.withhold(true).await.unwrap();
    std::fs::remove_dir_all(bench.directory.path().join("hf")).unwrap();
    let home = bench.home().unwrap();
    bench.engine.unmanage(Unmanage { home }).await.unwrap();
    assert!(!bench.directory.path().join("hf").exists());
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_one");
}
