//! The file that a program reads its token from.
//!
//! `live/PID-RANDOM/token` below the runtime directory. Each directory is locked (flock(2)) by the
//! process that keeps it: what nobody holds is a leftover of one that was killed, also where its
//! process id belongs to somebody else by now, or to another container.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hfd_proto::os::{Own, make_own_dir, open_own};
use hfd_proto::{Error, Kind, Place, Secret, private_dir};

use crate::os;

/// What is in a directory: the file, and what is about to take its place.
const FILES: [&str; 2] = ["token", "token.new"];

/// A directory of its own with a token in it, removed when this is dropped.
#[derive(Debug)]
pub(super) struct LiveFile {
    directory: PathBuf,
    /// Locked for as long as the directory is used.
    claim: Option<File>,
    held: Option<Secret>,
}

impl LiveFile {
    /// Makes the directory, still empty, in the first place that is ours alone.
    pub(super) fn new(place: &Place) -> Result<Self, Error> {
        let mut refusal = Error::new(Kind::Other, "there is no directory for a live token");
        for live in place.live_dirs() {
            match Self::within(&live) {
                Ok(file) => return Ok(file),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn within(live: &Path) -> Result<Self, Error> {
        if let Some(parent) = live.parent() {
            private_dir(parent)?;
        }
        // Held while one is made or removed: a new directory is not locked at once.
        private_dir(live)?;
        let made = os::claim_of(live).and_then(|turn| {
            turn.lock()?;
            remove_leftovers(live)?;
            Self::make(live)
        });
        made.map_err(|error| {
            let live = live.display();
            Error::new(Kind::Other, format!("cannot use {live}: {error}"))
        })
    }

    fn make(live: &Path) -> io::Result<Self> {
        // Only so that no two meet: nobody else can enter what lies above.
        let random = RandomState::new().build_hasher().finish();
        let directory = live.join(format!("{}-{random:016x}", std::process::id()));
        make_own_dir(&directory)?;
        let claim = os::claim_of(&directory)?;
        claim.lock()?;
        Ok(Self {
            directory,
            claim: Some(claim),
            held: None,
        })
    }

    /// The path of the file.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(FILES[0])
    }

    /// Has the file hold this value, or be absent. A reader sees the one before or this one.
    pub(super) fn hold(&mut self, value: Option<&Secret>) -> io::Result<()> {
        if self.held.as_ref() == value {
            return Ok(());
        }
        match value {
            Some(value) => self.replace(value)?,
            None => match os::remove(&self.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
        self.held = value.cloned();
        Ok(())
    }

    fn replace(&self, value: &Secret) -> io::Result<()> {
        let new = self.directory.join(FILES[1]);
        let written = open_own(&new, Own::Emptied)
            .and_then(|mut file| file.write_all(value.expose().as_bytes()));
        // No flush to the disk: what a crash leaves of it is a leftover whatever it holds.
        written.and_then(|()| os::replace(&new, &self.path()))
    }
}

impl Drop for LiveFile {
    fn drop(&mut self) {
        // Windows removes nothing that is open.
        drop(self.claim.take());
        // What cannot be removed now is a leftover, and removed by the next.
        let _ = os::remove_dir(&self.directory, &FILES);
    }
}

/// Removes the directories that no living process holds.
fn remove_leftovers(live: &Path) -> io::Result<()> {
    for entry in fs::read_dir(live)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let claim = match os::claim_of(&entry.path()) {
            Ok(claim) => claim,
            // It has just ended by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let is_held = claim.try_lock().is_err();
        drop(claim);
        if !is_held {
            match os::remove_dir(&entry.path(), &FILES) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    #[test]
    fn it_follows_the_value() {
        let temp = tempfile::tempdir().unwrap();
        let mut file = LiveFile::within(&temp.path().join("hfd/live")).unwrap();
        let path = file.path();
        assert!(!path.exists());
        file.hold(Some(&secret("hf_first"))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "hf_first");
        file.hold(Some(&secret("hf_second"))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "hf_second");
        file.hold(None).unwrap();
        file.hold(None).unwrap();
        assert!(!path.exists());
        file.hold(Some(&secret("hf_second"))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "hf_second");
        drop(file);
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn leftovers_go_and_living_ones_stay() {
        let temp = tempfile::tempdir().unwrap();
        let live = temp.path().join("hfd/live");
        let living = LiveFile::within(&live).unwrap();
        // Our own process id says nothing: nobody holds this one.
        let leftover = live.join(format!("{}-0", std::process::id()));
        fs::create_dir(&leftover).unwrap();
        fs::write(leftover.join("token"), "hf_left").unwrap();
        let other = LiveFile::within(&live).unwrap();
        assert!(!leftover.exists());
        assert!(living.directory.exists() && other.directory.exists());
    }

    /// On Windows a file that is open is replaced when it is closed.
    #[test]
    #[cfg(unix)]
    fn a_reader_sees_the_value_before_or_the_new_one() {
        let temp = tempfile::tempdir().unwrap();
        let mut file = LiveFile::within(&temp.path().join("hfd/live")).unwrap();
        file.hold(Some(&secret("hf_first"))).unwrap();
        let open = File::open(file.path()).unwrap();
        file.hold(Some(&secret("hf_second"))).unwrap();
        assert_eq!(io::read_to_string(open).unwrap(), "hf_first");
    }

    #[test]
    #[cfg(unix)]
    fn it_is_private() {
        use std::os::unix::fs::PermissionsExt as _;

        let temp = tempfile::tempdir().unwrap();
        let mut file = LiveFile::within(&temp.path().join("hfd/live")).unwrap();
        file.hold(Some(&secret("hf_first"))).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file.path()), 0o600);
        assert_eq!(mode(file.path().parent().unwrap()), 0o700);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_directory_that_others_can_enter_is_passed_over() {
        use std::os::unix::fs::PermissionsExt as _;

        let temp = tempfile::tempdir().unwrap();
        let (run, state) = (temp.path().join("run"), temp.path().join("state"));
        fs::create_dir_all(run.join("hfd")).unwrap();
        fs::set_permissions(run.join("hfd"), fs::Permissions::from_mode(0o755)).unwrap();
        let place = Place::new(|name| match name {
            "XDG_RUNTIME_DIR" => Some(run.clone().into()),
            "XDG_STATE_HOME" => Some(state.clone().into()),
            _ => None,
        });
        let file = LiveFile::new(&place.unwrap()).unwrap();
        assert!(!file.path().starts_with(&run), "{:?}", file.path());
    }
}
