//! Refresh tokens leave the files, so that hfd alone renews, and come back when it leaves.

use hfd_core::model::Change;
use hfd_core::reconcile::Occasion;
use hfd_core::view::view;
use hfd_proto::{Error, HandBackReply, Home, Kind, MirrorState, Mode, Pending};

use super::Worker;
use super::change::items;
use super::session::not_written_at;

impl Worker {
    /// Refresh tokens leave the files, or come back into them; what did not follow is named.
    pub(super) async fn withhold(&mut self, withhold: bool) -> Result<HandBackReply, Error> {
        let mut pending = Vec::new();
        if self.index().withhold != withhold {
            // What a tool has written since would look like something new afterwards.
            self.sync_mirrors().await;
            self.change(vec![Change::Withhold { withhold }])?;
        }
        for home in self.index().mirrors.keys().cloned().collect::<Vec<_>>() {
            self.sync_mirror(&home, Occasion::Noticed).await;
            let mirror = self.status_of(&home)?;
            if mirror.state != MirrorState::InSync && mirror.mode != Mode::Off {
                let detail = mirror.detail.unwrap_or_default();
                let dir = mirror.dir;
                pending.push(Pending { dir, detail });
            }
        }
        Ok(HandBackReply { pending })
    }

    /// The refresh tokens go back into the files of a mirror that hfd is about to leave alone, and
    /// with those that no other mirror shows goes the care for them.
    pub(super) async fn hand_back(&mut self, home: &Home) -> Result<(), Error> {
        if !self.index().withhold {
            return Ok(());
        }
        let tokens = self.index().tokens.iter();
        let mut flying = tokens.filter(|(_, record)| {
            let refresh = record.refresh.as_ref();
            refresh.is_some_and(|refresh| self.flying.contains(refresh))
        });
        if let Some((name, _)) = flying.next() {
            // What went into the file would be used up a moment later.
            let message = format!("`{}` is being renewed at this moment", name.escaped());
            return Err(Error::new(Kind::TimedOut, message).hint("repeat it when that is over"));
        }
        if self.status_of(home)?.state == MirrorState::Absent {
            // The directory is gone: there is nothing to hand them back to, and hfd goes on caring.
            return Ok(());
        }
        let home = home.clone();
        self.set_handed_back(&home, true)?;
        self.sync_mirror(&home, Occasion::Noticed).await;
        let mirror = self.status_of(&home)?;
        if mirror.state != MirrorState::InSync {
            // It goes on being a mirror, and what it shows is withheld again.
            self.set_handed_back(&home, false)?;
            self.sync_mirror(&home, Occasion::Noticed).await;
            return Err(not_written_at(&home, &mirror));
        }
        let shown_at = |home: &Home| {
            let mirror = self.index().mirrors.get(home);
            mirror.and_then(|mirror| view(self.index(), mirror))
        };
        let others = self.index().mirrors.keys().filter(|&other| *other != home);
        let elsewhere: Vec<_> = others.filter_map(shown_at).collect();
        let handed = shown_at(&home).unwrap_or_default().sections;
        let (mut deletes, mut changes) = (Vec::new(), Vec::new());
        for (name, _) in handed.iter().filter(|(_, print)| print.refresh.is_some()) {
            let Some(record) = self.index().tokens.get(name) else {
                continue;
            };
            let mut record = record.clone();
            if elsewhere
                .iter()
                .any(|view| view.sections.contains_key(name))
            {
                record.renewal.shared = true;
            } else {
                deletes.extend(items(name, &record).into_iter().filter(|item| item.refresh));
                record.refresh = None;
            }
            let name = name.clone();
            changes.push(Change::Put { name, record });
        }
        self.transact(Vec::new(), deletes, changes).await
    }

    fn set_handed_back(&mut self, home: &Home, handed_back: bool) -> Result<(), Error> {
        let home = home.clone();
        self.change(vec![Change::HandBack { home, handed_back }])
    }
}
