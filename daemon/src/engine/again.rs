//! What could not be done yet is tried again by itself: a file was in use, a disk was full, a file
//! system or a store did not answer. None of them tells when that is over.

use std::collections::BTreeSet;
use std::time::Duration;

use hfd_proto::{Home, MirrorState, Mode};
use tokio::time::Instant;

use super::{DEADLINE, Worker};

/// The first pause and the longest: what a person mends is noticed soon, what stays as it is costs two
/// wake-ups a minute.
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(30);

/// How long a repetition may take for the sake of mirrors alone: a person's change waits behind it.
const BRIEF: Duration = Duration::from_secs(1);

/// Something that is not done yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Behind {
    /// A change whose outcome is open, by its number.
    Change(u64),
    /// A mirror that is not in step.
    Mirror(Home),
}

/// When it is tried again, with longer and longer pauses.
#[derive(Debug)]
pub(super) struct Again {
    behind: BTreeSet<Behind>,
    pause: Duration,
    due: Instant,
}

impl Again {
    pub(super) fn new() -> Self {
        Self {
            behind: BTreeSet::new(),
            pause: FIRST,
            due: Instant::now() + FIRST,
        }
    }

    /// When, given what is behind now; never where nothing is. Something new is tried soon.
    pub(super) fn due(&mut self, behind: BTreeSet<Behind>) -> Option<Instant> {
        if !behind.is_subset(&self.behind) {
            self.soon();
        }
        self.behind = behind;
        (!self.behind.is_empty()).then_some(self.due)
    }

    /// Something has changed that may have been in the way.
    pub(super) fn soon(&mut self) {
        self.pause = FIRST;
        self.due = Instant::now() + self.pause;
    }

    /// It was tried.
    pub(super) fn later(&mut self) {
        self.pause = (self.pause * 2).min(LAST);
        self.due = Instant::now() + self.pause;
    }
}

impl Worker {
    pub(super) fn behind(&self) -> BTreeSet<Behind> {
        let open = self.parts.journal.unsettled.iter();
        let open = open.map(|transaction| Behind::Change(transaction.id));
        let apart = self.mirrors.iter().filter(|(home, now)| {
            let mirror = self.index().mirrors.get(home);
            now.state != MirrorState::InSync
                && mirror.is_some_and(|mirror| mirror.mode != Mode::Off)
        });
        open.chain(apart.map(|(home, _)| Behind::Mirror(home.clone())))
            .collect()
    }

    /// Tries once more.
    pub(super) async fn try_again(&mut self) {
        let patience = match self.parts.journal.unsettled.is_empty() {
            true => BRIEF,
            false => DEADLINE,
        };
        self.deadline = Instant::now() + patience;
        self.catch_up().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_something_new_is_tried_soon() {
        let one = || BTreeSet::from([Behind::Change(1)]);
        let mut again = Again::new();
        assert_eq!(again.due(BTreeSet::new()), None);
        assert_eq!(again.due(one()), Some(Instant::now() + FIRST));
        for _ in 0..10 {
            again.later();
        }
        assert_eq!(again.due(one()), Some(Instant::now() + LAST));
        let two = BTreeSet::from([Behind::Change(1), Behind::Change(2)]);
        assert_eq!(again.due(two), Some(Instant::now() + FIRST));
        again.later();
        let longer = again.due(one());
        assert_eq!(longer, Some(Instant::now() + FIRST * 2));
    }
}
