//! Who else may read or write a file, and how that is ended.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::doctor::word;

/// What is wrong, and what ends it.
type Trouble = (String, String);

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A directory that others may enter.
pub(crate) fn open_to_others(directory: &Path) -> Option<Trouble> {
    let mode = fs::metadata(directory).ok()?.mode();
    let shown = directory.display();
    (mode & 0o077 != 0).then(|| {
        (
            format!("{shown} is open to other users"),
            format!("chmod 700 {}", word(&shown)),
        )
    })
}

/// A directory that others may write.
pub(crate) fn open_to_writers(directory: &Path) -> Option<Trouble> {
    let mode = fs::metadata(directory).ok()?.mode();
    let shown = directory.display();
    (mode & 0o022 != 0).then(|| {
        (
            format!("{shown} can be written by other users, so nothing in it is believed"),
            format!("chmod go-w {}", word(&shown)),
        )
    })
}

/// A file that others may read.
pub(crate) fn open_to_readers(file: &File, path: &Path) -> Option<Trouble> {
    let mode = file.metadata().ok()?.mode();
    let shown = path.display();
    (mode & 0o077 != 0).then(|| {
        (
            format!("{shown} can be read by other users"),
            format!("chmod 600 {}", word(&shown)),
        )
    })
}

/// A file of somebody else.
pub(crate) fn of_another(file: &File, path: &Path) -> Option<Trouble> {
    let shown = path.display();
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    (file.metadata().ok()?.uid() != me()).then(|| match is_link {
        // To take possession of what it leads to is no mend.
        true => (
            format!("{shown} leads to a file of another user, which is not believed"),
            format!("rm {}", word(&shown)),
        ),
        false => (
            format!("{shown} belongs to another user"),
            format!("sudo chown \"$USER\" {}", word(&shown)),
        ),
    })
}

/// A file that has another name elsewhere.
pub(crate) fn hard_links(file: &File, path: &Path) -> Option<Trouble> {
    let shown = path.display();
    (file.metadata().ok()?.nlink() > 1).then(|| {
        (
            format!("{shown} has another name elsewhere, under which others may change it"),
            format!(
                "cp -p {0} {1} && mv {1} {0}",
                word(&shown),
                word(format!("{shown}.own"))
            ),
        )
    })
}

/// A link that somebody else has put there.
pub(crate) fn link_of_another(path: &Path) -> Option<Trouble> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let shown = path.display();
    (metadata.is_symlink() && metadata.uid() != me()).then(|| {
        (
            format!("{shown} is a link of another user, which is not followed"),
            format!("rm {}", word(&shown)),
        )
    })
}
