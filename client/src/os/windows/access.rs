//! Who else may read or write a file, and how that is ended. The daemon looks at the lists of rights of what it
//! uses, and says so; what is left here is whose a file is.

use std::fs::File;
use std::path::Path;

/// What is wrong, and what ends it.
type Trouble = (String, String);

/// A directory that others may enter.
pub(crate) fn open_to_others(_directory: &Path) -> Option<Trouble> {
    None
}

/// A directory that others may write.
pub(crate) fn open_to_writers(_directory: &Path) -> Option<Trouble> {
    None
}

/// A file that others may read.
pub(crate) fn open_to_readers(_file: &File, _path: &Path) -> Option<Trouble> {
    None
}

/// A file of somebody else.
pub(crate) fn of_another(file: &File, path: &Path) -> Option<Trouble> {
    let own = hfd_proto::os::is_own_file(file).unwrap_or(true);
    let shown = path.display();
    (!own).then(|| {
        (
            format!("{shown} belongs to another user"),
            format!("takeown /f {shown}"),
        )
    })
}

/// A file that has another name elsewhere.
pub(crate) fn hard_links(_file: &File, _path: &Path) -> Option<Trouble> {
    None
}

/// A link that somebody else has put there.
pub(crate) fn link_of_another(_path: &Path) -> Option<Trouble> {
    None
}
