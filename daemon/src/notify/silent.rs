//! launchd and the logon of Windows: they start the daemon, and want to be told nothing.

use std::ffi::OsString;
use std::io;
use std::path::Path;

/// The service manager that runs this process.
#[derive(Debug)]
pub struct Manager;

impl Manager {
    /// Whoever says `--service` is believed: neither leaves a sign that could be looked for.
    pub fn find(_env: impl Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        Ok(Self)
    }

    /// Whether `hfd service install` has put an agent where launchd looks. On Windows this makes no
    /// difference: where it is installed, hfd starts none but the service.
    pub fn is_installed(env: impl Fn(&str) -> Option<OsString>) -> bool {
        let agent = "Library/LaunchAgents/co.huggingface.hfd.plist";
        cfg!(target_os = "macos")
            && env("HOME").is_some_and(|home| Path::new(&home).join(agent).is_file())
    }

    /// What `status` calls it.
    pub fn name(&self) -> &'static str {
        match cfg!(target_os = "macos") {
            true => "launchd",
            false => "logon",
        }
    }

    /// Whether what is written to stderr is kept.
    pub fn keeps_stderr(&self) -> bool {
        false
    }

    /// Nobody listens.
    pub fn tell(&self, _what: &str) -> io::Result<()> {
        Ok(())
    }
}
