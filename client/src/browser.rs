//! A login that a person grants in a browser. The daemon waits for that; here the person is told where
//! to go, and how long there is time.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use hfd_proto::{
    AwaitLogin, BeginLogin, CancelLogin, Error, Kind, LoginBegun, LoginReply, LoginState, escape,
};
use serde::Serialize;

use crate::command::quoted;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::{Context, os, session};

/// How long the daemon is waited for at a time, in seconds: it says then how long there is time.
const TICK: u64 = 1;

/// How soon Ctrl-C is heard: not felt by whoever presses it.
const LOOK: Duration = Duration::from_millis(100);

/// How long a login that was given up may take to begin all the same, to be called off then: most Hubs
/// answer sooner. Nobody knows the code of one that begins later, and it expires.
const BEGINNING: Duration = Duration::from_secs(1);

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
    let interrupted = hear_interruptions()?;
    let news = follow(wishes);
    let mut asking = Asking {
        begun: None,
        told: None,
        clock: !context.output.is_json() && io::stderr().is_terminal(),
        context,
    };
    let outcome = loop {
        if interrupted.load(Ordering::Relaxed) {
            break Err(asking.give_up(&news));
        }
        match news.recv_timeout(LOOK) {
            Ok(Ok(News::Begun(begun))) => asking.begin(begun, open)?,
            Ok(Ok(News::State(state))) => match state.login {
                Some(reply) => break Ok(reply),
                None => asking.show(state)?,
            },
            Ok(Err(error)) => break Err(error),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break Err(ended()),
        }
    };
    asking.clear();
    let reply = outcome?;
    if context.output.is_json() {
        context.output.json_line(&Event::Done(&reply))?;
    }
    Ok(reply)
}

/// Becomes true with Ctrl-C; a second one ends hfd on the spot.
fn hear_interruptions() -> Result<Arc<AtomicBool>, Error> {
    os::hear_interruptions(Kind::Interrupted.exit_status())
        .map_err(|error| Error::new(Kind::Other, format!("cannot handle signals: {error}")))
}

/// What the daemon says.
enum News {
    Begun(LoginBegun),
    State(LoginState),
}

/// Speaks with the daemon on a thread of its own: that may take long, and the person is heard meanwhile.
fn follow(wishes: BeginLogin) -> Receiver<Result<News, Error>> {
    let (tell, news) = channel();
    thread::spawn(move || {
        if let Err(error) = converse(wishes, &tell) {
            // Where nobody listens, the person has given up.
            let _ = tell.send(Err(error));
        }
    });
    news
}

fn converse(wishes: BeginLogin, tell: &Sender<Result<News, Error>>) -> Result<(), Error> {
    let mut connection = session::connect(&Environment::of_process())?;
    let begun = connection.exchange(wishes)?.ok_or_else(ended)?;
    let id = begun.id;
    let mut heard = tell.send(Ok(News::Begun(begun))).is_ok();
    while heard {
        let wait = Some(TICK);
        let state = connection.exchange(AwaitLogin { id, wait })?;
        let state = state.ok_or_else(ended)?;
        let done = state.login.is_some();
        heard = tell.send(Ok(News::State(state))).is_ok() && !done;
    }
    Ok(())
}

struct Asking<'a> {
    /// `None` until the Hub has given a code.
    begun: Option<LoginBegun>,
    /// The trouble that the person knows of.
    told: Option<String>,
    /// Whether the time left is shown, on a line that is written again and again.
    clock: bool,
    context: &'a Context,
}

impl Asking<'_> {
    fn begin(&mut self, begun: LoginBegun, open: bool) -> Result<(), Failure> {
        let output = self.context.output;
        if output.is_json() {
            output.json_line(&Event::Code(&begun))?;
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
        self.begun = Some(begun);
        Ok(())
    }

    fn show(&mut self, state: LoginState) -> Result<(), Failure> {
        match &state.trouble {
            None => self.tick(state.expires_in),
            Some(trouble) if self.told.as_ref() != Some(trouble) => self.tell(trouble)?,
            Some(_) => {}
        }
        self.told = state.trouble;
        Ok(())
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

    /// Calls the login off; what has become of it, as the error to end with.
    fn give_up(&self, news: &Receiver<Result<News, Error>>) -> Error {
        let interrupted = |message: String| Error::new(Kind::Interrupted, message);
        let id = match &self.begun {
            Some(begun) => begun.id,
            None => match news.recv_timeout(BEGINNING) {
                Ok(Ok(News::Begun(begun))) => begun.id,
                _ => return interrupted("interrupted".to_owned()),
            },
        };
        let kept = |which: &str| {
            interrupted(format!(
                "interrupted, but {which} had been granted already: it is kept"
            ))
            .hint("hfd logout removes it")
        };
        match call_off(id, &self.context.env) {
            Ok(CalledOff::Ended) => interrupted("interrupted".to_owned()),
            Ok(CalledOff::Granted) => kept("the login"),
            Ok(CalledOff::Stored(reply)) => kept(&quoted(reply.name.as_str())),
            Err(error) => interrupted(format!(
                "interrupted, but the login may still be granted: {}",
                error.message
            ))
            .hint("do not grant it in the browser, or log out again: hfd logout"),
        }
    }
}

/// What became of a login that the person gave up.
enum CalledOff {
    /// Nothing is left of it.
    Ended,
    /// The person had granted it, and it is stored soon.
    Granted,
    /// It was finished.
    Stored(Box<LoginReply>),
}

/// On a connection of its own: the other one may wait for a daemon that hangs.
fn call_off(id: u64, env: &Environment) -> Result<CalledOff, Error> {
    let Some(mut connection) = session::find(&env.place()?)? else {
        // It went with its daemon.
        return Ok(CalledOff::Ended);
    };
    if connection.request(CancelLogin { id })?.cancelled {
        return Ok(CalledOff::Ended);
    }
    let wait = Some(0);
    Ok(match connection.request(AwaitLogin { id, wait }) {
        Ok(LoginState { login: None, .. }) => CalledOff::Granted,
        Ok(LoginState {
            login: Some(reply), ..
        }) => CalledOff::Stored(Box::new(reply)),
        // Denied, or expired.
        Err(error) if error.kind == Kind::Refused => CalledOff::Ended,
        Err(error) => return Err(error),
    })
}

/// The daemon knew of the login, and nobody else does.
fn ended() -> Error {
    Error::new(
        Kind::DaemonUnreachable,
        "the daemon ended while the login waited for you",
    )
    .hint("repeat it: hfd login")
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
