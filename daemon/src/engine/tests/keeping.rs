//! What is kept for `hfd restore`, for how long, and what bringing it back leaves.

use hfd_core::model::{Change, KEPT_FOR, MAX_KEPT};

use super::*;

#[tokio::test]
async fn nothing_is_left_of_a_value_that_was_brought_back_over() {
    let bench = Bench::new();
    bench.login("work", "hf_one").await.unwrap();
    let stored = "[work]\nhf_token = hf_oauth_two\nrefresh_token = rt_two\n\n";
    std::fs::write(bench.path("stored_tokens"), stored).unwrap();
    std::fs::write(bench.path("token"), "hf_oauth_two").unwrap();
    bench.sync().await;
    bench.restore(Some("work")).await.unwrap();
    assert_eq!(bench.read("stored_tokens"), "[work]\nhf_token = hf_one\n\n");
    assert_eq!(
        bench.in_keychain().await,
        3,
        "the one, and both values of the other under another key"
    );
    bench.restore(Some("work")).await.unwrap();
    assert_eq!(bench.read("stored_tokens"), stored);
    assert_eq!(bench.in_keychain().await, 3);
}

#[tokio::test]
async fn what_is_older_than_promised_is_not_brought_back_whatever_the_keychain_does() {
    let mut bench = Bench::new();
    bench.login("old", "hf_old").await.unwrap();
    bench.logout("old", false).await;
    bench.knobs.locked(true);
    assert_eq!(
        bench.login("more", "hf_more").await.unwrap_err().kind,
        Kind::Locked
    );
    let mut journal = Journal::open(&bench.index, Salt([1; 16])).unwrap();
    let mut kept = journal.index.kept[0].clone();
    kept.at -= KEPT_FOR + 60;
    journal.change(vec![Change::Keep { kept }], true).unwrap();
    drop(journal);
    bench.restart();
    assert_eq!(bench.kept().await, []);
    let error = bench.restore(Some("old")).await.unwrap_err();
    assert_eq!(error.kind, Kind::NoSuchToken, "{error}");
}

#[tokio::test]
async fn a_daemon_that_runs_for_long_tidies_up_what_it_keeps() {
    let mut bench = Bench::new();
    let sections = (0..MAX_KEPT + 3).map(|n| format!("[t{n:04}]\nhf_token = hf_{n:04}\n\n"));
    std::fs::write(bench.path("stored_tokens"), sections.collect::<String>()).unwrap();
    bench.sync().await;
    let all = Logout {
        all: true,
        home: bench.home(),
        ..Logout::default()
    };
    bench.engine.logout(all).await.unwrap();
    assert_eq!(bench.in_keychain().await, MAX_KEPT + 3);
    bench.engine.tidy();
    bench
        .until("tidied", |state| state.index.kept.len() == MAX_KEPT)
        .await;
    assert_eq!(bench.in_keychain().await, MAX_KEPT);
    assert_eq!(bench.kept().await.last().unwrap().0, "t0003");
}
