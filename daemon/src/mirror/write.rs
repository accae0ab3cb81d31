//! Writing a mirror's files: never torn, and never over something that was not read.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hfd_proto::Home;
use zeroize::Zeroizing;

use super::observe::{Stamps, stamps, stored_path};

/// New contents. A part that is `None` stays as it is.
#[derive(Default)]
pub struct NewFiles {
    /// The bytes of `stored_tokens`.
    pub stored: Option<Zeroizing<Vec<u8>>>,
    /// The bytes of `token`, or nothing to remove it.
    pub token: Option<Option<Zeroizing<Vec<u8>>>>,
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

/// Writes `new` if the files still are as `seen`, in upstream's order (`stored_tokens`, then
/// `token`), and returns their new stamps.
pub fn write(home: &Home, new: &NewFiles, seen: &Stamps) -> Result<Stamps, WriteError> {
    let directory = home.token_path.parent().unwrap_or(Path::new("/"));
    // Only a directory that we make gets a mode from us.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| WriteError::Io {
            path: directory.to_owned(),
            source,
        })?;
    // Written and durable first, so that only renames stand between the look and the end.
    let stored = prepare(&stored_path(home), new.stored.as_ref())?;
    let token = prepare(
        &home.token_path,
        new.token.as_ref().and_then(Option::as_ref),
    )?;
    if stamps(home) != *seen {
        return Err(WriteError::Moved);
    }
    let mut changed = BTreeSet::new();
    if let Some(stored) = stored {
        changed.insert(stored.put_in_place()?);
    }
    if let Some(token) = token {
        if stamps(home).token != seen.token {
            return Err(WriteError::Moved);
        }
        changed.insert(token.put_in_place()?);
    } else if matches!(new.token, Some(None)) {
        remove(&home.token_path)?;
        changed.insert(directory.to_owned());
    }
    for directory in changed {
        if let Err(error) = File::open(directory).and_then(|directory| directory.sync_data()) {
            // What was written is there; only a crash of the machine could take it back.
            tracing::warn!(%error, "a directory cannot be flushed");
        }
    }
    Ok(stamps(home))
}

/// Removes what a daemon left that was killed while it wrote: temporary files, which hold tokens.
/// Their content is in the store, or the change that it belonged to is undone from there.
pub fn sweep(home: &Home) {
    for path in [stored_path(home), home.token_path.clone()] {
        let Ok(target) = resolve(&path) else { continue };
        let entries = std::fs::read_dir(target.parent().unwrap_or(Path::new("/")));
        for entry in entries.into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(is_temporary)
                && entry.metadata().is_ok_and(|metadata| {
                    metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw()
                })
                && let Err(error) = std::fs::remove_file(entry.path())
            {
                tracing::warn!(%error, "a temporary file stays");
            }
        }
    }
}

/// Whether a name is one that [`prepare`] gives.
fn is_temporary(name: &str) -> bool {
    name.strip_prefix(".hfd-").is_some_and(|number| {
        number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// A complete and durable file that waits to replace another one; removed if it does not come to
/// that.
struct Prepared {
    temporary: PathBuf,
    target: PathBuf,
}

/// Writes new content beside its target. A link is kept: what it leads to is replaced.
fn prepare(
    path: &Path,
    content: Option<&Zeroizing<Vec<u8>>>,
) -> Result<Option<Prepared>, WriteError> {
    let Some(content) = content else {
        return Ok(None);
    };
    let target = resolve(path)?;
    let directory = target.parent().unwrap_or(Path::new("/"));
    let prepared = Prepared {
        temporary: directory.join(format!(".hfd-{:016x}", unique())),
        target,
    };
    write_new(&prepared.temporary, &prepared.target, content).map_err(|source| WriteError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(prepared))
}

impl Prepared {
    /// Returns the directory that has changed.
    fn put_in_place(self) -> Result<PathBuf, WriteError> {
        std::fs::rename(&self.temporary, &self.target).map_err(|source| WriteError::Io {
            path: self.target.clone(),
            source,
        })?;
        let directory = self.target.parent().unwrap_or(Path::new("/"));
        Ok(directory.to_owned())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // After the rename there is none of that name.
        drop(std::fs::remove_file(&self.temporary));
    }
}

fn write_new(temporary: &Path, target: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    // A group that was let in stays in; nobody else ever is.
    if let Ok(metadata) = std::fs::metadata(target) {
        let group = metadata.mode() & 0o060;
        if group != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600 | group))?;
        }
    }
    file.write_all(content)?;
    file.sync_data()
}

fn remove(path: &Path) -> Result<(), WriteError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(WriteError::Io {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Follows links of ours (dotfile managers make them) to the file that is to be replaced.
fn resolve(path: &Path) -> Result<PathBuf, WriteError> {
    let mut target = path.to_owned();
    // The kernel's own limit of links in a row (path_resolution(7)).
    for _ in 0..40 {
        match std::fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.file_type().is_symlink() => {
                if metadata.uid() != rustix::process::geteuid().as_raw() {
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
    let source = io::Error::from_raw_os_error(libc::ELOOP);
    Err(WriteError::Io {
        path: path.to_owned(),
        source,
    })
}

/// A number that no other temporary file of this machine has.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64);
    time ^ (u64::from(std::process::id()) << 40) ^ COUNT.fetch_add(1, Ordering::Relaxed)
}
