//! The operating system, as far as client and daemon see the same of it: who the person is, where
//! their things lie, the stream that a connection is made of.
//!
//! Each system has a module with the same names. What is said of a name here or in one of them holds
//! for all, and whoever calls has no `cfg`.

use std::fs::OpenOptions;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

/// Which file an open file is, whatever path leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The file system it is on.
    pub volume: u64,
    /// Its number there.
    pub file: u64,
}

/// How files of a person's own are opened.
pub trait OpenOwn {
    /// What is made is this person's alone; a link in the place of the file is not followed: on Unix
    /// that is an error, on Windows the link itself is opened, which is no regular file.
    fn own(&mut self) -> &mut Self;

    /// Something that is no file does not make us wait (a FIFO, for its writer).
    fn without_waiting(&mut self) -> &mut Self;
}

impl OpenOwn for OpenOptions {
    fn own(&mut self) -> &mut Self {
        open_own(self)
    }

    fn without_waiting(&mut self) -> &mut Self {
        open_without_waiting(self)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_directory_of_our_own_is_made_and_known_again() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a").join("b");
        let made = private_dir(&path).unwrap();
        assert!(is_own_file(&made).unwrap());
        assert_eq!(identity(&made).unwrap(), identity_at(&path).unwrap());
        private_dir(&path).unwrap();
    }

    #[test]
    fn a_file_in_place_of_a_directory_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        File::create(&path).unwrap();
        private_dir(&path).unwrap_err();
    }

    #[test]
    fn a_file_is_the_same_under_another_name_and_not_another_under_its_own() {
        let temp = tempfile::tempdir().unwrap();
        let (one, two) = (temp.path().join("one"), temp.path().join("two"));
        let file = OpenOptions::new()
            .own()
            .write(true)
            .create_new(true)
            .open(&one);
        let file = file.unwrap();
        let before = identity(&file).unwrap();
        std::fs::rename(&one, &two).unwrap();
        assert_eq!(identity_at(&two).unwrap(), before);
        let other = File::create(&one).unwrap();
        assert_ne!(identity(&other).unwrap(), before);
        assert!(is_own_file(&file).unwrap());
    }

    #[test]
    fn a_process_is_known_by_the_name_of_its_program() {
        let own = std::env::current_exe().unwrap();
        let own = own.file_stem().unwrap().to_str().unwrap();
        let name = process_name(std::process::id()).unwrap();
        // Linux keeps its first 15 bytes.
        assert!(
            own.starts_with(&name) && name.len() >= own.len().min(15),
            "{name}"
        );
        assert_eq!(process_name(u32::MAX), None);
    }
}
