use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use jiff::fmt::rfc2822::DateTimePrinter;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::failure::Failure;
use super::http::{self, Answer, Seen};
use super::routes::{self, Request, State};
use super::server::Shared;

/// What it does with a connection.
impl Shared {
    /// Answers requests until the client leaves or a failure ends the connection.
    pub(super) fn converse(
        &self,
        stream: &mut (impl Read + Write),
        client: &TcpStream,
    ) -> io::Result<()> {
        while let Some((seen, body)) = http::read_request(stream)? {
            let Some(failure) = self.arrived(&seen) else {
                return Ok(());
            };
            let request = Request {
                seen: &seen,
                body: &body,
                endpoint: &self.endpoint,
            };
            let open = match failure {
                Some(failure) => self.misbehave(stream, client, &request, failure)?,
                None => self.answer(stream, client, &request)?,
            };
            if !open {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What goes wrong with a request, if anything does; `None` while the Hub is down.
    fn arrived(&self, seen: &Seen) -> Option<Option<Failure>> {
        let mut state = self.state();
        if state.down {
            return None;
        }
        state.seen.push(seen.clone());
        self.changed.notify_all();
        let of_path = state.failures.get_mut(routes::path(seen));
        Some(match of_path {
            Some((failure, times)) if *times > 0 => {
                *times -= 1;
                Some(failure.clone())
            }
            _ => state.failure.clone(),
        })
    }

    /// Whether the connection is still of use afterwards.
    fn answer(
        &self,
        stream: &mut impl Write,
        client: &TcpStream,
        request: &Request<'_>,
    ) -> io::Result<bool> {
        let Some((answer, _flight)) = self.take_effect(client, request)? else {
            return Ok(false);
        };
        self.write(stream, answer).map(|()| true)
    }

    /// Does what is asked. A refresh whose client has gone is left undone: so a test can kill one
    /// outside of the time in which the answer would be lost; see `Hub::between_refreshes`.
    fn take_effect(
        &self,
        client: &TcpStream,
        request: &Request<'_>,
    ) -> io::Result<Option<(Answer, Option<Flight<'_>>)>> {
        let mut state = self.state();
        let refresh = request.is_refresh();
        if refresh && has_gone(client)? {
            return Ok(None);
        }
        let answer = state.answer(request, Instant::now());
        let flight = refresh.then(|| Flight::take_off(self, &mut state));
        self.changed.notify_all();
        Ok(Some((answer, flight)))
    }

    fn write(&self, stream: &mut impl Write, answer: Answer) -> io::Result<()> {
        let time = self.state().time();
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&time);
        let date = date.map_err(io::Error::other)?;
        answer.header("date", date).write(stream)
    }

    /// Whether the connection is still of use afterwards.
    fn misbehave(
        &self,
        stream: &mut impl Write,
        client: &TcpStream,
        request: &Request<'_>,
        failure: Failure,
    ) -> io::Result<bool> {
        match failure {
            Failure::Status(status) => self.write(stream, routes::refuse(status))?,
            Failure::RateLimited(seconds) => self.write(stream, later(429, seconds))?,
            Failure::Later(status, seconds) => self.write(stream, later(status, seconds))?,
            Failure::OAuth(status, error) => {
                self.write(stream, routes::oauth_error(status, error))?;
            }
            Failure::Gateway(status) => self.write(stream, gateway(status))?,
            Failure::Redirect(url) => {
                self.write(stream, Answer::new(307, "").header("location", url))?;
            }
            Failure::Delay(time) => {
                self.wait_for_the_end(Some(time));
                return self.answer(stream, client, request);
            }
            Failure::Body(body) => self.write(stream, Answer::new(200, body))?,
            Failure::Hang => {
                self.wait_for_the_end(None);
                return Ok(false);
            }
            Failure::Held => {
                let _flight = self.take_effect(client, request)?;
                self.wait_for_the_end(None);
                return Ok(false);
            }
            Failure::Lost => {
                self.take_effect(client, request)?;
                return Ok(false);
            }
            Failure::Close => return Ok(false),
            Failure::Garbage => {
                stream.write_all(b"\x00\xff\xfe this is no HTTP\r\n\r\n")?;
                return Ok(false);
            }
            Failure::Endless(length) => self.write(stream, Answer::new(200, "[".repeat(length)))?,
        }
        Ok(true)
    }

    /// Sleeps until the Hub is dropped, or for this long.
    fn wait_for_the_end(&self, at_most: Option<Duration>) {
        let at_most = at_most.unwrap_or(Duration::from_secs(600));
        drop(
            self.changed
                .wait_timeout_while(self.state(), at_most, |state| !state.closing)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

/// A refresh between its taking effect and the end of its answer.
struct Flight<'s>(&'s Shared);

impl<'s> Flight<'s> {
    fn take_off(shared: &'s Shared, state: &mut State) -> Self {
        state.refreshing += 1;
        Self(shared)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.refreshing -= 1;
        state.refreshed = Some(Instant::now());
        self.0.changed.notify_all();
    }
}

/// Whether the other side has closed the connection, or its process has ended.
fn has_gone(client: &TcpStream) -> io::Result<bool> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match rustix::net::recv(client, &mut [0; 1], flags) {
        Ok((read, _)) => Ok(read == 0),
        Err(Errno::AGAIN) => Ok(false),
        Err(Errno::CONNRESET) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn later(status: u16, seconds: u32) -> Answer {
    routes::refuse(status).header("retry-after", seconds.to_string())
}

fn gateway(status: u16) -> Answer {
    let page = format!("<html><head><title>{status}</title></head><body></body></html>");
    Answer::typed(status, "text/html", page)
}
