//! Linux: one inotify instance for all (inotify(7)).

#![allow(unsafe_code)] // AsyncFd: its safe constructors are deprecated

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

use hfd_proto::Home;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags};
use tokio::io::unix::AsyncFd;

use self::events::{add, on_the_way, read};
use super::super::leftover::which;
use super::super::observe::stored_path;
use super::News;

#[path = "events.rs"]
mod events;

pub(super) use self::events::Event;

/// What tells.
#[derive(Debug)]
pub(super) struct Source {
    inotify: AsyncFd<OwnedFd>,
    directories: BTreeMap<i32, Directory>,
}

/// For whom a directory is watched: the names that count.
type Directory = BTreeMap<Home, BTreeSet<OsString>>;

impl Source {
    pub(super) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // SAFETY: the descriptor is owned, and stays the same and open as long as it is registered.
        let inotify =
            unsafe { AsyncFd::register_with_interest(inotify, tokio::io::Interest::READABLE) }?;
        Ok(Self {
            inotify,
            directories: BTreeMap::new(),
        })
    }

    /// Waits for something to happen. Nothing is lost when it is cancelled.
    pub(super) async fn news(&mut self) -> News {
        match self.inotify.readable().await {
            Ok(mut ready) => {
                let events = read(self.inotify.get_ref());
                // Everything was read: a new event makes it ready again.
                ready.clear_ready();
                self.read(events)
            }
            Err(error) => {
                // The runtime is ending.
                tracing::error!(%error, "files are no longer watched");
                std::future::pending().await
            }
        }
    }

    pub(super) fn read(&mut self, events: Vec<Event>) -> News {
        let mut news = News::default();
        for event in events {
            if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                news.lost_count = true;
                continue;
            }
            // A directory that was let go of may have events left.
            let Some(directory) = self.directories.get(&event.watch) else {
                continue;
            };
            let homes: BTreeSet<Home> = match &event.name {
                // Of the directory itself.
                None => directory.keys().cloned().collect(),
                Some(name) => concerns(directory, name, event.flags),
            };
            news.moved |= !homes.is_empty() && !event.flags.contains(ReadFlags::CLOSE_WRITE);
            news.homes.extend(homes);
            if event.flags.contains(ReadFlags::IGNORED) {
                self.directories.remove(&event.watch);
            }
        }
        news
    }

    /// Has the kernel watch what is to be watched now, and nothing else. Returns which mirrors it
    /// cannot watch, and why.
    pub(super) fn arm(&mut self, homes: &[Home]) -> BTreeMap<Home, io::Error> {
        let mut directories: BTreeMap<i32, Directory> = BTreeMap::new();
        let mut failed = BTreeMap::new();
        for home in homes {
            let files = [home.token_path.clone(), stored_path(home)];
            let places: BTreeSet<_> = files.iter().flat_map(|file| on_the_way(file)).collect();
            let mut watched = Vec::new();
            let outcome = places
                .iter()
                .try_for_each(|place| add(self.inotify.get_ref(), place, &mut watched));
            for (watch, name) in watched {
                let directory = directories.entry(watch).or_default();
                directory.entry(home.clone()).or_default().insert(name);
            }
            if let Err(error) = outcome {
                failed.insert(home.clone(), error.into());
            }
        }
        for watch in self.directories.keys() {
            if !directories.contains_key(watch) {
                // It may be gone by itself.
                let _ = inotify::remove_watch(self.inotify.get_ref(), *watch);
            }
        }
        self.directories = directories;
        failed
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
