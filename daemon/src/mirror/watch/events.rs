//! Which directories the kernel is to watch for a file, and what it says of them.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::super::super::write;

/// A directory that changes while it is being watched is looked at again so often.
const ATTEMPTS: usize = 16;

/// The file, and what it leads to: every link on the way may come to lead elsewhere.
pub(super) fn on_the_way(file: &Path) -> Vec<PathBuf> {
    let mut places = vec![file.to_owned()];
    // Links of others are not written, and not followed.
    let Ok(end) = write::resolve(file) else {
        return places;
    };
    let mut place = file.to_owned();
    while place != end {
        let Ok(link) = std::fs::read_link(&place) else {
            break;
        };
        place = place.parent().unwrap_or(Path::new("/")).join(link);
        if places.contains(&place) {
            break;
        }
        places.push(place.clone());
    }
    places
}

/// Watches the directory of a file, or the nearest one above it for the name that leads there. What
/// was watched in vain meanwhile is among it.
pub(super) fn add(
    inotify: &OwnedFd,
    file: &Path,
    watched: &mut Vec<(i32, OsString)>,
) -> Result<(), Errno> {
    let flags = WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR;
    for _ in 0..ATTEMPTS {
        let mut place = file;
        loop {
            let (Some(directory), Some(name)) = (place.parent(), place.file_name()) else {
                return Err(Errno::NOENT);
            };
            match inotify::add_watch(inotify, directory, flags) {
                Ok(watch) => {
                    watched.push((watch, name.to_owned()));
                    if place == file || !place.is_dir() {
                        return Ok(());
                    }
                    // Made between the two attempts: that is not told.
                    break;
                }
                Err(Errno::NOENT | Errno::NOTDIR) => place = directory,
                Err(error) => return Err(error),
            }
        }
    }
    Err(Errno::AGAIN)
}

/// Something that happened in a watched directory.
pub(in super::super) struct Event {
    pub(in super::super) watch: i32,
    pub(in super::super) flags: ReadFlags,
    /// Nothing where it is about the directory itself.
    pub(in super::super) name: Option<OsString>,
}

/// All events there are.
pub(super) fn read(inotify: &OwnedFd) -> Vec<Event> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    let mut events = Vec::new();
    loop {
        match reader.next() {
            Ok(event) => events.push(Event {
                watch: event.wd(),
                flags: event.events(),
                name: event
                    .file_name()
                    .map(|name| OsStr::from_bytes(name.to_bytes()).to_owned()),
            }),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return events,
            Err(error) => {
                tracing::error!(%error, "events of files cannot be read");
                return events;
            }
        }
    }
}
