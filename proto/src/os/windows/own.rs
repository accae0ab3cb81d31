//! Files and directories that are a person's alone from their first moment, as modes make them on Unix.
//!
//! The rules are given to the call that makes the file. `std` has no place for them, and to set them afterwards would
//! be too late, even before anything is written: whoever has opened the empty file by what it inherited
//! keeps it open, and reads what comes.

use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{FromRawHandle as _, OwnedHandle};
use std::path::{Component, Path, Prefix};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_FLAG_OPEN_REPARSE_POINT, FILE_GENERIC_WRITE,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_DATA, OPEN_ALWAYS,
};

use super::super::Own;
use super::{own_sid, wide};

/// Shorter paths are used as they are, also by `std`: 260 characters, less a name of twelve.
const SHORT: usize = 248;

/// Who may do what with a file, as the system has it.
struct Rules(PSECURITY_DESCRIPTOR);

impl Rules {
    /// This person, the system and the administrators may do everything, and nobody else anything; nothing is
    /// inherited. By its SID and not as the owner, who would be the administrators where a program was
    /// started with raised rights. For a directory, `inherit` hands that on to what others make there.
    fn own(inherit: &str) -> io::Result<Self> {
        Self::new(&rules(own_sid(), inherit))
    }

    /// From the language of security descriptors (SDDL).
    fn new(text: &str) -> io::Result<Self> {
        let text = wide(text.as_ref());
        let mut descriptor = null_mut();
        // SAFETY: the text ends in NUL and outlives the call, and `descriptor` takes what is allocated for us.
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                null_mut(),
            )
        };
        match made {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(Self(descriptor)),
        }
    }

    /// As the calls that make files take them, for as long as these rules live. Children do not get the handle.
    fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        // SAFETY: it was allocated for us, and is not used afterwards.
        unsafe { LocalFree(self.0) };
    }
}

fn rules(sid: &str, inherit: &str) -> String {
    format!("D:P(A;{inherit};FA;;;{sid})(A;{inherit};FA;;;SY)(A;{inherit};FA;;;BA)")
}

/// Opens a file of this person's own to be read and written, and makes it where there is none. One that was there
/// keeps its rules.
///
/// # Errors
/// Those of opening a file.
pub fn open_own(path: &Path, how: Own) -> io::Result<File> {
    let (access, disposition) = match how {
        Own::New => (GENERIC_READ | GENERIC_WRITE, CREATE_NEW),
        Own::Emptied | Own::Kept => (GENERIC_READ | GENERIC_WRITE, OPEN_ALWAYS),
        // Whoever may append and not write has each write done at the end.
        Own::Appended => (
            GENERIC_READ | FILE_GENERIC_WRITE & !FILE_WRITE_DATA,
            OPEN_ALWAYS,
        ),
    };
    let path = wide_path(path)?;
    let rules = Rules::own("")?;
    // SAFETY: the path ends in NUL; path, attributes and rules outlive the call.
    let file = unsafe {
        CreateFileW(
            path.as_ptr(),
            access,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            &rules.attributes(),
            disposition,
            FILE_FLAG_OPEN_REPARSE_POINT,
            null_mut(),
        )
    };
    if file == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was opened for us, and nobody else has it.
    let file = File::from(unsafe { OwnedHandle::from_raw_handle(file) });
    if how == Own::Emptied {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Makes a directory that is this person's alone; so is what others make in it.
///
/// # Errors
/// Already exists where anything is there; not found where what is above is missing.
pub fn make_own_dir(path: &Path) -> io::Result<()> {
    let path = wide_path(path)?;
    let rules = Rules::own("OICI")?;
    // SAFETY: the path ends in NUL; path, attributes and rules outlive the call.
    match unsafe { CreateDirectoryW(path.as_ptr(), &rules.attributes()) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Makes a directory that is this person's alone, and those above it, as far as they are missing.
///
/// # Errors
/// Those of making directories.
pub fn make_own_dirs(path: &Path) -> io::Result<()> {
    let made = match (make_own_dir(path), path.parent()) {
        (Err(error), Some(above)) if error.kind() == io::ErrorKind::NotFound => {
            make_own_dirs(above).and_then(|()| make_own_dir(path))
        }
        (made, _) => made,
    };
    match made {
        // Also where it cannot be made because it is a drive, or another has just made it.
        Err(_) if path.is_dir() => Ok(()),
        made => made,
    }
}

/// A path as the Windows API wants it. What is too long for the API's old rules is told in the form that has none.
fn wide_path(path: &Path) -> io::Result<Vec<u16>> {
    let mut text: Vec<u16> = path.as_os_str().encode_wide().collect();
    if text.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if text.len() >= SHORT {
        let whole = std::path::absolute(path)?;
        if let Some(Component::Prefix(prefix)) = whole.components().next()
            && let Prefix::Disk(_) = prefix.kind()
        {
            text = r"\\?\"
                .encode_utf16()
                .chain(whole.as_os_str().encode_wide())
                .collect();
        }
    }
    text.push(0);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::windows::fs::OpenOptionsExt as _;

    use windows_sys::Win32::Security::{DACL_SECURITY_INFORMATION, SetFileSecurityW};
    use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_BACKUP_SEMANTICS;

    use super::super::{is_open_to_others, is_open_to_writers, private_dir};
    use super::*;
    use crate::error::Kind;

    /// Gives what is at the path these rules.
    fn allow(path: &Path, text: &str) {
        let rules = Rules::new(text).unwrap();
        let path = wide(path.as_os_str());
        // SAFETY: the path ends in NUL; path and rules outlive the call.
        let set = unsafe { SetFileSecurityW(path.as_ptr(), DACL_SECURITY_INFORMATION, rules.0) };
        assert_ne!(set, 0, "{}", io::Error::last_os_error());
    }

    fn look(path: &Path) -> File {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            .open(path)
            .unwrap()
    }

    #[test]
    fn the_rules_name_the_person_the_system_and_administrators_and_inherit_nothing() {
        assert_eq!(
            rules("S-1-5-21-1", "OICI"),
            "D:P(A;OICI;FA;;;S-1-5-21-1)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
        );
        Rules::own("").unwrap();
        Rules::own("OICI").unwrap();
    }

    #[test]
    fn without_a_sid_nothing_is_made() {
        assert!(Rules::new(&rules("unknown", "")).is_err());
    }

    #[test]
    fn what_is_made_is_open_to_nobody_else_where_a_file_of_anyone_is() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("dir");
        make_own_dirs(&path).unwrap();
        assert!(!is_open_to_others(&look(&path)).unwrap());
        for (how, name) in [
            (Own::New, "new"),
            (Own::Emptied, "emptied"),
            (Own::Kept, "kept"),
            (Own::Appended, "appended"),
        ] {
            // Beside the directory: not because of it.
            let path = temp.path().join(name);
            let file = open_own(&path, how).unwrap();
            assert!(!is_open_to_others(&file).unwrap(), "{name}");
        }
        let other = temp.path().join("other");
        std::fs::write(&other, "").unwrap();
        assert!(is_open_to_others(&look(&other)).unwrap());
    }

    #[test]
    fn a_file_that_was_there_keeps_its_rules() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        std::fs::write(&path, "").unwrap();
        let own = own_sid();
        allow(&path, &format!("D:P(A;;FA;;;{own})(A;;FR;;;WD)"));
        for how in [Own::Emptied, Own::Kept, Own::Appended] {
            let file = open_own(&path, how).unwrap();
            assert!(is_open_to_others(&file).unwrap());
            assert!(!is_open_to_writers(&file).unwrap());
        }
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused_until_they_may_not() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("hfd");
        private_dir(&path).unwrap();
        let own = own_sid();
        allow(&path, &format!("D:P(A;OICI;FA;;;{own})(A;OICI;FA;;;WD)"));
        let error = private_dir(&path).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.hint.unwrap().contains("icacls"));
        // Others may see what is there.
        allow(&path, &format!("D:P(A;OICI;FA;;;{own})(A;OICI;FR;;;WD)"));
        private_dir(&path).unwrap();
    }

    #[test]
    fn a_path_that_is_too_long_for_the_old_rules_is_made_all_the_same() {
        let temp = tempfile::tempdir().unwrap();
        let path = ["a", "b", "c"]
            .iter()
            .fold(temp.path().to_owned(), |path, name| {
                path.join(name.repeat(100))
            });
        make_own_dirs(&path).unwrap();
        assert!(path.is_dir());
        open_own(&path.join("file"), Own::New).unwrap();
        assert!(path.join("file").is_file());
        let nul = temp.path().join("a\0b");
        let refused = open_own(&nul, Own::New).unwrap_err().kind();
        assert_eq!(refused, io::ErrorKind::InvalidInput);
    }
}
