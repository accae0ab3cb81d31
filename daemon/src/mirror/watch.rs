//! Notices what other programs do to the files of mirrors: the system tells (`source`), and a slow
//! look helps where a file system does not.
//!
//! Directories are watched, not files, since a file is often replaced. Two names in each count,
//! `token` and `stored_tokens`, and those they are links to; so does the closing of a file that was
//! displaced while somebody wrote it. Where a directory is missing, the nearest one above it is
//! watched for the name that leads on. What is above a directory that exists is not watched: when
//! that moves, the next lookup finds out.
//!
//! Whether a file system tells is decided by its type ([`is_local`](super::is_local)): a network file
//! system knows nothing of other machines' writes, and one in user space may hang whoever asks it.
//! Their files are asked for their stamps every two seconds, by a thread of the mirror's own.

#[cfg(target_os = "linux")]
#[path = "watch/inotify.rs"]
mod source;
#[cfg(not(target_os = "linux"))]
#[path = "watch/notify.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use hfd_proto::Home;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use self::source::Source;
use super::Disk;
use super::observe::stamps;

/// So long nothing may happen before files count as quiet: upstream's login writes both within it.
const QUIET: Duration = Duration::from_millis(100);

/// So long a constant writer may keep them from being quiet.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often files are looked at where the file system does not tell.
const POLL: Duration = Duration::from_secs(2);

/// What happened to a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noticed {
    /// One of its files was just closed after writing, made, moved or removed.
    Busy(Home),
    /// Nothing more has happened for 100 ms, or things have gone on for 1 s.
    Quiet(Home),
}

/// Watches the files of mirrors. To be used within a runtime of tokio.
#[derive(Debug)]
pub struct Watch {
    source: Source,
    mirrors: BTreeMap<Home, Mirror>,
    /// Not yet returned by [`Watch::next`], each once.
    busy: VecDeque<Home>,
    polled: UnboundedReceiver<Home>,
    polls: UnboundedSender<Home>,
}

/// A mirror that is watched, or polled by a task.
#[derive(Debug)]
struct Mirror {
    local: bool,
    poll: Option<Poll>,
    unrest: Option<Unrest>,
}

/// A task, which ends with this.
#[derive(Debug)]
struct Poll(tokio::task::JoinHandle<()>);

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Since when, and until when, something happens.
#[derive(Debug, Clone, Copy)]
struct Unrest {
    first: Instant,
    last: Instant,
}

impl Unrest {
    fn ends(self) -> Instant {
        (self.last + QUIET).min(self.first + PATIENCE)
    }
}

/// What the system has told.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    /// Whose files something happened to; all that are watched, where the system has lost count.
    homes: BTreeSet<Home>,
    lost_count: bool,
    /// Other directories are to be watched now.
    moved: bool,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system has nothing left to watch with (Linux: fs.inotify.max_user_instances).
    pub fn new() -> io::Result<Self> {
        let source = Source::new()?;
        let (polls, polled) = unbounded_channel();
        Ok(Self {
            source,
            mirrors: BTreeMap::new(),
            busy: VecDeque::new(),
            polled,
            polls,
        })
    }

    /// Watches these mirrors and no others; `true` where the file system is local. Files should be
    /// looked at after this, not before: what happened earlier is not told.
    pub fn set(&mut self, homes: Vec<(Home, bool)>) {
        let mut before = std::mem::take(&mut self.mirrors);
        for (home, local) in homes {
            let mirror = match before.remove(&home) {
                Some(mirror) if mirror.local == local => mirror,
                _ => Mirror {
                    local,
                    poll: (!local).then(|| self.poll(home.clone())).flatten(),
                    unrest: None,
                },
            };
            self.mirrors.insert(home, mirror);
        }
        self.busy.retain(|home| self.mirrors.contains_key(home));
        self.arm();
    }

    /// Waits for the next thing that happens. Nothing is lost when it is cancelled.
    pub async fn next(&mut self) -> Noticed {
        loop {
            if let Some(home) = self.busy.pop_front() {
                return Noticed::Busy(home);
            }
            let next = self.next_quiet();
            if let Some((home, ends)) = &next
                && *ends <= Instant::now()
            {
                let home = home.clone();
                if let Some(mirror) = self.mirrors.get_mut(&home) {
                    mirror.unrest = None;
                }
                return Noticed::Quiet(home);
            }
            // Without unrest there is no timer.
            let quiet = async {
                match next {
                    Some((_, ends)) => sleep_until(ends).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // What happened before the end of the quiet time is read before that is told.
                biased;
                news = self.source.news() => self.take(news),
                Some(home) = self.polled.recv() => self.happened(home),
                () = quiet => {}
            }
        }
    }

    fn next_quiet(&self) -> Option<(Home, Instant)> {
        let ends = |(home, mirror): (&Home, &Mirror)| Some((home.clone(), mirror.unrest?.ends()));
        self.mirrors
            .iter()
            .filter_map(ends)
            .min_by_key(|(_, ends)| *ends)
    }

    fn happened(&mut self, home: Home) {
        let Some(mirror) = self.mirrors.get_mut(&home) else {
            return;
        };
        let now = Instant::now();
        let first = mirror.unrest.map_or(now, |unrest| unrest.first);
        mirror.unrest = Some(Unrest { first, last: now });
        if !self.busy.contains(&home) {
            self.busy.push_back(home);
        }
    }

    fn take(&mut self, news: News) {
        let mut homes = news.homes;
        if news.lost_count {
            homes.extend(self.local());
        }
        if news.moved || news.lost_count {
            self.arm();
        }
        for home in homes {
            self.happened(home);
        }
    }

    /// The mirrors of which the system tells.
    fn local(&self) -> Vec<Home> {
        let local = self.mirrors.iter().filter(|(_, mirror)| mirror.local);
        local.map(|(home, _)| home.clone()).collect()
    }

    /// Has the system watch what is to be watched now, and nothing else.
    fn arm(&mut self) {
        let homes = self.local();
        let mut failed = self.source.arm(&homes);
        for home in homes {
            match failed.remove(&home) {
                Some(error) => self.poll_instead(home, error),
                None => {
                    if let Some(mirror) = self.mirrors.get_mut(&home) {
                        mirror.poll = None;
                    }
                }
            }
        }
    }

    /// Where the system cannot watch, for one because so much is watched already (Linux:
    /// fs.inotify.max_user_watches).
    fn poll_instead(&mut self, home: Home, error: io::Error) {
        if self.mirrors.get(&home).is_some_and(|m| m.poll.is_some()) {
            return;
        }
        tracing::warn!(%error, "a directory cannot be watched and is looked at now and then");
        let poll = self.poll(home.clone());
        if let Some(mirror) = self.mirrors.get_mut(&home) {
            mirror.poll = poll;
        }
    }

    /// Asks for stamps on a thread of the mirror's own, and tells when they change. The first are
    /// told as well: nobody knows when they were new.
    fn poll(&self, home: Home) -> Option<Poll> {
        let disk = match Disk::new(home.clone()) {
            Ok(disk) => disk,
            Err(error) => {
                tracing::error!(%error, "a mirror is not watched");
                return None;
            }
        };
        let polls = self.polls.clone();
        Some(Poll(tokio::spawn(async move {
            let mut known = None;
            let mut interval = tokio::time::interval(POLL);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                // A file system that does not answer is asked again.
                if let Ok(now) = disk.run(None, stamps).await
                    && known.replace(now) != Some(now)
                    && polls.send(home.clone()).is_err()
                {
                    return;
                }
            }
        })))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
