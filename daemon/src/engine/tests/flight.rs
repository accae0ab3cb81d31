//! While the Hub is asked, other things happen: nobody else has its answer, and it must arrive.

use super::renewal::granted;
use super::*;
use crate::engine::Renewed;
use crate::hub::CLIENT_ID;

fn answer() -> Box<crate::hub::Granted> {
    granted("hf_two", Some("hf_r_two"))
}

#[tokio::test]
async fn two_renewals_of_one_home_hold_its_lock_until_the_last_has_landed() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.browser("play", "hf_p_one", "hf_r_p_one").await;
    let work = bench.begin("work").await;
    let play = bench.begin("play").await;
    bench.finish(&work, answer()).await.unwrap();
    assert!(!bench.lock_is_free());
    // One that does not begin takes nothing from the others.
    bench.knobs.locked(true);
    bench
        .engine
        .begin_renewal(bench.refresh("work"))
        .await
        .unwrap_err();
    bench.knobs.locked(false);
    assert!(!bench.lock_is_free());
    let answer = granted("hf_p_two", Some("hf_r_p_two"));
    bench.finish(&play, answer).await.unwrap();
    assert!(bench.lock_is_free());
    assert!(bench.read("stored_tokens").contains("hf_r_p_two"));
}

#[tokio::test]
async fn a_token_that_is_renamed_meanwhile_is_renewed_under_its_new_name() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    let begun = bench.begin("work").await;
    let rename = Rename {
        old: name("work"),
        new: name("job"),
        home: bench.home(),
    };
    bench.engine.rename(rename).await.unwrap();
    assert_eq!(bench.item("work", Part::Renewing).await, None);
    bench.finish(&begun, answer()).await.unwrap();
    assert_eq!(bench.item("job", Part::Access).await.unwrap(), "hf_two");
    assert_eq!(bench.item("job", Part::Refresh).await.unwrap(), "hf_r_two");
    assert_eq!(bench.read("token"), "hf_two");
    assert_eq!(bench.record("job").renewal.begun, None);
    assert_eq!(bench.in_keychain().await, 2);
}

#[tokio::test]
async fn two_names_of_one_session_are_renewed_by_one_request() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.browser("also", "hf_one", "hf_r_one").await;
    assert_eq!(bench.refresh("work"), bench.refresh("also"));
    let begun = bench.begin("work").await;
    bench.finish(&begun, answer()).await.unwrap();
    for name in ["work", "also"] {
        assert_eq!(bench.item(name, Part::Access).await.unwrap(), "hf_two");
        assert_eq!(bench.item(name, Part::Refresh).await.unwrap(), "hf_r_two");
    }
}

#[tokio::test]
async fn a_token_that_is_logged_out_meanwhile_comes_back_alive() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    let begun = bench.begin("work").await;
    bench.logout("work", false).await;
    assert_eq!(bench.item("work", Part::Renewing).await, None);
    bench.finish(&begun, answer()).await.unwrap();
    assert!(bench.names().is_empty());
    bench.restore(Some("work")).await.unwrap();
    assert_eq!(bench.item("work", Part::Access).await.unwrap(), "hf_two");
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_two");
    assert_eq!(bench.record("work").renewal.begun, None);
    assert_eq!(bench.in_keychain().await, 2);
}

#[tokio::test]
async fn of_a_token_that_is_purged_meanwhile_nothing_stays() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    let begun = bench.begin("work").await;
    bench.logout("work", true).await;
    bench.finish(&begun, answer()).await.unwrap();
    assert_eq!(bench.in_keychain().await, 0);
    assert!(bench.lock_is_free());
}

#[tokio::test]
async fn a_mirror_is_not_left_with_a_refresh_token_that_is_being_used_up() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.engine.withhold(true).await.unwrap();
    let begun = bench.begin("work").await;
    let home = bench.home().unwrap();
    let unmanage = || Unmanage { home: home.clone() };
    let error = bench.engine.unmanage(unmanage()).await.unwrap_err();
    assert_eq!(error.kind, Kind::TimedOut);
    bench.finish(&begun, answer()).await.unwrap();
    bench.engine.unmanage(unmanage()).await.unwrap();
    assert!(bench.read("stored_tokens").contains("hf_r_two"));
}

#[tokio::test]
async fn a_mirror_that_could_not_be_left_withholds_again() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.engine.withhold(true).await.unwrap();
    // Another program holds the lock that the files are written under.
    let lock = std::fs::File::open(bench.path("stored_tokens.lock")).unwrap();
    lock.lock().unwrap();
    let home = bench.home().unwrap();
    bench
        .engine
        .unmanage(Unmanage { home: home.clone() })
        .await
        .unwrap_err();
    drop(lock);
    assert!(!bench.state.borrow().index.mirrors[&home].handed_back);
    bench.sync().await;
    assert!(!bench.read("stored_tokens").contains("refresh_token"));
}

#[tokio::test]
async fn a_hub_that_did_not_take_the_request_cut_nothing_off() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    let later = |lost| {
        bench
            .engine
            .finish_renewal(bench.refresh("work"), Renewed::Later { lost })
    };
    bench.begin("work").await;
    later(false).await.unwrap();
    assert_eq!(bench.record("work").renewal.begun, None);
    assert_eq!(bench.item("work", Part::Renewing).await, None);
    assert!(!bench.begin("work").await.again);
    later(true).await.unwrap();
    assert!(bench.begin("work").await.again);
}

#[tokio::test]
async fn what_another_tool_brings_belongs_to_the_configured_hub_and_to_upstreams_client() {
    let hub = Endpoint::parse("https://hub.example").unwrap();
    let bench = Bench::at(hub.clone());
    let stored = "[work]\nhf_token = hf_one\nrefresh_token = hf_r_one\nexpires_at = 4000000000\n\n";
    std::fs::write(bench.path("stored_tokens"), stored).unwrap();
    bench.sync().await;
    let record = bench.record("work");
    assert_eq!(record.endpoint, hub);
    assert_eq!(record.renewal.client_id.as_deref(), Some(CLIENT_ID));
    // A login that names no Hub goes there as well.
    bench.login("play", "hf_play").await.unwrap();
    assert_eq!(bench.record("play").endpoint, hub);
}

#[tokio::test]
async fn what_is_brought_back_into_a_file_is_shared_with_its_readers() {
    let bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.engine.withhold(true).await.unwrap();
    let begun = bench.begin("work").await;
    bench.finish(&begun, answer()).await.unwrap();
    assert!(!bench.record("work").renewal.shared);
    bench.logout("work", false).await;
    bench.engine.withhold(false).await.unwrap();
    bench.restore(Some("work")).await.unwrap();
    assert!(bench.read("stored_tokens").contains("hf_r_two"));
    assert!(bench.record("work").renewal.shared);
}

#[tokio::test]
async fn a_value_that_is_pasted_into_the_keychain_is_not_renewed_away() {
    let mut bench = Bench::new();
    bench.browser("work", "hf_one", "hf_r_one").await;
    bench.restart();
    let key = Key {
        endpoint: Endpoint::default(),
        name: name("work"),
        part: Part::Access,
    };
    let new = secret("hf_pasted");
    bench.store.write(vec![(key, Some(new))]).await.unwrap();
    let old = bench.record("work").access;
    bench.engine.replaced(name("work"), old);
    bench.sync().await;
    assert_eq!(bench.record("work").refresh, None);
    assert_eq!(bench.record("work").renewal, Default::default());
    assert_eq!(bench.item("work", Part::Refresh).await, None);
    assert_eq!(
        bench.read("stored_tokens"),
        "[work]\nhf_token = hf_pasted\n\n"
    );
    bench.restore(Some("work")).await.unwrap();
    assert_eq!(bench.item("work", Part::Access).await.unwrap(), "hf_one");
    assert_eq!(bench.item("work", Part::Refresh).await.unwrap(), "hf_r_one");
}
