//! hfd locks itself.

use std::time::Duration;

use super::*;
use crate::idle::{Idle, follow};
use crate::os::since_boot;

impl Bench {
    /// Short enough for a test, long enough for a login.
    fn locks_itself(&self) -> tokio::task::JoinHandle<()> {
        let idle = Idle::new(Some(Duration::from_millis(200)), since_boot);
        tokio::spawn(follow(
            Arc::new(idle),
            self.engine.clone(),
            self.state.clone(),
        ))
    }
}

#[tokio::test]
async fn who_is_not_used_locks_itself_and_hides_what_it_could_not_hide_at_once() {
    let mut bench = Bench::new();
    bench.login("work", "hf_work").await.unwrap();
    let held = bench.lock_file();
    let task = bench.locks_itself();
    let home = bench.home().unwrap();
    bench
        .until("locked", |state| {
            state.index.locked && state.mirrors[&home].state == MirrorState::Pending
        })
        .await;
    assert!(bench.read("stored_tokens").contains("hf_work"));
    drop(held);
    bench.until_in_step().await;
    assert!(!bench.read("stored_tokens").contains("hf_"));
    assert_eq!(bench.read("token"), "(none)");
    // Unlocked, and still not used.
    bench.engine.lock(false, bench.home()).await.unwrap();
    bench
        .until("locked again", |state| state.index.locked)
        .await;
    task.abort();
}
