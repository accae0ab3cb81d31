use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::command::{Outcome, Run};
use crate::eventually;
use crate::sandbox::Sandbox;

/// A terminal of a sandbox, with a person at it: tmux, which shows what a screen would.
#[derive(Debug)]
pub struct Terminal<'s> {
    sandbox: &'s Sandbox,
    socket: PathBuf,
}

impl<'s> Terminal<'s> {
    /// Runs a shell command in a new terminal. When it has ended, its exit status is shown.
    #[track_caller]
    pub fn run(sandbox: &'s Sandbox, command: &str) -> Self {
        // A server that ends is still there when the next one starts.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let terminal = Self {
            sandbox,
            socket: sandbox.root().join(format!("tmux-{number}")),
        };
        // A terminal whose program has ended is gone, and its screen with it. Ctrl-C is for the command.
        let command = format!("trap : INT; {command}; echo \"status=$?\"; exec cat");
        let begin = ["-f", "/dev/null", "new-session", "-d"];
        let size = ["-x", "110", "-y", "40", &command];
        terminal.tmux(&[&begin[..], &size].concat());
        terminal
    }

    /// What is on the screen; lines that it has broken are whole.
    #[track_caller]
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J"]).stdout
    }

    /// Waits until the screen shows this.
    #[track_caller]
    pub fn shows(&self, text: &str) -> String {
        let mut screen = String::new();
        eventually(&format!("{text:?} is on the screen"), || {
            screen = self.screen();
            screen.contains(text)
        });
        screen
    }

    /// Types keys, by tmux's names for them: `Down`, `Enter`, `C-c`, `1`.
    #[track_caller]
    pub fn types(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    #[track_caller]
    fn tmux(&self, arguments: &[&str]) -> Outcome {
        self.command(arguments).ok()
    }

    fn command(&self, arguments: &[&str]) -> Run<'s> {
        let socket = self.socket.to_str().expect("a path in UTF-8");
        let arguments = ["-S", socket].into_iter().chain(arguments.iter().copied());
        // The tests' user has no shell of its own.
        let command = self.sandbox.program("tmux", arguments);
        command.env("SHELL", "/bin/sh").env("TERM", "xterm")
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // A sandbox whose test has failed kills what is left of it.
        if !std::thread::panicking() {
            self.tmux(&["kill-server"]);
        }
    }
}
