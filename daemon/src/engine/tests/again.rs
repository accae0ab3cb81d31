//! What could not be done at once is done later, by itself, and nothing that was noticed is lost.

use std::fs::File;
use std::time::Duration;

use super::*;

impl Bench {
    /// Another program holds the lock that huggingface_hub writes under, until this is dropped.
    pub(super) fn lock_file(&self) -> File {
        let file = File::options()
            .append(true)
            .create(true)
            .open(self.path("stored_tokens.lock"))
            .unwrap();
        file.lock().unwrap();
        file
    }

    pub(super) async fn until(&mut self, what: &str, wanted: impl FnMut(&Arc<Snapshot>) -> bool) {
        let reached = tokio::time::timeout(Duration::from_secs(60), self.state.wait_for(wanted));
        drop(reached.await.expect(what).unwrap());
    }

    pub(super) async fn until_in_step(&mut self) {
        let home = self.home().unwrap();
        self.until("in step", |state| {
            state.mirrors[&home].state == MirrorState::InSync
        })
        .await;
    }
}

#[tokio::test]
async fn files_that_were_in_use_follow_by_themselves() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let held = bench.lock_file();
    let error = bench.login("more", "hf_more").await.unwrap_err();
    assert!(error.message.contains("in use"), "{error}");
    assert!(!bench.read("stored_tokens").contains("hf_more"));
    drop(held);
    bench.until_in_step().await;
    assert!(bench.read("stored_tokens").contains("hf_more"));
    assert_eq!(bench.read("token"), "hf_more");
}

#[tokio::test]
async fn a_lock_that_cannot_hide_says_so_and_hides_later() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let held = bench.lock_file();
    let error = bench.engine.lock(true, bench.home()).await.unwrap_err();
    assert!(error.message.starts_with("hfd is locked, but"), "{error}");
    assert!(bench.read("stored_tokens").contains("hf_work"));
    assert!(bench.state.borrow().index.locked);
    drop(held);
    bench.until_in_step().await;
    assert_eq!(bench.read("token"), "(none)");
    assert!(!bench.read("stored_tokens").contains("hf_"));
    // Other people's mirrors are named, and hold nobody up.
    let held = bench.lock_file();
    let reply = bench.engine.lock(false, None).await.unwrap();
    assert_eq!(reply.pending.len(), 1);
    drop(held);
    bench.until_in_step().await;
    assert_eq!(bench.read("token"), "hf_work");
}

#[tokio::test]
async fn an_edit_is_seen_although_nothing_more_could_be_queued() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    bench.knobs.frozen(true);
    let mut asked = tokio::task::JoinSet::new();
    let engine = bench.engine.clone();
    let rename = Rename {
        old: name("work"),
        new: name("job"),
        home: None,
    };
    asked.spawn(async move { engine.rename(rename).await.map(drop) });
    for _ in 0..crate::engine::QUEUE + 1 {
        let engine = bench.engine.clone();
        asked.spawn(async move { engine.rest().await });
    }
    while bench.engine.jobs.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    let stored = "[tool]\nhf_token = hf_tool\n\n[work]\nhf_token = hf_work\n\n";
    std::fs::write(bench.path("stored_tokens"), stored).unwrap();
    bench.engine.notice(None);
    bench.knobs.frozen(false);
    while asked.join_next().await.is_some() {}
    bench
        .until("imported", |state| {
            state.index.tokens.contains_key(&name("tool"))
        })
        .await;
}

#[cfg(unix)] // groups in modes are Unix's
#[tokio::test]
async fn a_group_that_was_let_in_is_told_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let group = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(bench.path("stored_tokens"), group).unwrap();
    bench.login("more", "hf_more").await.unwrap();
    let home = bench.home().unwrap();
    let status = bench.state.borrow().mirror_status(&home).unwrap();
    let detail = status.detail.unwrap();
    assert!(detail.contains("group"), "{detail}");
    assert_eq!(status.state, MirrorState::InSync);
    let event = bench.events.recv().await.unwrap();
    assert!(event.at.is_some());
}
