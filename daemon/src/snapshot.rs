//! What readers see: the last state that the engine published. Reading it waits for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use hfd_core::model::{Index, Mirror, Record};
use hfd_core::reconcile::Doubt;
use hfd_proto::{Change, Error, Home, Kind, MirrorState, MirrorStatus, TokenName};

use tokio::time::{Duration, Instant};

use crate::mirror::{Directory, Disk, Stamps, stamps};

/// The state after the last change.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// All that is known of tokens and mirrors.
    pub index: Arc<Index>,
    /// How the mirrors are.
    pub mirrors: BTreeMap<Home, MirrorNow>,
    /// How many changes wait for a store's answer.
    pub unsettled: usize,
}

/// A mirror as it was last seen.
#[derive(Debug, Clone)]
pub struct MirrorNow {
    /// Its thread.
    pub disk: Arc<Disk>,
    /// Whether looking at it cannot hang.
    pub local: bool,
    /// The stamps of its files when they and the store agreed.
    pub stamps: Option<Stamps>,
    /// How it is.
    pub state: MirrorState,
    /// Why, where that is not obvious.
    pub detail: Option<String>,
    /// What was done there last, the newest first.
    pub recent: Vec<Change>,
    /// Whether something may lie there that a write displaced and nobody has read.
    pub leftovers: bool,
    /// Whether its file system lacks what makes writing safe beside other programs.
    pub plainly: bool,
    /// Whether a file that was written can be read by its group, as it could before.
    pub shared_with_group: bool,
    /// The directory in which a file was last seen.
    pub directory: Option<Directory>,
    /// What waits for time to tell.
    pub doubt: Option<Doubtful>,
}

/// A doubt, since when, and what was seen then: it is settled when nothing has changed for long
/// enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubtful {
    /// What is in doubt.
    pub doubt: Doubt,
    /// When it began.
    pub since: Instant,
    /// The files then.
    pub stamps: Stamps,
    /// What else was in the directory then.
    pub surroundings: u64,
}

impl Doubtful {
    /// When it is settled.
    pub fn due(&self) -> Instant {
        self.since
            + match self.doubt {
                // Longer than a tool that deletes a whole cache leaves a directory unchanged.
                Doubt::BothGone => Duration::from_secs(5),
                // A tool may be waiting for an answer to git between its two writes.
                Doubt::Echo => Duration::from_secs(10),
            }
    }
}

impl MirrorNow {
    /// What a person should know of it, the most urgent first.
    fn remark(&self) -> Option<String> {
        let shared = self.shared_with_group.then(shared_with_group);
        let detail = self.detail.clone();
        detail.or(self.plainly.then(plainly)).or(shared)
    }

    /// Whether the files still are as they were last seen. On this machine's own file systems that
    /// costs two `stat` calls here and now; elsewhere a `stat` may hang and is asked on the thread.
    pub async fn unchanged(&self, home: &Home) -> bool {
        let Some(known) = self.stamps else {
            return false;
        };
        let current = match self.local {
            true => stamps(home),
            // Where the file system does not answer, nothing new can be read either.
            false => self.disk.run(None, stamps).await.unwrap_or(known),
        };
        current == known
    }
}

impl Snapshot {
    /// A mirror: what is known of it, and how it is.
    pub fn mirror(&self, home: &Home) -> Option<(&Mirror, &MirrorNow)> {
        Some((self.index.mirrors.get(home)?, self.mirrors.get(home)?))
    }

    /// The active token of a home.
    pub fn active(&self, home: Option<&Home>) -> Option<&TokenName> {
        self.index.mirrors.get(home?)?.active.as_ref()
    }

    /// A token, or the error that there is none of that name.
    pub fn token(&self, name: &TokenName) -> Result<&Record, Error> {
        self.index
            .tokens
            .get(name)
            .ok_or_else(|| no_such_token(name))
    }

    /// Every mirror as `status` shows it.
    pub fn mirror_statuses(&self) -> Vec<MirrorStatus> {
        let homes = self.mirrors.keys();
        homes.filter_map(|home| self.mirror_status(home)).collect()
    }

    /// One of them.
    pub fn mirror_status(&self, home: &Home) -> Option<MirrorStatus> {
        let (mirror, now) = self.mirror(home)?;
        Some(MirrorStatus {
            dir: home.token_path.parent()?.to_owned(),
            mode: mirror.mode.into(),
            active: mirror.active.clone(),
            state: now.state.into(),
            detail: now.remark(),
            recent: now.recent.clone(),
        })
    }
}

fn plainly() -> String {
    "its file system cannot exchange files: an edit in the very moment of a change could be lost"
        .into()
}

fn shared_with_group() -> String {
    "the group of its files can read them; `chmod g-rw` on both ends that".into()
}

/// No token of that name.
pub fn no_such_token(name: &TokenName) -> Error {
    Error::new(
        Kind::NoSuchToken,
        format!("there is no token named `{}`", name.escaped()),
    )
    .hint("`hfd list` shows the names")
}
