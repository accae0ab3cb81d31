use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::account::Account;
use super::oauth::Refused;
use super::policy::Policy;
use crate::canary::random_letters;

/// A login that somebody has begun.
#[derive(Clone, PartialEq, Eq)]
pub struct Device {
    /// What the device polls with.
    pub device_code: String,
    /// What the person types.
    pub user_code: String,
    /// Who asked.
    pub client_id: String,
    /// How often it was polled.
    pub polls: u32,
    expires: Instant,
    interval: Duration,
    polled: Option<Instant>,
    verdict: Option<Verdict>,
}

/// What the person says.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Approved(Account),
    Denied,
    /// The token was fetched; a code works once.
    Spent,
}

impl Device {
    /// A login of this client, which waits for the person.
    pub(super) fn begin(client_id: &str, policy: &Policy, now: Instant) -> Self {
        let letters = random_letters(8).to_uppercase();
        Self {
            device_code: random_letters(43),
            user_code: format!("{}-{}", &letters[..4], &letters[4..]),
            client_id: client_id.to_owned(),
            polls: 0,
            expires: now + policy.device_lifetime,
            interval: policy.interval,
            polled: None,
            verdict: None,
        }
    }

    /// The answer that tells it (RFC 8628, section 3.2), with the names that huggingface_hub 2.4.0
    /// reads (`utils/_oauth_device.py`). `page` is where the Hub asks the person.
    pub(super) fn answer(&self, policy: &Policy, page: &str) -> Value {
        let uri = policy.verification_uri.as_deref().unwrap_or(page);
        let mut answer = json!({
            "device_code": self.device_code,
            "user_code": self.user_code,
            "verification_uri": uri,
            "expires_in": policy.device_lifetime.as_secs(),
            "interval": policy.interval.as_secs(),
        });
        if policy.complete_uri {
            let uri = format!("{uri}?user_code={}", self.user_code);
            answer["verification_uri_complete"] = json!(uri);
        }
        answer
    }

    /// Whether nobody has decided about it, and somebody still can.
    pub(super) fn waits(&self, now: Instant) -> bool {
        self.verdict.is_none() && now < self.expires
    }

    /// The person's decision.
    pub(super) fn decide(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    /// Whose the token is that the device may now have.
    pub(super) fn poll(&mut self, now: Instant) -> Result<Account, Refused> {
        self.polls += 1;
        let before = self.polled.replace(now);
        if now >= self.expires {
            return Err(Refused::ExpiredToken);
        }
        // A tenth is the network's, which may carry one poll faster than the last.
        let early = before.is_some_and(|before| now - before < self.interval * 9 / 10);
        if early {
            // For this and all later polls (RFC 8628, section 3.5).
            self.interval += Duration::from_secs(5);
            return Err(Refused::SlowDown);
        }
        match self.verdict.clone() {
            None => Err(Refused::AuthorizationPending),
            Some(Verdict::Denied) => Err(Refused::AccessDenied),
            Some(Verdict::Spent) => Err(Refused::InvalidGrant),
            Some(Verdict::Approved(account)) => {
                self.verdict = Some(Verdict::Spent);
                Ok(account)
            }
        }
    }
}

/// What can be shown of a login: no secret.
impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("user_code", &self.user_code)
            .field("client_id", &self.client_id)
            .field("polls", &self.polls)
            .finish_non_exhaustive()
    }
}
