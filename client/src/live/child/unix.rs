//! A child in place of oneself: its signals, its stops and its end.
//!
//! The shell, or whoever started hfd, knows hfd's process and means the program. So what is sent
//! to hfd goes on to the program, hfd stops when that stops, and ends as that ends.

use std::fs::File;
use std::io;
use std::process::Child;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use signal_hook::consts::{
    SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2,
};

use crate::os;

/// What is passed on. SIGTTIN and SIGTTOU are left as they are: the terminal sends them to both,
/// and both stop. Batch systems warn a job by SIGUSR1 and SIGUSR2.
const PASSED_ON: [i32; 8] = [
    SIGINT, SIGQUIT, SIGTSTP, SIGTERM, SIGHUP, SIGCONT, SIGUSR1, SIGUSR2,
];

/// The signals of this process, caught until the child's end.
#[derive(Debug)]
pub(in crate::live) struct Signals {
    caught: signal_hook::iterator::Signals,
    /// The terminal that has job control over this process, if there is one.
    terminal: Option<File>,
}

impl Signals {
    /// Catches them from now on, so that none is lost until there is a child. What the caller has
    /// ignored (nohup(1)) stays ignored, for the child too.
    pub(in crate::live) fn catch() -> io::Result<Self> {
        let ignored = os::ignored_signals()?;
        let heard = PASSED_ON.into_iter().filter(|signal| !ignored(*signal));
        Ok(Self {
            caught: signal_hook::iterator::Signals::new(heard.chain([SIGCHLD]))?,
            terminal: File::open("/dev/tty").ok(),
        })
    }

    /// Passes signals on until the child ends; its exit status, or 128 and its signal.
    pub(in crate::live) fn until_end(mut self, child: &mut Child) -> io::Result<i32> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the child has no process id"))?;
        let terminal = self.terminal.as_ref();
        for signal in self.caught.forever() {
            if signal == SIGCHLD {
                if let Some(status) = look(pid, terminal.is_some())? {
                    return Ok(status);
                }
            } else if is_for_child(signal, terminal.is_some_and(is_foreground))
                && let Some(signal) = Signal::from_named_raw(signal)
            {
                // It is not waited for yet, so the id is its own. That it has ended, or has become
                // another user's, is no failure of ours.
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
        Err(io::Error::other("the signals have ended"))
    }
}

/// Looks what became of the child: its status if it has ended. Where there is job control, hfd
/// stops when the child has: the shell waits for hfd.
fn look(child: Pid, job_control: bool) -> io::Result<Option<i32>> {
    let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
    while let Some((_, status)) = rustix::process::waitpid(Some(child), options)? {
        if let Some(status) = exit_status(status) {
            return Ok(Some(status));
        }
        if job_control && status.stopped() {
            rustix::process::kill_process(rustix::process::getpid(), Signal::STOP)?;
        }
    }
    Ok(None)
}

/// The status as a shell has it; `None` while the process lives.
fn exit_status(status: WaitStatus) -> Option<i32> {
    let signalled = || Some(128 + status.terminating_signal()?);
    status.exit_status().or_else(signalled)
}

/// Whether the terminal's keys are for our process group, which the child is in.
fn is_foreground(terminal: &File) -> bool {
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Whether the child is to be sent this: not what the keys of the terminal have sent it already.
fn is_for_child(signal: i32, foreground: bool) -> bool {
    !foreground || ![SIGINT, SIGQUIT, SIGTSTP].contains(&signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_reach_the_child_by_themselves() {
        for (signal, foreground, passed_on) in [
            (SIGINT, true, false),
            (SIGINT, false, true),
            (SIGTSTP, true, false),
            (SIGTSTP, false, true),
            (SIGTERM, true, true),
            (SIGHUP, false, true),
            (SIGCONT, true, true),
        ] {
            assert_eq!(is_for_child(signal, foreground), passed_on, "{signal}");
        }
    }
}
