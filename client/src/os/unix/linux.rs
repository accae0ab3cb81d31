//! What only Linux has.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// What of the caller's environment the daemon may see: who and where the person is, how to reach
/// the session bus and its dialogs, and its own settings. `LC_*` comes with `LANG`.
pub(crate) const PASSED_ON: [&str; 19] = [
    "HOME",
    "USER",
    "LOGNAME",
    "PATH",
    "LANG",
    "TZ",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_SESSION_ID",
    "XDG_SESSION_TYPE",
    "XDG_CURRENT_DESKTOP",
    "HFD_SOCKET",
    "HFD_LOG",
];

/// The variables of which one is set where there is a screen; none where there always is.
pub(crate) const SCREEN: [&str; 2] = ["DISPLAY", "WAYLAND_DISPLAY"];

/// Keeps a token in memory out of core files and from debuggers. The kernel may refuse in a sandbox,
/// which takes away a precaution and nothing else.
pub(crate) fn harden() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// The program that opens a page of the web in the person's browser.
pub(super) const OPENER: &str = "xdg-open";

/// Tells which signals this process ignores.
pub(crate) fn ignored_signals() -> io::Result<impl Fn(i32) -> bool> {
    Ok(ignored(&std::fs::read_to_string("/proc/self/status")?))
}

/// Reads which signals are ignored (`SigIgn`, proc_pid_status(5)): a bit for each, from 1 on.
fn ignored(status: &str) -> impl Fn(i32) -> bool + use<> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default();
    move |signal| mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_known_by_its_bit() {
        let ignored = ignored("Name:\thfd\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n");
        assert!(ignored(1) && ignored(13));
        assert!(!ignored(2) && !ignored(15));
    }
}
