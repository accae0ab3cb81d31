//! Notices what other programs do to the files of mirrors: one inotify instance for all of them
//! (inotify(7)), and a slow look where a file system does not tell.
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

#![allow(unsafe_code)] // AsyncFd: its safe constructors are deprecated

mod events;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use hfd_proto::Home;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use self::events::{Event, add, on_the_way, read};
use super::Disk;
use super::leftover::which;
use super::observe::{stamps, stored_path};

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
    inotify: AsyncFd<OwnedFd>,
    mirrors: BTreeMap<Home, Mirror>,
    directories: BTreeMap<i32, Directory>,
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

/// For whom a directory is watched: the names that count.
type Directory = BTreeMap<Home, BTreeSet<OsString>>;

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the system gives no inotify instance (fs.inotify.max_user_instances).
    pub fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let (polls, polled) = unbounded_channel();
        // SAFETY: the descriptor is owned, and stays the same and open as long as it is registered.
        let inotify =
            unsafe { AsyncFd::register_with_interest(inotify, tokio::io::Interest::READABLE) }?;
        Ok(Self {
            inotify,
            mirrors: BTreeMap::new(),
            directories: BTreeMap::new(),
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
                ready = self.inotify.readable() => match ready {
                    Ok(mut ready) => {
                        let events = read(self.inotify.get_ref());
                        // Everything was read: a new event makes it ready again.
                        ready.clear_ready();
                        self.take(events);
                    }
                    Err(error) => {
                        // The runtime is ending.
                        tracing::error!(%error, "files are no longer watched");
                        return std::future::pending().await;
                    }
                },
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

    fn take(&mut self, events: Vec<Event>) {
        let mut concerned = BTreeSet::new();
        let mut arm = false;
        for event in events {
            if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                let local = self.mirrors.iter().filter(|(_, mirror)| mirror.local);
                concerned.extend(local.map(|(home, _)| home.clone()));
                arm = true;
                continue;
            }
            // A directory that was let go of may have events left.
            let Some(directory) = self.directories.get(&event.watch) else {
                continue;
            };
            let homes = match &event.name {
                // Of the directory itself.
                None => directory.keys().cloned().collect(),
                Some(name) => concerns(directory, name, event.flags),
            };
            arm |= !homes.is_empty() && !event.flags.contains(ReadFlags::CLOSE_WRITE);
            concerned.extend(homes);
            if event.flags.contains(ReadFlags::IGNORED) {
                self.directories.remove(&event.watch);
            }
        }
        if arm {
            self.arm();
        }
        for home in concerned {
            self.happened(home);
        }
    }

    /// Has the kernel watch what is to be watched now, and nothing else.
    fn arm(&mut self) {
        let mut directories: BTreeMap<i32, Directory> = BTreeMap::new();
        let local = self.mirrors.iter().filter(|(_, mirror)| mirror.local);
        let homes: Vec<_> = local.map(|(home, _)| home.clone()).collect();
        for home in homes {
            let files = [home.token_path.clone(), stored_path(&home)];
            let places: BTreeSet<_> = files.iter().flat_map(|file| on_the_way(file)).collect();
            let mut watched = Vec::new();
            let outcome = places
                .iter()
                .try_for_each(|place| add(self.inotify.get_ref(), place, &mut watched));
            for (watch, name) in watched {
                let directory = directories.entry(watch).or_default();
                directory.entry(home.clone()).or_default().insert(name);
            }
            match outcome {
                Ok(()) => {
                    if let Some(mirror) = self.mirrors.get_mut(&home) {
                        mirror.poll = None;
                    }
                }
                Err(error) => self.poll_instead(home, error),
            }
        }
        for watch in self.directories.keys() {
            if !directories.contains_key(watch) {
                // It may be gone by itself.
                let _ = inotify::remove_watch(self.inotify.get_ref(), *watch);
            }
        }
        self.directories = directories;
    }

    /// Where the kernel cannot watch, for one because so much is watched already
    /// (fs.inotify.max_user_watches).
    fn poll_instead(&mut self, home: Home, error: Errno) {
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

/// For whom a name in a directory counts.
fn concerns(directory: &Directory, name: &OsString, flags: ReadFlags) -> BTreeSet<Home> {
    // Somebody has finished with what was displaced. Our own files are closed under another name.
    let finished = flags.contains(ReadFlags::CLOSE_WRITE)
        && name.to_str().is_some_and(|name| which(name).is_some());
    let homes = directory
        .iter()
        .filter(|(_, names)| finished || names.contains(name));
    homes.map(|(home, _)| home.clone()).collect()
}

#[cfg(test)]
mod tests;
