//! Windows (`ReadDirectoryChangesW`) and macOS (FSEvents), by way of the crate `notify`. Both watch a
//! directory by its path; neither says when a file is closed, so that what is half written is looked at
//! as well, and looked at again when it is quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use hfd_proto::Home;
use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::file::{as_told, number};
use super::super::leftover::which;
use super::super::observe::stored_path;
use super::super::write::resolve;
use super::News;

/// What tells.
#[derive(Debug)]
pub(super) struct Source {
    watcher: RecommendedWatcher,
    events: UnboundedReceiver<notify::Result<notify::Event>>,
    /// Directories that are watched, with the names that count in each.
    directories: BTreeMap<PathBuf, BTreeMap<Home, BTreeSet<PathBuf>>>,
    /// Which directory it is that is watched at each of these places.
    armed: BTreeMap<PathBuf, (u64, u64)>,
}

impl Source {
    pub(super) fn new() -> io::Result<Self> {
        let (tell, events) = unbounded_channel();
        // Its thread ends with the watcher; then nobody listens any more.
        let watcher = notify::recommended_watcher(move |event| drop(tell.send(event)));
        Ok(Self {
            watcher: watcher.map_err(io::Error::other)?,
            events,
            directories: BTreeMap::new(),
            armed: BTreeMap::new(),
        })
    }

    /// Waits for something to happen. Nothing is lost when it is cancelled.
    pub(super) async fn news(&mut self) -> News {
        loop {
            let Some(event) = self.events.recv().await else {
                tracing::error!("files are no longer watched");
                return std::future::pending().await;
            };
            let news = match event {
                Ok(event) => self.read(&event),
                // A directory that is gone, or a queue that ran over.
                Err(error) => {
                    tracing::debug!(%error, "the system lost count of what happened to files");
                    News {
                        lost_count: true,
                        ..News::default()
                    }
                }
            };
            if news != News::default() {
                return news;
            }
        }
    }

    fn read(&self, event: &notify::Event) -> News {
        let mut news = News {
            lost_count: event.need_rescan(),
            ..News::default()
        };
        if matches!(event.kind, EventKind::Access(_)) {
            return news;
        }
        use ModifyKind::{Any, Data, Metadata};
        let content = matches!(event.kind, EventKind::Modify(Any | Data(_) | Metadata(_)));
        for path in &event.paths {
            for (directory, homes) in &self.directories {
                for (home, names) in homes {
                    let finished = content && is_displaced(path, directory);
                    if path == directory || names.contains(path) || finished {
                        news.homes.insert(home.clone());
                    }
                }
            }
        }
        // Where a directory was missing, or has gone, another one is to be watched.
        news.moved = !news.homes.is_empty() && !content;
        news
    }

    /// Has the system watch what is to be watched now, and nothing else. Returns which mirrors it
    /// cannot watch, and why.
    pub(super) fn arm(&mut self, homes: &[Home]) -> BTreeMap<Home, io::Error> {
        let mut directories: BTreeMap<PathBuf, BTreeMap<Home, BTreeSet<PathBuf>>> = BTreeMap::new();
        for home in homes {
            for file in [home.token_path.clone(), stored_path(home)] {
                // Links of others are not followed. Of a directory that is removed or replaced, the one
                // above tells.
                let parent = file.parent().map(Path::to_owned);
                for file in [resolve(&file).ok(), Some(file), parent]
                    .into_iter()
                    .flatten()
                {
                    if let Some((directory, name)) = nearest(&file) {
                        let names = directories.entry(directory).or_default();
                        names.entry(home.clone()).or_default().insert(name);
                    }
                }
            }
        }
        let mut now: BTreeMap<PathBuf, (u64, u64)> = directories
            .keys()
            .filter_map(|directory| {
                let found = std::fs::metadata(directory).ok()?;
                Some((directory.clone(), number(directory, &found)))
            })
            .collect();
        for (directory, before) in &self.armed {
            if now.get(directory) != Some(before) {
                // It may be gone by itself.
                let _ = self.watcher.unwatch(directory);
            }
        }
        let mut failed = BTreeMap::new();
        for (directory, homes) in &directories {
            let armed = self.armed.get(directory);
            if armed.is_some() && armed == now.get(directory) {
                continue;
            }
            if let Err(error) = self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                // It is tried again the next time.
                now.remove(directory);
                let error = error.to_string();
                let homes = homes.keys();
                failed.extend(homes.map(|home| (home.clone(), io::Error::other(error.clone()))));
            }
        }
        (self.directories, self.armed) = (directories, now);
        failed
    }
}

/// The directory of a file, or the nearest one above it that there is, and what leads to the file there.
fn nearest(file: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut name = file;
    loop {
        let directory = name.parent()?;
        if directory.is_dir() {
            let told = as_told(directory);
            let name = told.join(name.file_name()?);
            return Some((told, name));
        }
        name = directory;
    }
}

/// Somebody has finished with what was displaced.
fn is_displaced(path: &Path, directory: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent() == Some(directory) && name.is_some_and(|name| which(name).is_some())
}
