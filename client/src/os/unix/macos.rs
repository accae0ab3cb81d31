//! What macOS has of its own.

#![allow(unsafe_code, reason = "how a signal is handled is asked of libc alone")]

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What of the caller's environment the daemon may see: who and where the person is, and its own
/// settings. `LC_*` comes with `LANG`.
pub(crate) const PASSED_ON: [&str; 10] = [
    "HOME",
    "USER",
    "LOGNAME",
    "PATH",
    "LANG",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "HFD_SOCKET",
    "HFD_LOG",
];

/// The variables of which one is set where there is a screen; none where there always is.
pub(crate) const SCREEN: [&str; 0] = [];

/// Keeps a token in memory out of core files. A sandbox may refuse, which takes away a precaution and
/// nothing else.
pub(crate) fn harden() {
    let none = Rlimit {
        current: Some(0),
        maximum: getrlimit(Resource::Core).maximum,
    };
    let _ = setrlimit(Resource::Core, none);
}

/// The program that opens a page of the web in the person's browser.
pub(super) const OPENER: &str = "open";

/// Tells which signals this process ignores.
pub(crate) fn ignored_signals() -> io::Result<impl Fn(i32) -> bool> {
    Ok(|signal| {
        // SAFETY: a sigaction is made of numbers, pointers that may be null and a set of signals, for all
        // of which zero is a value; without a new one, the call only fills it in.
        let (answer, action) = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            (
                libc::sigaction(signal, std::ptr::null(), &mut action),
                action,
            )
        };
        answer == 0 && action.sa_sigaction == libc::SIG_IGN
    })
}
