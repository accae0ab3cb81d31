//! Windows. Names of pipes are the whole machine's, so that each desk has one of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use interprocess::local_socket::ListenerOptions;
use interprocess::os::windows::local_socket::ListenerOptionsExt as _;
use interprocess::os::windows::security_descriptor::SecurityDescriptor;
use widestring::U16CString;

use super::Desk;

/// Whoever makes a pipe may be more than a person (an administrator): it is to be the person's.
pub(super) fn ours(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
    let sid = hfd_proto::os::own_sid();
    let rules = U16CString::from_str(format!("O:{sid}D:P(A;;GA;;;{sid})")).unwrap();
    options.security_descriptor(SecurityDescriptor::deserialize(&rules).unwrap())
}

/// Puts a program into a directory, and what lies beside it for it to load.
pub(super) fn put_beside(program: &Path, directory: &Path) {
    let beside = program.parent().unwrap().read_dir().unwrap();
    let libraries = beside.map(|entry| entry.unwrap().path());
    let libraries = libraries.filter(|path| path.extension().is_some_and(|it| it == "dll"));
    for file in libraries.chain([program.to_owned()]) {
        fs::copy(&file, directory.join(file.file_name().unwrap())).unwrap();
    }
}

/// The variables that say where everything is.
pub(super) fn variables(desk: &Desk) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("USERPROFILE", desk.path("home")),
        ("LOCALAPPDATA", desk.path("home").join("local")),
        ("HFD_SOCKET", socket(desk)),
        // Nothing is loaded without it.
        ("SystemRoot", std::env::var_os("SystemRoot").unwrap().into()),
    ]
}

pub(super) fn socket(desk: &Desk) -> PathBuf {
    let own = desk.path("");
    let own = own.components().next_back().unwrap();
    format!(r"\\.\pipe\hfd-test-{}", own.as_os_str().display()).into()
}

/// A pipe has no directory.
pub(super) fn make_room(_socket: &Path) {}

/// It goes with its server.
pub(super) fn remove(_socket: &Path) {}

/// `hfd`, which is the only program there.
pub(super) fn command(desk: &Desk, program: &str) -> Command {
    Command::new(desk.path("bin").join(program).with_extension("exe"))
}

pub(super) fn search_path(desk: &Desk) -> PathBuf {
    desk.path("bin")
}
