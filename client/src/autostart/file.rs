//! A file that defines a service.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hfd_proto::{Error, Kind};

use crate::os;

/// Writes it, whole or not at all.
pub(super) fn write(path: &Path, content: &str) -> Result<(), Error> {
    write_file(path, content).map_err(|error| cannot("write", path, &error))
}

fn write_file(path: &Path, content: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = dir.join(format!(".{name}.{}", std::process::id()));
    let written = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            os::flush(&file)
        })
        .and_then(|()| os::replace(&temporary, path));
    if written.is_err() {
        // What could not be made whole is of no use; the error that counts is the first.
        let _ = os::remove(&temporary);
    }
    written?;
    os::flush(&File::open(dir)?)
}

/// What it says; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read(path) {
        Ok(content) => Ok(Some(String::from_utf8_lossy(&content).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", path, &error)),
    }
}

/// Removes it.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match os::remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(cannot("remove", path, &error))
        }
        _ => Ok(()),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    let path = path.display();
    Error::new(Kind::Other, format!("cannot {what} {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("systemd/user/hfd.service");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(write(&path, "three").unwrap_err().kind, Kind::Other);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
