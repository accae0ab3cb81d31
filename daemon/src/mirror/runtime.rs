//! Files that are links into memory: nothing of them rests on a disk.
//!
//! Tools follow links. They unlink one at a logout, which leaves what it led to, and the next login makes a file in
//! its place; so the links are made again after each of both. What a link leads to is gone after a restart of the
//! machine, which is no logout.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hfd_proto::{Home, private_dir};
use rustix::fs::statfs;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::file::{self, stamp};
use super::lease::{self, Kind, Lease, Refused};
use super::leftover::{Displaced, Linked, Which, incomplete};
use super::observe::{MAX_STORED, Seen, stored_path};
use super::place::{Change, Kernel};
use super::write::WriteError;

/// File systems whose files are memory (statfs(2)); what of it is swapped out is another matter.
const MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// What makes a directory of memory, or why there is none.
///
/// # Errors
/// In words: no session, or a runtime directory on a disk.
pub fn memory() -> Result<PathBuf, String> {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // As for the socket: a daemon without the variables of a session belongs to it all the same.
    let directory = named
        .filter(|directory| directory.is_absolute())
        .unwrap_or_else(|| {
            let uid = rustix::process::getuid().as_raw();
            PathBuf::from(format!("/run/user/{uid}"))
        });
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
    /// Ours, into the runtime directory of another session.
    Astray(PathBuf),
    /// A file of a tool's.
    File,
    /// Another link, or what is no file: left alone.
    Other,
}

fn lies(path: &Path, target: &Path) -> io::Result<Lies> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lies::Nothing),
        Err(error) => Err(error),
        Ok(found) if found.is_symlink() => Ok(match fs::read_link(path)? {
            leads if leads == target => Lies::Link,
            leads if below_runtime(&leads) == below_runtime(target) => {
                match fs::symlink_metadata(&leads) {
                    Ok(found) if !found.is_file() => Lies::Other,
                    _ => Lies::Astray(leads),
                }
            }
            _ => Lies::Other,
        }),
        Ok(found) if found.is_file() => Ok(Lies::File),
        Ok(_) => Ok(Lies::Other),
    }
}

/// `hfd/mirror-NUMBER/NAME`, which no other program makes.
fn below_runtime(target: &Path) -> PathBuf {
    let last = target.components().rev().take(3).collect::<Vec<_>>();
    last.into_iter().rev().collect()
}

/// Which of the two files, `stored_tokens` and `token`, are links to nothing: a tool that logs out unlinks the link.
///
/// # Errors
/// Why nothing can be said: there is no memory, whose links lead nowhere then.
pub fn vanished(home: &Home) -> Result<[bool; 2], String> {
    let links = Links::of(home).map_err(|error| error.to_string())?;
    Ok(links.each.map(|(_, path, target)| {
        let is_link = matches!(lies(&path, &target), Ok(Lies::Link | Lies::Astray(_)));
        is_link && !path.exists()
    }))
}

/// Sees to it that those of the two files that are `wanted` are links into memory, if they still are as `seen`: a file of a
/// tool's is copied there first, and where there is nothing the link leads to nothing.
///
/// # Errors
/// [`WriteError::Moved`] where a tool has written since: look again. Another one where a link cannot be: something else
/// lies there, such as a link of the person's own.
pub fn link(
    home: &Home,
    seen: &Seen,
    wanted: [bool; 2],
    deadline: Instant,
) -> Result<Linked, WriteError> {
    let links = Links::of(home).map_err(|error| io_error(home, error))?;
    let mut linked = Linked::default();
    links.make().map_err(|error| io_error(home, error))?;
    // Both or none.
    for (_, path, target) in &links.each {
        if matches!(lies(path, target), Ok(Lies::Other)) {
            return Err(io_error(home, not_ours(path)));
        }
    }
    let wanted = links.each.iter().zip(wanted).filter(|(_, wanted)| *wanted);
    for ((which, path, target), _) in wanted {
        let (old, seen_stamp) = match which {
            Which::Stored => (&seen.raw.stored, seen.stamps.stored),
            Which::Token => (&seen.raw.token, seen.stamps.token),
        };
        if stamp(path) != seen_stamp {
            return Err(WriteError::Moved);
        }
        match lies(path, target).map_err(|error| io_error(home, error))? {
            Lies::Link => continue,
            Lies::Other => return Err(io_error(home, not_ours(path))),
            Lies::Nothing => {
                // A tool has unlinked the link alone.
                remove(target).map_err(|error| io_error(home, error))?;
                match symlink(target, path) {
                    // Somebody has logged in meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        return Err(WriteError::Moved);
                    }
                    made => made.map_err(|error| io_error(home, error))?,
                }
                linked.changed = true;
                continue;
            }
            Lies::Astray(before) => {
                let moved = lead_here(home, path, [&before, target], deadline);
                links.sweep(path);
                moved?;
                linked.changed = true;
                continue;
            }
            Lies::File => {}
        }
        let Some(old) = old else {
            return Err(WriteError::Moved);
        };
        let change = Change {
            which: *which,
            target: path,
            old: Some(old.as_slice()),
            stamp: seen_stamp,
            deadline,
            kernel: Kernel::REAL,
        };
        let waiting = path.with_file_name(which.complete());
        fill(target, old)
            .and_then(|()| symlink(target, &waiting))
            .map_err(|error| io_error(home, error))?;
        let done = change.replace(&waiting, old);
        links.sweep(path);
        let done = done?;
        linked.changed = true;
        linked.left_behind |= done.left_behind;
        if let Some((leftover, content)) = done.displaced {
            linked.displaced = Some(Displaced {
                observation: which.observation(&content, &seen.observation),
                leftovers: vec![leftover],
            });
            break;
        }
        if !matches!(lies(path, target), Ok(Lies::Link)) {
            return Err(io_error(home, not_ours(path)));
        }
    }
    Ok(linked)
}

/// Has a link of ours lead to `target`, with what it led to `before`. What a tool writes through it
/// meanwhile comes along.
fn lead_here(
    home: &Home,
    path: &Path,
    [before, target]: [&Path; 2],
    deadline: Instant,
) -> Result<(), WriteError> {
    let lead = |target: &Path| {
        let waiting = path.with_file_name(incomplete());
        symlink(target, &waiting)?;
        fs::rename(&waiting, path)
    };
    let copy = |old: &File| {
        let mut content = Zeroizing::new(Vec::new());
        Read::take(old, MAX_STORED).read_to_end(&mut content)?;
        fill(target, &content)
    };
    loop {
        let old = match File::open(before) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return remove(target)
                    .and_then(|()| lead(target))
                    .map_err(|error| io_error(home, error));
            }
            old => old.map_err(|error| io_error(home, error))?,
        };
        let lease = match lease::take(&old, Kind::Read, deadline) {
            // A tool is at it; it is led here the next time.
            Err(Refused::Open) => {
                lead(before).map_err(|error| io_error(home, error))?;
                return Err(WriteError::Moved);
            }
            lease => lease.ok(),
        };
        copy(&old)
            .and_then(|()| lead(target))
            .map_err(|error| io_error(home, error))?;
        // Else a tool waits for it, and writes what has no name any more if that is taken away.
        if lease.as_ref().is_none_or(Lease::stands) {
            return remove(before).map_err(|error| io_error(home, error));
        }
    }
}

fn not_ours(path: &Path) -> io::Error {
    io::Error::other(format!(
        "{} leads or is mounted elsewhere, and cannot be kept in memory",
        path.display()
    ))
}

impl Links {
    /// The directories that they need.
    fn make(&self) -> io::Result<()> {
        // That of the socket may not be there yet.
        let above = self.directory.parent();
        for directory in above.into_iter().chain([self.directory.as_path()]) {
            private_dir(directory).map_err(|error| io::Error::other(error.message))?;
        }
        let (_, path, _) = &self.each[1];
        path.parent().map_or(Ok(()), file::make_directory)
    }

    /// Removes links of ours that waited for the place of a file, and did not come to it.
    fn sweep(&self, path: &Path) {
        let entries = path.parent().map(fs::read_dir).into_iter().flatten();
        for entry in entries.flatten().flatten() {
            let is_ours = entry.file_name().as_encoded_bytes().starts_with(b".hfd-");
            let leads = fs::read_link(entry.path());
            if is_ours && leads.is_ok_and(|target| target.starts_with(&self.directory)) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

/// Puts files in the place of the links, and empties what they led to.
///
/// # Errors
/// As of the file system.
pub fn unlink(home: &Home) -> Result<(), WriteError> {
    let links = Links::of(home).map_err(|error| io_error(home, error))?;
    let undo = || {
        for (_, path, target) in &links.each {
            let target = &match lies(path, target)? {
                Lies::Link => target.clone(),
                Lies::Astray(before) => before,
                _ => continue,
            };
            // What a tool writes through the link in that moment is copied, too.
            while let Ok(content) = fs::read(target) {
                let content = Zeroizing::new(content);
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
