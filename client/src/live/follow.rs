//! Following the daemon on a program's behalf.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hfd_proto::{
    Error, Event, Kind, LockState, Secret, Status, Token, TokenName, TokenReply, Watch, Word,
};

use super::Pinned;
use super::file::LiveFile;
use crate::environment::Environment;
use crate::output::Output;
use crate::session;

/// The pause before a daemon that has left is looked for again: it may just be replaced.
const FIRST: Duration = Duration::from_millis(50);

/// The longest pause, where no daemon can be started. What follows a repair may wait for it.
const LAST: Duration = Duration::from_secs(20);

/// Keeps a [`LiveFile`] fresh.
pub(super) struct Follower {
    pinned: Pinned,
    /// `None` once the program has ended.
    file: Arc<Mutex<Option<LiveFile>>>,
    output: Output,
    env: Environment,
}

impl Follower {
    pub(super) fn new(pinned: Pinned, file: Arc<Mutex<Option<LiveFile>>>, output: Output) -> Self {
        Self {
            pinned,
            file,
            output,
            env: Environment::of_process(),
        }
    }

    /// Follows daemon after daemon, for as long as the process lives.
    pub(super) fn run(mut self) {
        let (mut pause, mut told) = (FIRST, false);
        loop {
            let began = Instant::now();
            match self.follow() {
                Ok(()) => told = false,
                Err(error) if !told => {
                    let error = error.message;
                    self.output
                        .note(&format!("hfd: the token stays as it is for now: {error}"));
                    told = true;
                }
                Err(_) => {}
            }
            pause = pause_after(began.elapsed(), pause);
            std::thread::sleep(pause);
        }
    }

    /// Follows one daemon until it leaves.
    fn follow(&mut self) -> Result<(), Error> {
        let mut connection = session::connect(&self.env)?;
        connection.request(Watch {})?;
        // What was missed before the watch began is seen now; what comes later is told.
        self.refresh()?;
        while let Some(event) = connection.event()? {
            if concerns(&event, &self.pinned.name) {
                // It is the same token, under another name.
                if event.was.as_ref() == Some(&self.pinned.name)
                    && let Some(name) = event.name
                {
                    self.pinned.name = name;
                }
                self.refresh()?;
            }
        }
        Ok(())
    }

    fn refresh(&self) -> Result<(), Error> {
        let request = Token {
            name: Some(self.pinned.name.clone()),
            endpoint: Some(self.pinned.endpoint.clone()),
            ..Token::default()
        };
        let answer = session::request(&self.env, request);
        let locked = match &answer {
            Err(error) if error.kind == Kind::Locked => {
                session::request(&self.env, Status::default())?.lock
            }
            _ => Word::from(LockState::None),
        };
        let value = wanted(answer, &self.pinned, &locked)?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.as_mut() else {
            return Ok(());
        };
        file.hold(value.as_ref())
            .map_err(|error| Error::new(Kind::Other, format!("cannot write its file: {error}")))
    }
}

/// What the file is to hold after this answer: nothing where the token was taken away, by a logout
/// or by locking hfd, or has become another Hub's.
///
/// # Errors
/// The answer's own, where it says nothing of the token: a keychain that is locked or does not
/// answer takes nothing away from a program that has it.
fn wanted(
    answer: Result<TokenReply, Error>,
    pinned: &Pinned,
    lock: &Word<LockState>,
) -> Result<Option<Secret>, Error> {
    match answer {
        Ok(reply) if reply.endpoint == pinned.endpoint => Ok(Some(reply.token)),
        Ok(_) => Ok(None),
        Err(error) if error.kind == Kind::NoSuchToken => Ok(None),
        Err(error) if error.kind == Kind::Locked && *lock == LockState::Session => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an event may be about this token. An older daemon tells a rename's new name only.
fn concerns(event: &Event, name: &TokenName) -> bool {
    event.name.as_ref().is_none_or(|of| of == name) || event.event == "rename"
}

/// The next pause: twice the last one, or the first after a daemon that had stayed.
fn pause_after(stayed: Duration, pause: Duration) -> Duration {
    if stayed > LAST {
        FIRST
    } else {
        (pause * 2).min(LAST)
    }
}

#[cfg(test)]
mod tests {
    use hfd_proto::Endpoint;

    use super::*;

    fn pinned() -> Pinned {
        Pinned {
            name: TokenName::parse("work").unwrap(),
            endpoint: Endpoint::default(),
            value: Secret::parse("hf_old").unwrap(),
        }
    }

    fn reply(endpoint: Endpoint) -> TokenReply {
        TokenReply {
            token: Secret::parse("hf_new").unwrap(),
            name: Some(pinned().name),
            endpoint,
            expires_at: None,
        }
    }

    #[test]
    fn what_is_taken_away_goes_and_what_is_unknown_stays() {
        let other = Endpoint::parse("https://hub.example").unwrap();
        let error = |kind| Err(Error::new(kind, "m"));
        let (none, session) = (LockState::None, LockState::Session);
        let wanted = |answer, lock: LockState| {
            wanted(answer, &pinned(), &lock.into())
                .map(|value| value.map(|value| value.expose().to_owned()))
                .map_err(|error| error.kind)
        };
        let fresh = Ok(Some("hf_new".to_owned()));
        assert_eq!(wanted(Ok(reply(Endpoint::default())), none), fresh);
        assert_eq!(wanted(Ok(reply(other)), none), Ok(None));
        assert_eq!(wanted(error(Kind::NoSuchToken), none), Ok(None));
        assert_eq!(wanted(error(Kind::Locked), session), Ok(None));
        for kind in [
            Kind::Locked,
            Kind::StoreUnavailable,
            Kind::TimedOut,
            Kind::DaemonUnreachable,
        ] {
            let lock = LockState::Keychain;
            assert_eq!(wanted(error(kind), lock), Err(kind));
        }
    }

    #[test]
    fn events_of_the_name_and_of_everything_concern_it() {
        let name = pinned().name;
        let concerns = |event: &str, of: Option<&str>| {
            let event = Event {
                event: event.to_owned(),
                name: of.map(|name| TokenName::parse(name).unwrap()),
                was: None,
                dir: None,
                why: None,
                at: None,
            };
            concerns(&event, &name)
        };
        assert!(concerns("login", Some("work")));
        assert!(concerns("locked", None));
        assert!(concerns("lagged", None));
        assert!(concerns("rename", Some("office")));
        assert!(!concerns("login", Some("play")));
    }

    #[test]
    fn the_pause_grows_until_a_daemon_stays() {
        let brief = Duration::from_secs(1);
        assert_eq!(pause_after(brief, FIRST), FIRST * 2);
        assert_eq!(pause_after(brief, LAST), LAST);
        assert_eq!(pause_after(LAST * 2, LAST), FIRST);
    }
}
