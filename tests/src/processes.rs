//! The processes of a sandbox: found, frozen, ended.
//!
//! A sandbox marks what it starts by a resource limit, which every descendant inherits, whatever
//! it does with its session, its parent, its environment or its being dumpable: the size of POSIX
//! message queues, which nothing here uses, set to a number of the sandbox's own.
//! `/proc/PID/limits` shows it to everybody.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

/// A running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its arguments, joined by spaces.
    pub command: String,
}

impl Process {
    /// The file name of its program, on Windows without its `.exe`.
    pub fn program(&self) -> &str {
        let program = self.command.split(' ').next().unwrap_or_default();
        let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
        name.strip_suffix(".exe").unwrap_or(name)
    }
}

/// The living processes that carry a mark; zombies are not living.
pub fn marked(mark: u32) -> Vec<Process> {
    let line = format!("Max msgqueue size         {mark} ");
    let entries = fs::read_dir("/proc").expect("/proc can be read");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        // A process may end at any moment of this; then it is not a living one.
        .filter(|pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/limits"))
                .is_ok_and(|limits| limits.contains(&line))
        })
        .filter(|pid| is_alive(*pid))
        .map(|pid| Process {
            pid,
            command: command_line(pid),
        })
        .collect()
}

/// Whether a process is there and has not ended.
pub fn is_alive(pid: u32) -> bool {
    // The state follows the name, which stands in parentheses and may hold anything.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit_once(") ").map(|(_, rest)| &rest[..1]);
        !matches!(state, Some("Z" | "X") | None)
    })
}

/// The arguments of a process, joined by spaces; empty when it has ended.
pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    text.trim_end().to_owned()
}

/// Stops a process until it is thawed; it keeps its locks, its connections and its names.
pub fn freeze(pid: u32) {
    signal(pid, Signal::STOP);
    eventually(&format!("process {pid} is frozen"), || {
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.contains(") T ") || stat.contains(") t "))
    });
}

/// Lets a frozen process go on.
pub fn thaw(pid: u32) {
    signal(pid, Signal::CONT);
}

/// Ends a process without letting it notice, and waits for its end.
pub fn kill9(pid: u32) {
    signal(pid, Signal::KILL);
    eventually(&format!("process {pid} has ended"), || !is_alive(pid));
}

/// Asks a process to end, and waits until it has.
pub fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
    eventually(&format!("process {pid} has ended"), || !is_alive(pid));
}

/// Sends a signal.
///
/// # Panics
/// When there is no such process, or it is not ours.
pub fn signal(pid: u32, signal: Signal) {
    let id = Pid::from_raw(pid as i32).expect("a process id is not zero");
    kill_process(id, signal).unwrap_or_else(|error| panic!("signalling process {pid}: {error}"));
}
