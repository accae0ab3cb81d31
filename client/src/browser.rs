//! A login that a person grants in a browser. The daemon waits for that; here the person is told where
//! to go, and how long there is time.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hfd_proto::{
    AwaitLogin, BeginLogin, CancelLogin, Connection, Error, Kind, LoginBegun, LoginReply, escape,
};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::environment::Environment;
use crate::failure::Failure;
use crate::{Context, os, session};

/// How long the daemon is waited for at a time, in seconds: where a clock is shown, or Ctrl-C has to
/// be noticed, and elsewhere.
const TICK: u64 = 1;

/// What a program is told, a line each.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    /// Where a person has to go.
    Code(&'a LoginBegun),
    /// A login was granted and cannot be stored yet.
    Trouble { detail: &'a str },
    /// It is done.
    Done(&'a LoginReply),
}

/// Logs in. `open` allows to start a browser.
pub(crate) fn log_in(
    wishes: BeginLogin,
    open: bool,
    context: &Context,
) -> Result<LoginReply, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| Error::new(Kind::Other, format!("cannot handle signals: {error}")))?;
    }
    let mut connection = session::connect(&context.env)?;
    let begun = connection.request(wishes)?;
    let asking = Asking {
        begun: &begun,
        clock: !context.output.is_json() && io::stderr().is_terminal(),
        context,
    };
    asking.begin(open)?;
    let outcome = asking.wait(&mut connection, &interrupted);
    asking.clear();
    let reply = outcome?;
    if context.output.is_json() {
        context.output.json_line(&Event::Done(&reply))?;
    }
    Ok(reply)
}

struct Asking<'a> {
    begun: &'a LoginBegun,
    /// Whether the time left is shown, on a line that is written again and again.
    clock: bool,
    context: &'a Context,
}

impl Asking<'_> {
    fn begin(&self, open: bool) -> Result<(), Failure> {
        let (begun, output) = (self.begun, self.context.output);
        if output.is_json() {
            output.json_line(&Event::Code(begun))?;
        } else {
            // Not a note: whoever wants no notes must still know where to go.
            let (url, code) = (escape(&begun.complete_url), escape(&begun.code));
            let joined = match begun.joined {
                true => "A login is under way already; this is its code.\n",
                false => "",
            };
            let minutes = begun.expires_in.div_ceil(60);
            let text = format!(
                "{joined}Open this URL in your browser:\n\n    {url}\n\nand grant the code {code} \
                 there. It is good for {minutes} minutes.\n"
            );
            // If stderr is gone, nobody reads it; the login can still be granted elsewhere.
            let _ = io::stderr().write_all(text.as_bytes());
        }
        if open && is_desktop(&self.context.env) && is_safe(&begun.complete_url) {
            open_browser(&begun.complete_url);
        }
        Ok(())
    }

    fn wait(
        &self,
        connection: &mut Connection,
        interrupted: &AtomicBool,
    ) -> Result<LoginReply, Failure> {
        let id = self.begun.id;
        let mut told = None;
        loop {
            if interrupted.load(Ordering::Relaxed) {
                // One that is being granted at this moment is kept: then there is nothing to end.
                connection.request(CancelLogin { id })?;
                return Err(Error::new(Kind::Interrupted, "interrupted").into());
            }
            let wait = Some(TICK);
            let state = connection.request(AwaitLogin { id, wait }).map_err(lost)?;
            if let Some(reply) = state.login {
                return Ok(reply);
            }
            match &state.trouble {
                None => self.tick(state.expires_in),
                Some(trouble) if told.as_ref() != Some(trouble) => self.tell(trouble)?,
                Some(_) => {}
            }
            told = state.trouble;
        }
    }

    fn tick(&self, left: u64) {
        if self.clock {
            let (minutes, seconds) = (left / 60, left % 60);
            let _ = write!(
                io::stderr(),
                "\r\u{1b}[KWaiting for you… {minutes}:{seconds:02} left (Ctrl-C gives up)"
            );
        }
    }

    fn clear(&self) {
        if self.clock {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }

    fn tell(&self, detail: &str) -> Result<(), Failure> {
        self.clear();
        let output = self.context.output;
        match output.is_json() {
            true => output.json_line(&Event::Trouble { detail }),
            false => {
                output.note(&format!("granted, but not stored yet: {detail}"));
                Ok(())
            }
        }
    }
}

/// The daemon knew of the login, and nobody else does.
fn lost(error: Error) -> Error {
    match error.kind {
        Kind::DaemonUnreachable => Error::new(
            Kind::DaemonUnreachable,
            "the daemon ended while the login waited for you",
        )
        .hint("repeat it: hfd login"),
        _ => error,
    }
}

/// Whether there is a screen on this machine that the person sees.
fn is_desktop(env: &Environment) -> bool {
    let set = |name| env.text(name).is_some_and(|value| !value.is_empty());
    let screen = os::SCREEN.is_empty() || os::SCREEN.into_iter().any(set);
    screen && !set("SSH_CONNECTION") && !set("SSH_TTY")
}

/// Whether a URL of the Hub's may be handed to a program: a page of the web, and nothing that a
/// command line could take for something else.
fn is_safe(url: &str) -> bool {
    url.starts_with("https://") && url.bytes().all(|byte| byte.is_ascii_graphic())
}

fn open_browser(url: &str) {
    // Where there is no browser the person opens the URL, which is shown.
    let _ = os::opener()
        .arg(url)
        .env_remove("HF_TOKEN")
        .env_remove("HUGGING_FACE_HUB_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_web_are_opened() {
        assert!(is_safe(
            "https://huggingface.co/oauth/device?user_code=AB-CD"
        ));
        for url in [
            "http://huggingface.co/oauth/device",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "--help",
            "https://hub.example/ x",
            "https://hub.example/\u{1b}[2J",
        ] {
            assert!(!is_safe(url), "{url}");
        }
    }

    #[test]
    fn a_browser_is_opened_where_the_person_sees_it() {
        let desktop = |variables: &[(&str, &str)]| is_desktop(&Environment::of(variables));
        assert!(desktop(&[("DISPLAY", ":0")]));
        assert!(desktop(&[("WAYLAND_DISPLAY", "wayland-0")]));
        assert!(!desktop(&[
            ("DISPLAY", "localhost:10"),
            ("SSH_CONNECTION", "a b c d")
        ]));
        assert_eq!(desktop(&[]), os::SCREEN.is_empty());
    }
}
