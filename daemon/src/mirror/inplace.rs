//! A file that can only be written where it is, because it is a mount point. A daemon that is killed
//! meanwhile leaves a mixture of old and new, which a copy of both, made before, tells and mends.
//!
//! The copy, `.hfd-i-s-<16 hex>` or `.hfd-i-t-<16 hex>`, holds the length of the old content in eight
//! bytes, the old content, and the new.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hfd_proto::Home;
use zeroize::Zeroizing;

use super::file::{self, is_at, write_at};
use super::lease::{self, Kind, Refused};
use super::leftover::{Which, incomplete, ours, remove};
use super::observe::{content_of, stored_path};
use super::place::{Change, Done, Kernel, Obstacle};
use super::write::{WriteError, resolve};

/// How long is waited for a program that has a damaged file open.
const OTHERS: Duration = Duration::from_millis(300);

impl Change<'_> {
    /// Writes into the file itself, while nobody else has it open.
    pub(super) fn in_place(&self, new: &[u8]) -> Result<Done, WriteError> {
        let old = self.old.ok_or(WriteError::Moved)?;
        let copy = Copy::make(self, old, new).map_err(|error| self.error(Obstacle::Io(error)))?;
        let file = open(self.target)?;
        let lease = match (self.kernel.lease)(&file, Kind::Write, self.deadline) {
            Ok(lease) => Some(lease),
            Err(Refused::Unsupported) => None,
            Err(Refused::Open) => return Err(WriteError::Busy(self.target.to_owned())),
        };
        if !content_of(&file, self.which.limit()).is_ok_and(|content| *content == old)
            || !is_at(&file, self.target)
        {
            return Err(WriteError::Moved);
        }
        if let Err(error) = overwrite(&file, new, old.len(), self.kernel) {
            // Its blocks are still there: writing them again needs no space.
            if let Err(error) = overwrite(&file, old, old.len(), self.kernel) {
                tracing::error!(%error, "a file is damaged; it is mended when it can be written");
                copy.leave();
            }
            return Err(self.error(Obstacle::Io(error)));
        }
        Ok(Done {
            plainly: lease.is_none(),
            ..Done::default()
        })
    }
}

/// Mends what a daemon was writing in place when it was killed. What a program has written since
/// stays.
///
/// # Errors
/// Where that cannot be done now: the file says what nobody has written, and must not be read.
pub(super) fn mend(home: &Home) -> Result<(), WriteError> {
    for (path, name) in ours(home) {
        let Some(which) = Which::in_place(&name) else {
            continue;
        };
        let target = match which {
            Which::Stored => resolve(&stored_path(home))?,
            Which::Token => resolve(&home.token_path)?,
        };
        if let Some((old, new)) = read_copy(&path, which) {
            mend_one(&target, which, &old, &new)?;
        }
        remove(&path);
    }
    Ok(())
}

fn mend_one(target: &Path, which: Which, old: &[u8], new: &[u8]) -> Result<(), WriteError> {
    let file = match open(target) {
        // It is gone, and the mixture with it.
        Err(WriteError::Moved) => return Ok(()),
        outcome => outcome?,
    };
    let lease = lease::take(&file, Kind::Write, Instant::now() + OTHERS);
    let Ok(content) = content_of(&file, which.limit()) else {
        return Ok(());
    };
    if !is_mixture(&content, old, new) {
        return Ok(());
    }
    if matches!(lease, Err(Refused::Open)) {
        return Err(WriteError::Busy(target.to_owned()));
    }
    tracing::info!("a file that was being written is completed");
    overwrite(&file, new, content.len(), Kernel::REAL).map_err(|source| WriteError::Io {
        path: target.to_owned(),
        source,
    })
}

/// Whether every byte is one of the old content or the new at that place, and it is neither.
fn is_mixture(content: &[u8], old: &[u8], new: &[u8]) -> bool {
    let (shorter, longer) = (old.len().min(new.len()), old.len().max(new.len()));
    let mut bytes = content.iter().enumerate();
    content != old
        && content != new
        && (shorter..=longer).contains(&content.len())
        && bytes.all(|(at, byte)| old.get(at) == Some(byte) || new.get(at) == Some(byte))
}

fn open(target: &Path) -> Result<File, WriteError> {
    file::open_to_write(target).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => WriteError::Moved,
        _ => WriteError::Io {
            path: target.to_owned(),
            source,
        },
    })
}

fn overwrite(file: &File, content: &[u8], was: usize, kernel: Kernel) -> io::Result<()> {
    // What is beyond the old end comes first: where space is short, nothing is changed yet.
    let (start, rest) = content.split_at(content.len().min(was));
    if !rest.is_empty() {
        (kernel.put)(file, rest, start.len() as u64)?;
    }
    (kernel.put)(file, start, 0)?;
    file.set_len(content.len() as u64)?;
    (kernel.flush)(file)
}

/// Old and new content beside a file, durable; removed when it is dropped.
struct Copy {
    path: PathBuf,
    needed: bool,
}

impl Copy {
    fn make(change: &Change<'_>, old: &[u8], new: &[u8]) -> io::Result<Self> {
        let directory = change.target.parent().unwrap_or(Path::new("/"));
        let mut copy = Self {
            path: directory.join(incomplete()),
            needed: false,
        };
        let file = file::create(&copy.path)?;
        let length = (old.len() as u64).to_le_bytes();
        let content = Zeroizing::new([&length, old, new].concat());
        write_at(&file, &content, 0)?;
        (change.kernel.flush)(&file)?;
        let complete = directory.join(change.which.copy());
        std::fs::rename(&copy.path, &complete)?;
        copy.path = complete;
        change.kernel.flush_directory(directory)?;
        Ok(copy)
    }

    /// For [`mend`].
    fn leave(mut self) {
        self.needed = true;
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.needed {
            remove(&self.path);
        }
    }
}

/// Old and new content.
type Both = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

/// What a copy holds; nothing where it is none.
fn read_copy(path: &Path, which: Which) -> Option<Both> {
    let file = file::open_itself(path).ok()?;
    let content = content_of(&file, 8 + 2 * which.limit()).ok()?;
    let (length, both) = content.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (old, new) = both.split_at_checked(length)?;
    Some((Zeroizing::new(old.to_vec()), Zeroizing::new(new.to_vec())))
}
