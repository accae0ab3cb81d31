//! Mirrors as a person manages them, and the lock that hides what they show.

use hfd_core::model::Change;
use hfd_core::reconcile::Occasion;
use hfd_proto::{
    Error, Home, Kind, LockReply, Manage, ManageReply, MirrorState, MirrorStatus, Mode, Pending,
    Unmanage, UnmanageReply,
};

use super::Worker;
use super::session::{not_managed, not_written_at};
use super::sync::shown;
use crate::mirror::runtime;

impl Worker {
    /// `hfd mirror add`: a new mirror, or another mode for one.
    pub(super) async fn manage(&mut self, request: Manage) -> Result<ManageReply, Error> {
        let Manage { home, mode } = request;
        match self.index().mirrors.get(&home).map(|mirror| mirror.mode) {
            None => self.add_mirror(&home, mode).await?,
            Some(old) if old == mode => {}
            Some(old) => {
                let mut changes = vec![Change::Manage {
                    home: home.clone(),
                    mode,
                }];
                if mode == Mode::Off {
                    // What tools have written since is taken up first.
                    self.sync_mirror(&home, Occasion::Noticed).await;
                    let mirror = self.index().mirrors.get(&home);
                    // The files show nothing; hfd's own commands go on with it.
                    changes.push(Change::Activate {
                        home: home.clone(),
                        name: mirror.and_then(|mirror| mirror.active.clone()),
                    });
                    self.empty(&home).await?;
                }
                if old == Mode::Runtime {
                    self.out_of_memory(&home).await?;
                }
                self.change(changes)?;
            }
        }
        self.sync_mirror(&home, Occasion::Asked).await;
        self.event("managed", None, Some(&home));
        let mirror = self.status_of(&home)?;
        match mirror.state == MirrorState::InSync || mode == Mode::Off {
            true => Ok(ManageReply { mirror }),
            false => Err(not_written_at(&home, &mirror)),
        }
    }

    /// Takes out of the files what the old mode had put there.
    async fn empty(&mut self, home: &Home) -> Result<(), Error> {
        self.change(vec![
            Change::Manage {
                home: home.clone(),
                mode: Mode::ActiveOnly,
            },
            Change::Activate {
                home: home.clone(),
                name: None,
            },
        ])?;
        self.sync_mirror(home, Occasion::Asked).await;
        let mirror = self.status_of(home)?;
        match mirror.state == MirrorState::InSync {
            true => Ok(()),
            false => Err(not_written_at(home, &mirror)),
        }
    }

    /// Puts files in the place of links into memory.
    async fn out_of_memory(&self, home: &Home) -> Result<(), Error> {
        let Some(now) = self.mirrors.get(home) else {
            return Ok(());
        };
        let undone = now.disk.run(Some(self.deadline), runtime::unlink).await;
        let cannot = |why: String| {
            Error::new(Kind::Other, format!("{}: {why}", shown(home)))
                .hint("mend that file system, then repeat it")
        };
        undone
            .map_err(|waiting| cannot(waiting.to_string()))?
            .map_err(|error| cannot(error.to_string()))
    }

    /// `hfd mirror remove`: the files stay as they are, with the refresh tokens that were withheld.
    pub(super) async fn unmanage(&mut self, request: Unmanage) -> Result<UnmanageReply, Error> {
        let home = request.home;
        if !self.index().mirrors.contains_key(&home) {
            return Err(not_managed(Some(&home)));
        }
        self.sync_mirror(&home, Occasion::Noticed).await;
        self.hand_back(&home).await?;
        if self.is_in_memory(&home) {
            self.out_of_memory(&home).await?;
        }
        let mirror = self.status_of(&home)?;
        self.change(vec![Change::Unmanage { home: home.clone() }])?;
        self.mirrors.remove(&home);
        self.event("unmanaged", None, Some(&home));
        Ok(UnmanageReply { mirror })
    }

    /// `hfd lock` and `hfd unlock`. The index says it durably before a file changes: a crash in
    /// between hides, or shows, the rest at the next start. The caller's own mirror must follow; the
    /// others are named where they do not, and tried again.
    pub(super) async fn lock(
        &mut self,
        locked: bool,
        own: Option<&Home>,
    ) -> Result<LockReply, Error> {
        let was_locked = self.index().locked;
        if !was_locked && locked {
            // What a tool has written since would look like something new afterwards.
            self.sync_mirrors().await;
        }
        self.change(vec![Change::Lock { locked }])?;
        self.parts.values.lock(locked);
        self.event(if locked { "locked" } else { "unlocked" }, None, None);
        self.publish();
        let (mut pending, mut own_failed) = (Vec::new(), None);
        for home in self.index().mirrors.keys().cloned().collect::<Vec<_>>() {
            self.sync_mirror(&home, Occasion::Asked).await;
            let mirror = self.status_of(&home)?;
            // Where there is no directory nothing is shown.
            let hidden = locked && mirror.state == MirrorState::Absent;
            if hidden || mirror.state == MirrorState::InSync || mirror.mode == Mode::Off {
                continue;
            }
            if own == Some(&home) {
                own_failed = Some(not_turned(locked, &home, &mirror));
                continue;
            }
            let detail = mirror.detail.unwrap_or_default();
            let dir = mirror.dir;
            pending.push(Pending { dir, detail });
        }
        self.close_stores().await;
        if let Some(error) = own_failed {
            return Err(error);
        }
        Ok(LockReply {
            was_locked,
            pending,
        })
    }

    /// While hfd is locked, what a passphrase has opened is closed, but for what the Hub is about to grant.
    pub(super) async fn close_stores(&self) {
        if self.index().locked && self.flying.is_empty() {
            self.parts.stores.close().await;
        }
    }

    /// While hfd is locked a person changes nothing.
    pub(super) fn check_unlocked(&self) -> Result<(), Error> {
        match self.index().locked {
            true => Err(locked()),
            false => Ok(()),
        }
    }

    pub(super) fn status_of(&mut self, home: &Home) -> Result<MirrorStatus, Error> {
        self.publish();
        let snapshot = self.parts.publish.borrow();
        let status = snapshot.mirror_status(home);
        status.ok_or_else(|| not_managed(Some(home)))
    }
}

/// hfd is locked or unlocked, and the caller's own files do not show it.
fn not_turned(locked: bool, home: &Home, mirror: &MirrorStatus) -> Error {
    let kind = match mirror.state == MirrorState::Waiting {
        true => Kind::TimedOut,
        false => Kind::Other,
    };
    let what = match locked {
        true => "hfd is locked, but tokens may still be seen in",
        false => "hfd is unlocked, but tokens are missing in",
    };
    let detail = mirror.detail.as_deref().unwrap_or("it is not in step");
    Error::new(kind, format!("{what} {}: {detail}", shown(home)))
        .hint("mend that; hfd tries again by itself")
}

/// hfd itself is locked.
pub(crate) fn locked() -> Error {
    Error::new(Kind::Locked, "hfd is locked").hint("`hfd unlock` ends that")
}
