//! The operating system, as far as client and daemon see the same of it: who the person is, where
//! their things lie, the stream that a connection is made of.
//!
//! Each system has a module with the same names. What is said of a name here or in one of them holds
//! for all, and whoever calls has no `cfg`.

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

/// What becomes of a file of a person's own that is there already when it is opened to be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// An error: the file is new.
    New,
    /// It is emptied.
    Emptied,
    /// It stays as it is.
    Kept,
    /// It stays, and what is written comes behind it.
    Appended,
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::path::PathBuf;
    use std::time::Duration;

    use interprocess::local_socket::prelude::*;
    use interprocess::local_socket::{GenericFilePath, Listener, ListenerOptions};

    use super::*;

    fn listener() -> (Listener, PathBuf, tempfile::TempDir) {
        let temp = tempfile::tempdir().unwrap();
        let path = match cfg!(windows) {
            true => PathBuf::from(r"\\.\pipe").join(temp.path().file_name().unwrap()),
            false => temp.path().join("socket"),
        };
        let name = path.as_path().to_fs_name::<GenericFilePath>().unwrap();
        let listener = ours(ListenerOptions::new().name(name));
        let listener = listener.create_sync().unwrap();
        (listener, path, temp)
    }

    #[test]
    fn a_connection_carries_both_ways_and_ends_with_the_server() {
        let (listener, path, _temp) = listener();
        let server = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap();
            assert!(is_own_peer(&stream.peer_creds().unwrap()));
            let mut asked = [0; 4];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(&asked).unwrap();
        });
        let mut stream = Stream::connect(&path).unwrap();
        assert!(stream.is_own());
        stream.set_patience(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(b"ping").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"ping");
        server.join().unwrap();
    }

    #[test]
    fn patience_ends_and_takes_nothing_with_it() {
        let (listener, path, _temp) = listener();
        let mut stream = Stream::connect(&path).unwrap();
        let mut server = listener.accept().unwrap();
        stream
            .set_patience(Some(Duration::from_millis(20)))
            .unwrap();
        let mut byte = [0];
        let silence = stream.read(&mut byte).unwrap_err().kind();
        assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&silence));
        server.write_all(b"x").unwrap();
        stream.set_patience(None).unwrap();
        assert_eq!(stream.read(&mut byte).unwrap(), 1);
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn a_reader_that_does_not_read_ends_the_patience_of_a_writer() {
        let (listener, path, _temp) = listener();
        let mut stream = Stream::connect(&path).unwrap();
        let _server = listener.accept().unwrap();
        stream
            .set_patience(Some(Duration::from_millis(20)))
            .unwrap();
        let refused = stream.write_all(&vec![0; 1 << 24]).unwrap_err().kind();
        assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&refused));
    }

    #[test]
    fn where_nobody_listens_nothing_is_found() {
        let (listener, path, _temp) = listener();
        drop(listener);
        assert_eq!(
            Stream::connect(&path).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }

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
    fn a_file_of_our_own_is_new_emptied_kept_or_appended_to() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        let write = |how, text: &str| open_own(&path, how).unwrap().write_all(text.as_bytes());
        for (how, text, content) in [
            (Own::New, "one", "one"),
            (Own::Appended, " two", "one two"),
            (Own::Kept, "1", "1ne two"),
            (Own::Emptied, "3", "3"),
        ] {
            write(how, text).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "{how:?}");
        }
        let mut read = String::new();
        let mut file = open_own(&path, Own::Appended).unwrap();
        file.read_to_string(&mut read).unwrap();
        assert_eq!(read, "3");
        assert_eq!(
            open_own(&path, Own::New).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        for how in [Own::Emptied, Own::Kept, Own::Appended] {
            std::fs::remove_file(&path).unwrap();
            open_own(&path, how).unwrap();
            let below = path.join("below");
            assert!(open_own(&below, how).is_err());
        }
        assert_eq!(
            open_own(&temp.path().join("none").join("file"), Own::New)
                .unwrap_err()
                .kind(),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn directories_of_our_own_are_made_once_and_with_those_above() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a").join("b").join("c");
        assert_eq!(make_own_dir(&path).unwrap_err().kind(), ErrorKind::NotFound);
        make_own_dirs(&path).unwrap();
        assert!(path.is_dir());
        make_own_dirs(&path).unwrap();
        let again = make_own_dir(&path).unwrap_err().kind();
        assert_eq!(again, ErrorKind::AlreadyExists);
        let file = path.join("file");
        File::create(&file).unwrap();
        make_own_dirs(&file).unwrap_err();
    }

    #[test]
    fn a_file_is_the_same_under_another_name_and_not_another_under_its_own() {
        let temp = tempfile::tempdir().unwrap();
        let (one, two) = (temp.path().join("one"), temp.path().join("two"));
        let file = open_own(&one, Own::New).unwrap();
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
