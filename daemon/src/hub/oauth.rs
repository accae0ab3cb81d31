//! Browser logins and their renewal: RFC 8628 and the refresh of RFC 6749, as huggingface_hub 2.4.0
//! speaks them (`utils/_oauth_device.py`).

mod answer;

use std::slice;
use std::time::Duration;

use hfd_proto::{Endpoint, Error, Kind, Secret};
use reqwest::header::{ACCEPT, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use zeroize::Zeroizing;

use self::answer::{Answer, Begun, span};
use super::answer::{no_hub, quote_of, read, refusal};
use super::{Hub, failure};

/// The client that huggingface_hub logs in as (`constants.py`).
pub const CLIENT_ID: &str = "26be6b09-91c5-47da-9861-d2d2bb7a7e36";

/// How long a renewal waits whose request is wrong: until somebody has mended the configuration.
const MENDED: Duration = Duration::from_secs(3600);

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What a device login begins with.
#[derive(Debug, Clone)]
pub struct DeviceCode {
    /// What is polled with.
    pub code: Secret,
    /// What a person types.
    pub user_code: String,
    /// Where.
    pub url: String,
    /// The same with the code filled in.
    pub complete_url: String,
    /// How long the codes live.
    pub lives: Duration,
    /// How often it may be polled.
    pub interval: Duration,
}

/// Tokens that the Hub has issued.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The access token.
    pub access: Secret,
    /// The refresh token; a renewal without one leaves the old one in force.
    pub refresh: Option<Secret>,
    /// How many seconds the access token lives.
    pub expires_in: Option<i64>,
    /// What time it was at the Hub, in Unix seconds.
    pub date: Option<i64>,
}

/// An answer to a poll.
#[derive(Debug)]
pub enum Poll {
    /// Nobody has decided yet, or the answer made no sense: ask again, at the earliest after this
    /// time where the Hub says so.
    Pending(Option<Duration>),
    /// Ask less often.
    SlowDown,
    /// Granted.
    Granted(Box<Granted>),
}

/// Why a token was not renewed.
#[derive(Debug)]
pub enum NotRenewed {
    /// The refresh token is used up, revoked or too old: only a login helps.
    Refused(Error),
    /// Anything else: again later.
    Later {
        /// What went wrong.
        error: Error,
        /// Not before this time, where the Hub says so.
        after: Option<Duration>,
        /// Whether the Hub may have replaced the refresh token, and its answer was lost.
        lost: bool,
    },
}

impl Hub {
    /// Begins a device login (`POST /oauth/device`).
    ///
    /// # Errors
    /// As of [`Hub::whoami`].
    pub async fn begin_login(
        &self,
        endpoint: &Endpoint,
        client_id: &str,
        network: &hfd_proto::Network,
    ) -> Result<DeviceCode, Error> {
        let form = [("client_id", client_id)];
        let response = self.post(endpoint, "device", &form, network).await?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = Zeroizing::new(read(response, endpoint).await?);
        if !status.is_success() {
            return Err(refused(status, endpoint, &[], &headers, &body));
        }
        let begun: Begun = serde_json::from_slice(&body).map_err(|_| no_hub(endpoint))?;
        let complete_url = match begun.verification_uri_complete.is_empty() {
            true => begun.verification_uri.clone(),
            false => begun.verification_uri_complete,
        };
        Ok(DeviceCode {
            code: begun.device_code,
            user_code: begun.user_code,
            url: begun.verification_uri,
            complete_url,
            lives: span(begun.expires_in, 900, 24 * 3600),
            interval: span(begun.interval, 5, 300),
        })
    }

    /// Asks whether a device login was granted. Whatever says neither yes nor no is
    /// [`Poll::Pending`]: a gateway that fails must not end a login (RFC 8628 section 3.5).
    ///
    /// # Errors
    /// [`Kind::Refused`] where it was denied, or has expired.
    pub async fn poll_login(
        &self,
        endpoint: &Endpoint,
        client_id: &str,
        device: &DeviceCode,
        network: &hfd_proto::Network,
    ) -> Result<Poll, Error> {
        let form = [
            ("grant_type", DEVICE_GRANT),
            ("device_code", device.code.expose()),
            ("client_id", client_id),
        ];
        let Ok(response) = self.post(endpoint, "token", &form, network).await else {
            return Ok(Poll::Pending(None));
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let Ok(body) = read(response, endpoint).await.map(Zeroizing::new) else {
            return Ok(Poll::Pending(None));
        };
        let answer: Answer = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(granted) = granted(&answer, date(&headers)) {
            return Ok(Poll::Granted(Box::new(granted)));
        }
        let ended = |message: &str, hint: &str| {
            Err(Error::new(Kind::Refused, format!("{message} ({endpoint})")).hint(hint))
        };
        match answer.verdict(status) {
            None | Some("authorization_pending") => Ok(Poll::Pending(retry_after(&headers))),
            Some("slow_down") => Ok(Poll::SlowDown),
            Some("access_denied") => ended(
                "the login was denied in the browser",
                "repeat it to try again",
            ),
            Some("expired_token") => {
                ended("the code has expired", "repeat the login for a new one")
            }
            Some(error) => Err(Error::new(
                Kind::Refused,
                format!(
                    "the Hub at {endpoint} ended the login: {}",
                    described(error, &answer, &device.code)
                ),
            )
            .hint("repeat it, or log in with a token: hfd login --with-token")),
        }
    }

    /// Renews a token (`grant_type=refresh_token`). The way there is the configured one.
    ///
    /// # Errors
    /// See [`NotRenewed`]. A connection that is lost leaves open whether the Hub has replaced the
    /// refresh token.
    pub async fn renew(
        &self,
        endpoint: &Endpoint,
        client_id: &str,
        refresh: &Secret,
        patience: Duration,
    ) -> Result<Granted, NotRenewed> {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose()),
            ("client_id", client_id),
        ];
        let network = hfd_proto::Network::default();
        let unanswered = |error, lost| NotRenewed::Later {
            error,
            after: None,
            lost,
        };
        let route = self.route(endpoint, &network);
        let route = route.map_err(|error| unanswered(error, false))?;
        let client = self.client(&route).await;
        let client = client.map_err(|error| unanswered(error, false))?;
        let sent = send(&client, endpoint, "token", &form, Some(patience)).await;
        let response = sent.map_err(|error| {
            let reached = !error.is_connect();
            unanswered(failure::explain(&error, endpoint, &route), reached)
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, endpoint).await;
        let body = Zeroizing::new(body.map_err(|error| unanswered(error, true))?);
        let answer: Answer = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(granted) = granted(&answer, date(&headers)) {
            return Ok(granted);
        }
        let after = retry_after(&headers);
        match answer.verdict(status) {
            Some("invalid_grant") => Err(NotRenewed::Refused(
                Error::new(
                    Kind::Refused,
                    format!("the Hub at {endpoint} does not renew this session any more"),
                )
                .hint("log in again: hfd login"),
            )),
            Some(error) => {
                let said = described(error, &answer, refresh);
                let message = format!("the Hub at {endpoint} refuses to renew: {said}");
                let error = Error::new(Kind::Refused, message);
                let error = error.hint("it is tried again; a client_id in config.toml must be the one that the token was issued to");
                Err(NotRenewed::Later {
                    error,
                    after: after.or(Some(MENDED)),
                    lost: false,
                })
            }
            None => Err(NotRenewed::Later {
                error: refused(status, endpoint, slice::from_ref(refresh), &headers, &body),
                after,
                lost: may_have_granted(status),
            }),
        }
    }

    /// What time it is at the Hub, in Unix seconds, by an answer that needs no token.
    pub async fn date(&self, endpoint: &Endpoint) -> Option<i64> {
        let route = self.route(endpoint, &hfd_proto::Network::default()).ok()?;
        let client = self.client(&route).await.ok()?;
        let sent = client.head(format!("{endpoint}/")).send().await;
        date(sent.ok()?.headers())
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        what: &str,
        form: &[(&str, &str)],
        network: &hfd_proto::Network,
    ) -> Result<Response, Error> {
        let route = self.route(endpoint, network)?;
        let client = self.client(&route).await?;
        let sent = send(&client, endpoint, what, form, None).await;
        sent.map_err(|error| failure::explain(&error, endpoint, &route))
    }
}

async fn send(
    client: &Client,
    endpoint: &Endpoint,
    what: &str,
    form: &[(&str, &str)],
    patience: Option<Duration>,
) -> Result<Response, reqwest::Error> {
    let request = client
        .post(format!("{endpoint}/oauth/{what}"))
        .header(ACCEPT, "application/json")
        .form(form);
    match patience {
        Some(patience) => request.timeout(patience).send().await,
        None => request.send().await,
    }
}

/// Whether a Hub that answers so, without a verdict, may have carried the request out all the same:
/// a gateway that lost the answer may have passed the question on. One that is too busy has not.
fn may_have_granted(status: StatusCode) -> bool {
    let busy = status == StatusCode::SERVICE_UNAVAILABLE;
    status.is_success() || (status.is_server_error() && !busy)
}

fn granted(answer: &Answer, date: Option<i64>) -> Option<Granted> {
    Some(Granted {
        access: answer.access_token.clone()?,
        refresh: answer.refresh_token.clone(),
        expires_in: answer.expires_in,
        date,
    })
}

/// What an OAuth error says, without the secret that was sent.
fn described(error: &str, answer: &Answer, secret: &Secret) -> String {
    let text = match &answer.error_description {
        Some(description) => format!("{error} - {description}"),
        None => error.to_owned(),
    };
    quote_of(&text, slice::from_ref(secret))
}

fn refused(
    status: StatusCode,
    endpoint: &Endpoint,
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
) -> Error {
    match status {
        StatusCode::NOT_FOUND => Error::new(
            Kind::Refused,
            format!("the Hub at {endpoint} knows no browser login"),
        )
        .hint("log in with a token: hfd login --with-token"),
        _ => refusal(status, endpoint, secrets, headers, body),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        // A date: as far away as it is at the Hub.
        Err(_) => {
            let at = unix_seconds_of_date(text)?;
            u64::try_from(at - date(headers)?).ok()?
        }
    };
    Some(Duration::from_secs(seconds.min(24 * 3600)))
}

fn date(headers: &HeaderMap) -> Option<i64> {
    unix_seconds_of_date(headers.get(DATE)?.to_str().ok()?)
}

/// `Tue, 24 Nov 2026 08:00:00 GMT` in Unix seconds (RFC 9110 section 5.6.7).
fn unix_seconds_of_date(text: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(text).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}
