//! Writing a mirror's files: never torn, and never over something that was not read.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hfd_proto::Home;
use zeroize::Zeroizing;

use super::file::{self, stamp};
use super::leftover::{Displaced, Which, incomplete, remove};
use super::lock::{self, NotTaken};
use super::observe::{Seen, Stamps, stamps, stored_path};
use super::place::{Change, Done, Kernel};

/// New contents. A part that is `None` stays as it is.
#[derive(Default)]
pub struct NewFiles {
    /// The bytes of `stored_tokens`.
    pub stored: Option<Zeroizing<Vec<u8>>>,
    /// The bytes of `token`, or nothing to remove it.
    pub token: Option<Option<Zeroizing<Vec<u8>>>>,
    /// The lock is held already, by [`hold`].
    pub held: bool,
}

impl std::fmt::Debug for NewFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewFiles")
            .field("stored", &self.stored.is_some())
            .field("token", &self.token.as_ref().map(Option::is_some))
            .finish()
    }
}

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The files are not what the new contents were made from: look again.
    #[error("the files changed meanwhile")]
    Moved,
    /// Another program holds the lock, or a file that can only be written in place, open.
    #[error("{0} is in use by another program")]
    Busy(PathBuf),
    /// The file system says no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// A link that belongs to somebody else.
    #[error("{0} is a link of another user")]
    ForeignLink(PathBuf),
}

/// How long is waited for a program that has a displaced file open: they write in microseconds, and
/// while it is waited nobody looks at what else is written.
const WRITERS: Duration = Duration::from_millis(100);

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The stamps afterwards. A tool may have written in between: look again before relying on them.
    pub stamps: Stamps,
    /// What lay there was not what had been read: an edit to be taken up. Then what came after that
    /// file is not written.
    pub displaced: Option<Displaced>,
    /// What was displaced still lies there: it cannot be removed, or a program has it open for
    /// writing. When that closes it, the watch notices; [`leftovers`](super::leftovers) has what it wrote.
    pub left_behind: bool,
    /// The file system lacks what makes this safe: an edit in the wrong moment would be lost.
    pub plainly: bool,
    /// A file can be read or written by its group, as it could before.
    pub shared_with_group: bool,
}

/// Takes the lock under which huggingface_hub renews, so that it waits until this is dropped.
///
/// # Errors
/// [`WriteError::Busy`] where another program holds it at `deadline`.
pub fn hold(home: &Home, deadline: Instant) -> Result<lock::Lock, WriteError> {
    lock(&stored_path(home), deadline)
}

/// Writes `new` if the files still are as `seen`, in upstream's order (`stored_tokens`, then
/// `token`). Whoever writes at the same time loses nothing: what is replaced is read once more
/// afterwards. Waiting for the lock and for other writers ends at `deadline`.
///
/// # Errors
/// `stored_tokens` may have been written although `token` was not. What was displaced and is not
/// returned is found by [`leftovers`](super::leftovers).
pub fn write(
    home: &Home,
    new: &NewFiles,
    seen: &Seen,
    deadline: Instant,
) -> Result<Written, WriteError> {
    write_by(home, new, seen, deadline, Kernel::REAL)
}

pub(super) fn write_by(
    home: &Home,
    new: &NewFiles,
    seen: &Seen,
    deadline: Instant,
    kernel: Kernel,
) -> Result<Written, WriteError> {
    make_directory(directory_of(&home.token_path))?;
    let stored_path = stored_path(home);
    let stored_target = resolve(&stored_path)?;
    let token_target = resolve(&home.token_path)?;
    let _lock = match new.stored {
        Some(_) if !new.held => Some(lock(&stored_path, deadline)?),
        _ => None,
    };
    let deadline = deadline.min(Instant::now() + WRITERS);
    let unmoved = || match stamps(home) == seen.stamps {
        true => Ok(()),
        false => Err(WriteError::Moved),
    };
    unmoved()?;
    let stored = Change {
        which: Which::Stored,
        target: &stored_target,
        old: seen.raw.stored.as_ref().map(|raw| raw.as_slice()),
        stamp: seen.stamps.stored,
        deadline,
        kernel,
    };
    let token = Change {
        which: Which::Token,
        target: &token_target,
        old: seen.raw.token.as_ref().map(|raw| raw.as_slice()),
        stamp: seen.stamps.token,
        ..stored
    };
    // Written and durable first, so that little stands between the look and the end.
    let new_stored = Prepared::new(&stored, new.stored.as_ref())?;
    let new_token = Prepared::new(&token, new.token.as_ref().and_then(Option::as_ref))?;
    let shared_with_group = [&new_stored, &new_token]
        .iter()
        .any(|prepared| prepared.as_ref().is_some_and(|prepared| prepared.shared));
    unmoved()?;

    let mut changed = BTreeSet::new();
    let mut outcome = Ok((Done::default(), Which::Stored));
    if let Some(prepared) = new_stored {
        changed.insert(directory_of(&stored_target));
        outcome = prepared
            .put_in_place(&stored)
            .map(|done| (done, Which::Stored));
    }
    if let (Ok((before, _)), Some(_)) = (&outcome, &new.token)
        && before.displaced.is_none()
    {
        changed.insert(directory_of(&token_target));
        outcome = put_token(home, &token, new_token).map(|then| (then.after(before), Which::Token));
    }
    for directory in changed {
        if let Err(error) = kernel.flush_directory(directory) {
            // What was written is there; only a crash of the machine could take it back.
            tracing::warn!(%error, "a directory cannot be flushed");
        }
    }
    let (done, last) = outcome?;
    Ok(Written {
        stamps: stamps(home),
        displaced: done.displaced.map(|(leftover, content)| Displaced {
            observation: last.observation(&content, &seen.observation),
            leftovers: vec![leftover],
        }),
        left_behind: done.left_behind,
        plainly: done.plainly,
        shared_with_group,
    })
}

fn put_token(
    home: &Home,
    token: &Change<'_>,
    new: Option<Prepared<'_>>,
) -> Result<Done, WriteError> {
    if stamp(&home.token_path) != token.stamp {
        return Err(WriteError::Moved);
    }
    match new {
        Some(prepared) => prepared.put_in_place(token),
        None => token.remove(&directory_of(token.target).join(Which::Token.complete())),
    }
}

fn make_directory(directory: &Path) -> Result<(), WriteError> {
    file::make_directory(directory).map_err(|source| io_error(directory, source))
}

/// Takes the lock that lies beside `stored_tokens`; a link of that is not followed, as upstream
/// does not.
fn lock(stored_path: &Path, deadline: Instant) -> Result<lock::Lock, WriteError> {
    let path = stored_path.with_file_name("stored_tokens.lock");
    lock::take(&path, deadline).map_err(|error| match error {
        NotTaken::Held => WriteError::Busy(path),
        NotTaken::Io(source) => io_error(&path, source),
    })
}

fn directory_of(target: &Path) -> &Path {
    target.parent().unwrap_or(Path::new("/"))
}

fn io_error(path: &Path, source: io::Error) -> WriteError {
    WriteError::Io {
        path: path.to_owned(),
        source,
    }
}

/// A complete and durable file that waits to replace another one; removed if it does not come to
/// that.
struct Prepared<'a> {
    path: PathBuf,
    content: &'a [u8],
    /// Its group can read it.
    shared: bool,
    /// It is to be removed.
    waits: bool,
}

impl<'a> Prepared<'a> {
    /// Writes new content, if there is any, beside its target.
    fn new(
        change: &Change<'_>,
        content: Option<&'a Zeroizing<Vec<u8>>>,
    ) -> Result<Option<Self>, WriteError> {
        let Some(content) = content else {
            return Ok(None);
        };
        let directory = directory_of(change.target);
        let mut prepared = Prepared {
            path: directory.join(incomplete()),
            content,
            shared: false,
            waits: true,
        };
        let error = |source| io_error(change.target, source);
        prepared.shared =
            write_new(&prepared.path, change.target, content, change.kernel).map_err(error)?;
        let complete = directory.join(change.which.complete());
        std::fs::rename(&prepared.path, &complete).map_err(error)?;
        prepared.path = complete;
        Ok(Some(prepared))
    }

    fn put_in_place(mut self, change: &Change<'_>) -> Result<Done, WriteError> {
        // From here on what has this name may not be ours.
        self.waits = false;
        change.replace(&self.path, self.content)
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        if self.waits {
            remove(&self.path);
        }
    }
}

/// Returns whether the group can read it.
fn write_new(temporary: &Path, target: &Path, content: &[u8], kernel: Kernel) -> io::Result<bool> {
    let (mut file, shared) = file::create_like(temporary, target)?;
    file.write_all(content)?;
    (kernel.flush)(&file)?;
    Ok(shared)
}

/// Follows links of ours (dotfile managers make them) to the file that is to be replaced.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, WriteError> {
    let mut target = path.to_owned();
    // The kernel's own limit of links in a row (path_resolution(7)).
    for _ in 0..40 {
        match std::fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.file_type().is_symlink() => {
                if !file::is_own_link(&target, &metadata) {
                    return Err(WriteError::ForeignLink(target));
                }
                let link = std::fs::read_link(&target).map_err(|source| WriteError::Io {
                    path: target.clone(),
                    source,
                })?;
                target = target.parent().unwrap_or(Path::new("/")).join(link);
            }
            _ => return Ok(target),
        }
    }
    let source = file::too_many_links();
    Err(WriteError::Io {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
