//! What only time can tell: whether a tool is at work, or done.

use hfd_core::reconcile::{Doubt, Occasion};
use hfd_proto::Home;
use tokio::time::Instant;

use super::Worker;
use crate::mirror::{Stamps, directory, surroundings};
use crate::snapshot::Doubtful;

impl Worker {
    /// Since when it is in doubt: from now on, unless nothing has changed since it was before. That
    /// files went with their directory, or while no daemon looked, is no logout however long it is.
    pub(super) async fn in_doubt(
        &self,
        home: &Home,
        doubt: Doubt,
        stamps: Stamps,
    ) -> Option<Doubtful> {
        let now = self.mirrors.get(home)?;
        let looking = now.disk.run(Some(self.deadline), |home| {
            (directory(home), surroundings(home))
        });
        let (directory, surroundings) = looking.await.ok()?;
        if doubt == Doubt::BothGone && (directory.is_none() || directory != now.directory) {
            return None;
        }
        let unchanged = |before: &Doubtful| {
            (before.doubt, before.stamps) == (doubt, stamps)
                && (doubt == Doubt::Echo || before.surroundings == surroundings)
        };
        Some(now.doubt.filter(unchanged).unwrap_or(Doubtful {
            doubt,
            since: Instant::now(),
            stamps,
            surroundings,
        }))
    }

    /// When the next doubt is settled, if there is one.
    pub(super) fn next_doubt(&self) -> Option<Instant> {
        let doubts = self.mirrors.values().filter_map(|now| now.doubt);
        doubts.map(|doubt| doubt.due()).min()
    }

    /// Looks again at mirrors whose doubt is due. What has not changed since then is believed.
    pub(super) async fn settle_doubts(&mut self) {
        let now = Instant::now();
        let due = |doubt: &Doubtful| doubt.due() <= now;
        let homes: Vec<Home> = self
            .mirrors
            .iter()
            .filter(|(_, now)| now.doubt.as_ref().is_some_and(due))
            .map(|(home, _)| home.clone())
            .collect();
        for home in homes {
            // The doubt is looked at afresh, which moves it where something has changed.
            self.sync_mirror(&home, Occasion::Noticed).await;
            let doubt = self.mirrors.get(&home).and_then(|now| now.doubt);
            if doubt.as_ref().is_some_and(due) {
                self.sync_mirror(&home, Occasion::Settled).await;
            }
        }
        self.publish();
    }
}
