//! Modes, links and what the kernel can be made to do.

mod between;
mod faults;
mod race;

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};

use hfd_core::observe::Stored;
use rustix::fs::RenameFlags;

use super::super::super::lease::{self, Kind, Refused};
use super::*;

fn rename(from: &Path, to: &Path, flags: RenameFlags) -> rustix::io::Result<()> {
    (Kernel::REAL.rename)(from, to, flags)
}

#[test]
fn what_is_made_is_ours_alone() {
    let place = Place::full();
    let mode = |name| place.path(name).metadata().unwrap().mode() & 0o777;
    place.write(&both(TWO, "hf_two"), &place.look()).unwrap();
    assert_eq!((mode("stored_tokens"), mode("token")), (0o600, 0o600));
    let home = Home {
        token_path: place.path("a/b/token"),
    };
    let seen = observe(&home).unwrap();
    write(&home, &both(ONE, "hf_one"), &seen, late()).unwrap();
    assert_eq!((mode("a/b"), mode("a/b/token")), (0o700, 0o600));
}

#[test]
fn links_are_kept_and_followed() {
    let place = Place::full();
    std::fs::create_dir(place.path("dotfiles")).unwrap();
    std::fs::rename(place.path("token"), place.path("dotfiles/t")).unwrap();
    symlink("dotfiles/t", place.path("token")).unwrap();
    place.write(&token("hf_two"), &place.look()).unwrap();
    assert!(place.path("token").is_symlink());
    assert_eq!(place.get("dotfiles/t").as_deref(), Some("hf_two"));
    // The secret is what goes, not the link to it.
    place.write(&no_token(), &place.look()).unwrap();
    assert!(place.path("token").is_symlink());
    assert_eq!(place.get("dotfiles/t"), None);
    place.write(&token("hf_new"), &place.look()).unwrap();
    assert_eq!(place.get("dotfiles/t").as_deref(), Some("hf_new"));
}

#[test]
fn a_group_stays_let_in_and_is_told_of() {
    let place = Place::full();
    std::fs::set_permissions(place.path("token"), Permissions::from_mode(0o644)).unwrap();
    let written = place.write(&token("hf_two"), &place.look()).unwrap();
    assert!(written.shared_with_group);
    let mode = place.path("token").metadata().unwrap().mode();
    assert_eq!(mode & 0o777, 0o640);
}
