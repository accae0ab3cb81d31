//! Files that are links into memory: nothing of them rests on a disk.
//!
//! Tools follow links. They unlink one at a logout, which leaves what it led to, and the next login makes a file in
//! its place; so the links are made again after each of both. What a link leads to is gone after a restart of the
//! machine, which is no logout.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hfd_proto::{Home, private_dir};
use rustix::fs::statfs;
use sha2::{Digest as _, Sha256};

use super::file;
use super::leftover::{Which, incomplete};
use super::observe::{Seen, Stamps, stamps, stored_path};
use super::place::{Change, Kernel};
use super::write::WriteError;

/// File systems whose files are memory (statfs(2)); what of it is swapped out is another matter.
const MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// What makes a directory of memory, or why there is none.
///
/// # Errors
/// In words: no session, or a runtime directory on a disk.
pub fn memory() -> Result<PathBuf, String> {
    let directory = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let directory = directory
        .filter(|directory| directory.is_absolute())
        .ok_or("there is no runtime directory (XDG_RUNTIME_DIR)")?;
    let shown = directory.display();
    let found = statfs(&directory).map_err(|error| format!("{shown}: {error}"))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // a word of 32 bits, of another type on each machine
    let kind = found.f_type as u32;
    match MEMORY.contains(&kind) {
        true => Ok(directory),
        false => Err(format!("{shown} is no memory (a tmpfs)")),
    }
}

/// Where the links of a home lead.
#[derive(Debug)]
struct Links {
    directory: PathBuf,
    /// A link and what it leads to, in upstream's order.
    each: [(Which, PathBuf, PathBuf); 2],
}

impl Links {
    fn of(home: &Home) -> io::Result<Self> {
        let memory = memory().map_err(io::Error::other)?;
        let digest = Sha256::digest(home.token_path.as_os_str().as_encoded_bytes());
        let number: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let directory = memory.join("hfd").join(format!("mirror-{number}"));
        let link = |which, path: PathBuf, name: &str| (which, path, directory.join(name));
        let each = [
            link(Which::Stored, stored_path(home), "stored_tokens"),
            link(Which::Token, home.token_path.clone(), "token"),
        ];
        Ok(Self { directory, each })
    }
}

/// What lies in the place of a link.
enum Lies {
    Nothing,
    /// Ours.
    Link,
    /// A file of a tool's.
    File,
    /// Another link, or what is no file: left alone.
    Other,
}

fn lies(path: &Path, target: &Path) -> io::Result<Lies> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lies::Nothing),
        Err(error) => Err(error),
        Ok(found) if found.is_symlink() => match fs::read_link(path)? == target {
            true => Ok(Lies::Link),
            false => Ok(Lies::Other),
        },
        Ok(found) if found.is_file() => Ok(Lies::File),
        Ok(_) => Ok(Lies::Other),
    }
}

/// Which of the two files, `stored_tokens` and `token`, are links to nothing: a tool that logs out unlinks the link.
pub fn vanished(home: &Home) -> [bool; 2] {
    let Ok(links) = Links::of(home) else {
        return [false; 2];
    };
    links
        .each
        .map(|(_, path, target)| matches!(lies(&path, &target), Ok(Lies::Link)) && !target.exists())
}

/// Before something is written into those of `stored_tokens` and `token` that are `wanted`: what is not there is a link,
/// and leads to nothing.
///
/// # Errors
/// As of the file system.
pub fn prepare(home: &Home, wanted: [bool; 2]) -> Result<(), WriteError> {
    let links = Links::of(home).map_err(|error| io_error(home, error))?;
    let ready = || {
        // For the socket's directory nobody has been there yet.
        if let Some(parent) = links.directory.parent() {
            private_dir(parent).map_err(|error| io::Error::other(error.message))?;
        }
        private_dir(&links.directory).map_err(|error| io::Error::other(error.message))?;
        if let Some(parent) = home.token_path.parent() {
            file::make_directory(parent)?;
        }
        let wanted = links.each.iter().zip(wanted).filter(|(_, wanted)| *wanted);
        for ((_, path, target), _) in wanted {
            if let Lies::Nothing = lies(path, target)? {
                // A tool has unlinked the link alone.
                remove(target)?;
                match symlink(target, path) {
                    // Somebody has logged in meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    made => made?,
                }
            }
        }
        Ok(())
    };
    ready().map_err(|error| io_error(home, error))
}

/// Puts links in the place of files that tools have made, if those still are as `seen`. The stamps afterwards.
///
/// # Errors
/// [`WriteError::Moved`] where a tool has written since: look again.
pub fn link(home: &Home, seen: &Seen, deadline: Instant) -> Result<Stamps, WriteError> {
    prepare(home, [true; 2])?;
    let links = Links::of(home).map_err(|error| io_error(home, error))?;
    for (which, path, target) in &links.each {
        let is_file = lies(path, target).map_err(|error| io_error(home, error))?;
        let Lies::File = is_file else { continue };
        let (old, stamp) = match which {
            Which::Stored => (&seen.raw.stored, seen.stamps.stored),
            Which::Token => (&seen.raw.token, seen.stamps.token),
        };
        let Some(old) = old else {
            return Err(WriteError::Moved);
        };
        let change = Change {
            which: *which,
            target: path,
            old: Some(old.as_slice()),
            stamp,
            deadline,
            kernel: Kernel::REAL,
        };
        let waiting = path.with_file_name(which.complete());
        fill(target, old)
            .and_then(|()| symlink(target, &waiting))
            .map_err(|error| io_error(home, error))?;
        let done = change.replace(&waiting, old)?;
        if done.displaced.is_some() || done.left_behind {
            return Err(WriteError::Moved);
        }
    }
    Ok(stamps(home))
}

/// Puts files in the place of the links, and empties what they led to.
///
/// # Errors
/// As of the file system.
pub fn unlink(home: &Home) -> Result<(), WriteError> {
    let links = Links::of(home).map_err(|error| io_error(home, error))?;
    let undo = || {
        for (_, path, target) in &links.each {
            if !matches!(lies(path, target)?, Lies::Link) {
                continue;
            }
            // What a tool writes through the link in that moment is copied, too.
            while let Ok(content) = fs::read(target) {
                let content = zeroize::Zeroizing::new(content);
                let waiting = path.with_file_name(incomplete());
                fill(&waiting, &content)?;
                fs::rename(&waiting, path)?;
                if fs::read(target).is_ok_and(|again| *again == **content) {
                    break;
                }
            }
            if matches!(lies(path, target)?, Lies::Link) {
                fs::remove_file(path)?;
            }
            remove(target)?;
        }
        match fs::remove_dir(&links.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    };
    undo().map_err(|error| io_error(home, error))
}

fn fill(path: &Path, content: &[u8]) -> io::Result<()> {
    remove(path)?;
    file::create(path)?.write_all(content)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn io_error(home: &Home, source: io::Error) -> WriteError {
    WriteError::Io {
        path: home.token_path.clone(),
        source,
    }
}
