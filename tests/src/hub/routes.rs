//! What the Hub remembers, and what it answers to a request when nothing goes wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::account::Account;
use super::failure::Failure;
use super::form;
use super::git;
use super::http::{Answer, Seen};
use super::oauth::{Form, OAuth, Reason};
use super::policy::Policy;

/// A request that was answered 401 because of its bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What was wrong with it.
    pub reason: Reason,
    /// How long the Hub had been up.
    pub up_for: Duration,
}

/// Who asks, and how long the token still works if that is limited.
struct Bearer {
    account: Account,
    left: Option<Duration>,
}

/// What the Hub remembers.
#[derive(Debug)]
pub(super) struct State {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) oauth: OAuth,
    pub(super) policy: Policy,
    pub(super) refusals: Vec<Refusal>,
    pub(super) seen: Vec<Seen>,
    /// Where the repositories are, if there are any.
    pub(super) repositories: Option<PathBuf>,
    pub(super) failure: Option<Failure>,
    /// Failures of one path, each for so many requests.
    pub(super) failures: BTreeMap<String, (Failure, usize)>,
    /// How far ahead of ours the Hub's clock is.
    pub(super) clock: SignedDuration,
    pub(super) down: bool,
    pub(super) up_since: Instant,
    /// Refreshes that have taken effect and are not answered yet.
    pub(super) refreshing: usize,
    /// When the last refresh was answered.
    pub(super) refreshed: Option<Instant>,
    pub(super) closing: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            accounts: BTreeMap::new(),
            oauth: OAuth::default(),
            policy: Policy::default(),
            refusals: Vec::new(),
            seen: Vec::new(),
            repositories: None,
            failure: None,
            failures: BTreeMap::new(),
            clock: SignedDuration::ZERO,
            down: false,
            up_since: Instant::now(),
            refreshing: 0,
            refreshed: None,
            closing: false,
        }
    }
}

/// A request with its body, on a Hub of this address.
pub(super) struct Request<'r> {
    pub(super) seen: &'r Seen,
    pub(super) body: &'r [u8],
    pub(super) endpoint: &'r str,
}

impl Request<'_> {
    /// Whether it asks for the successor of a refresh token.
    pub(super) fn is_refresh(&self) -> bool {
        let grant_type = self.form().remove("grant_type");
        path(self.seen) == "/oauth/token" && grant_type.as_deref() == Some("refresh_token")
    }

    fn form(&self) -> Form {
        form::parse(self.body)
    }
}

/// The path of a request, without what is asked of it.
pub(super) fn path(seen: &Seen) -> &str {
    seen.target.split('?').next().unwrap_or_default()
}

impl State {
    /// Answers, with everything that the answer says in effect.
    pub(super) fn answer(&mut self, request: &Request<'_>, now: Instant) -> Answer {
        match (request.seen.method.as_str(), path(request.seen)) {
            ("GET", "/api/whoami-v2") => self.whoami(request.seen, now),
            ("GET", "/api/models") => self.models(request.seen, now),
            ("POST", "/oauth/device") => self.device(request, now),
            ("POST", "/oauth/token") => self.token(request, now),
            ("POST", "/api/credentials/revoke") => self.revoke(request.body),
            ("GET", path) if path.starts_with("/api/models/") => self.model(request.seen, now),
            _ => self.git(request, now).unwrap_or_else(|| refuse(404)),
        }
    }

    /// What git asks for, where the Hub has repositories.
    fn git(&mut self, request: &Request<'_>, now: Instant) -> Option<Answer> {
        let wanted = git::Wanted::of(request.seen)?;
        let directory = self.repositories.clone()?;
        let account = request.seen.password();
        let account = account.and_then(|token| self.whose(&token, now).ok());
        let is_open = account.is_some_and(|bearer| wanted.is_open_to(&bearer.account));
        Some(match is_open {
            true => wanted.answer(&directory, request),
            false => git::unauthorized(),
        })
    }

    fn whoami(&mut self, seen: &Seen, now: Instant) -> Answer {
        let Ok(Some(Bearer { account, left })) = self.bearer(seen, now) else {
            return refuse(401);
        };
        let answer = match left {
            None => account.whoami(),
            Some(left) => account.whoami_until(self.time() + left),
        };
        Answer::new(200, answer.to_string())
    }

    /// Public, but not for a token that is invalid: such a one is refused everywhere.
    fn models(&mut self, seen: &Seen, now: Instant) -> Answer {
        match self.bearer(seen, now) {
            Ok(_) => Answer::new(200, "[]"),
            Err(_) => refuse(401),
        }
    }

    /// `/api/models/OWNER/NAME[/revision/REVISION]`: whatever model is private, and is not there for others than
    /// its owner, as the Hub tells it.
    fn model(&mut self, seen: &Seen, now: Instant) -> Answer {
        let id = path(seen).trim_start_matches("/api/models/");
        let id = id.split_once("/revision/").map_or(id, |(id, _)| id);
        let owner = id.split('/').next().unwrap_or_default();
        match self.bearer(seen, now) {
            Ok(Some(bearer)) if bearer.account.owns(owner) => {
                let told = json!({
                    "_id": "621ffdc036468d709f174300", "id": id, "modelId": id, "author": owner,
                    "sha": "607a30d783dfa663caf39e06633721c8d4cfcd7e", "private": true, "gated": false,
                    "lastModified": "2026-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z",
                    "downloads": 0, "likes": 0, "tags": [], "siblings": [{ "rfilename": "README.md" }],
                });
                Answer::new(200, told.to_string())
            }
            Ok(_) => refuse(401).header("x-error-code", "RepoNotFound"),
            Err(_) => refuse(401),
        }
    }

    /// Who asks; `None` without a token.
    fn bearer(&mut self, seen: &Seen, now: Instant) -> Result<Option<Bearer>, Reason> {
        match seen.bearer() {
            Some(token) => self.whose(token, now).map(Some),
            None => Ok(None),
        }
    }

    /// Whose a token is.
    fn whose(&mut self, token: &str, now: Instant) -> Result<Bearer, Reason> {
        if let Some(account) = self.accounts.get(token) {
            let account = account.clone();
            return Ok(Bearer {
                account,
                left: None,
            });
        }
        match self.oauth.bearer(token, now) {
            Ok((account, left)) => Ok(Bearer {
                account,
                left: Some(left),
            }),
            Err(reason) => {
                let up_for = now - self.up_since;
                self.refusals.push(Refusal { reason, up_for });
                Err(reason)
            }
        }
    }

    fn device(&mut self, request: &Request<'_>, now: Instant) -> Answer {
        let page = format!("{}/oauth/device", request.endpoint);
        let form = request.form();
        oauth(self.oauth.device(&form, &self.policy, &page, now))
    }

    fn token(&mut self, request: &Request<'_>, now: Instant) -> Answer {
        oauth(self.oauth.token(&request.form(), &self.policy, now))
    }

    /// Accepts whatever it is told, from anybody.
    fn revoke(&mut self, body: &[u8]) -> Answer {
        let told: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(credentials) = told["credentials"].as_array() else {
            return refuse(400);
        };
        for credential in credentials.iter().filter_map(Value::as_str) {
            self.accounts.remove(credential);
            self.oauth.end_credential(credential);
        }
        Answer::new(202, "")
    }

    /// What the Hub's clock shows.
    pub(super) fn time(&self) -> Timestamp {
        Timestamp::now() + self.clock
    }
}

fn oauth(reply: super::oauth::Reply) -> Answer {
    match reply {
        Ok(body) => Answer::new(200, body.to_string()).header("cache-control", "no-store"),
        Err(refused) => oauth_error(refused.status(), refused.code()),
    }
}

/// An error of OAuth (RFC 6749, section 5.2).
pub(super) fn oauth_error(status: u16, code: &str) -> Answer {
    let body = json!({ "error": code, "error_description": code.replace('_', " ") });
    Answer::new(status, body.to_string())
}

/// An error as the Hub words it: in the body and in a header.
pub(super) fn refuse(status: u16) -> Answer {
    let message = match status {
        400 => "Bad Request",
        401 => "Invalid credentials in Authorization header",
        403 => "Your organisation does not allow this token",
        404 => "Not Found",
        429 => "We had to rate limit your IP",
        _ => "Internal Error - We're working hard to fix this as soon as possible!",
    };
    let body = json!({ "error": message }).to_string();
    Answer::new(status, body).header("x-error-message", message)
}
