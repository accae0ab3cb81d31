//! A log file that cannot grow without end.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hfd_proto::os::{Own, is_own_file, open_own};
use hfd_proto::{Error, Kind, escape};

use crate::os;

/// Where a new file is begun. Two of them hold weeks of ordinary life.
const MAX_SIZE: u64 = 1024 * 1024;

/// An append-only file of at most 1 MiB, with its predecessor beside it under `.1`.
#[derive(Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Rotated {
    /// Opens or makes the file, readable by its owner alone.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (file, size) = open(path).map_err(|error| {
            let path = escape(&path.display().to_string());
            Error::new(Kind::Other, format!("cannot open the log {path}: {error}"))
                .hint("move it away, or run `hfdd` in the foreground, which logs to standard error")
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
        })
    }

    /// Appends one whole line, in a new file where this one is full.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + line.len() as u64 > MAX_SIZE {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.size += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let mut older = self.path.clone().into_os_string();
        older.push(".1");
        match std::fs::rename(&self.path, older) {
            // Someone tidied up: the new file is made all the same.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        (self.file, self.size) = open(&self.path)?;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = open_own(path, Own::Appended)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || !is_own_file(&file)? {
        return Err(io::Error::other("it is not a regular file of yours"));
    }
    os::close_to_others(&file)?;
    Ok((file, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_becomes_the_older_one() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("hfdd.log");
        let older = temp.path().join("hfdd.log.1");
        let line = [b'x'; 1000];
        let mut log = Rotated::open(&path).unwrap();
        for _ in 0..3000 {
            log.append(&line).unwrap();
        }
        let sizes = [&path, &older].map(|path| path.metadata().unwrap().len());
        assert!(sizes.iter().all(|&size| size <= MAX_SIZE), "{sizes:?}");
        assert_eq!(sizes[1], MAX_SIZE / 1000 * 1000);
        assert_eq!(temp.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn a_restart_goes_on_in_the_same_file() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("hfdd.log");
        std::fs::write(&path, "old\n").unwrap();
        Rotated::open(&path).unwrap().append(b"new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\nnew\n");
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let temp = tempfile::tempdir().unwrap();
        refused(&temp.path().join("none/hfdd.log"));
    }

    fn refused(path: &Path) {
        let error = Rotated::open(path).unwrap_err();
        assert!(error.message.contains("cannot open the log"), "{error}");
    }

    #[cfg(unix)] // modes, links and FIFOs are Unix's
    #[test]
    fn both_files_are_private_and_neither_a_link_nor_a_fifo() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("hfdd.log");
        std::fs::write(&path, [b'x'; MAX_SIZE as usize]).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        Rotated::open(&path).unwrap().append(b"new\n").unwrap();
        for path in [&path, &temp.path().join("hfdd.log.1")] {
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        }
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let fifo = temp.path().join("fifo");
        // rustix has no call for it on macOS.
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        for path in [link, fifo] {
            refused(&path);
        }
    }
}
