//! Unix.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use interprocess::local_socket::ListenerOptions;

use super::Desk;

/// What is bound here is ours as it is.
pub(super) fn ours(options: ListenerOptions<'_>) -> ListenerOptions<'_> {
    options
}

/// Puts a program into a directory.
pub(super) fn put_beside(program: &Path, directory: &Path) {
    let copy = directory.join(program.file_name().unwrap());
    fs::hard_link(program, &copy)
        .or_else(|_| fs::copy(program, &copy).map(|_| ()))
        .unwrap();
}

/// The variables that say where everything is.
pub(super) fn variables(desk: &Desk) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("HOME", desk.path("home")),
        ("XDG_RUNTIME_DIR", desk.path("run")),
    ]
}

pub(super) fn socket(desk: &Desk) -> PathBuf {
    desk.path("run/hfd/hfdd.sock")
}

/// Makes the directory of a socket.
pub(super) fn make_room(socket: &Path) {
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
}

pub(super) fn remove(socket: &Path) {
    fs::remove_file(socket).unwrap();
}

/// Any program, found as the client would find it.
pub(super) fn command(_desk: &Desk, program: &str) -> Command {
    let mut command = Command::new("env");
    command.arg(program);
    command
}

pub(super) fn search_path(desk: &Desk) -> String {
    format!("{}:/usr/bin:/bin", desk.path("bin").display())
}

impl Desk {
    /// Puts an `hfdd` beside `hfd`: a script that first notes that it was started.
    pub(crate) fn install_hfdd(&self, script: &str) {
        let starts = self.path("starts");
        let text = format!("#!/bin/sh\necho \"$*\" >> {}\n{script}\n", starts.display());
        let path = self.path("bin/hfdd");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
