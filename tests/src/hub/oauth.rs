//! Device codes, access tokens and refresh tokens: what the authorization server remembers, and
//! what it answers (RFC 6749, RFC 8628). No socket and no clock: the time comes in.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::account::Account;
use super::device::{Device, Verdict};
use super::grant::Grant;
use super::policy::Policy;
use crate::canary::Token;

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What a request arrives as: the fields of a form.
pub(super) type Form = BTreeMap<String, String>;

/// A status and a body; `Err` is an error of OAuth.
pub(super) type Reply = Result<Value, Refused>;

/// Why a client gets no token (RFC 6749, section 5.2; RFC 8628, section 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
}

impl Refused {
    pub(super) fn status(self) -> u16 {
        if self == Self::InvalidClient {
            401
        } else {
            400
        }
    }

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
        }
    }
}

/// An access token of a grant.
#[derive(Clone)]
struct Access {
    grant: usize,
    expires: Instant,
    revoked: bool,
}

/// Why a bearer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its time is over.
    Expired,
    /// It was ended before its time.
    Revoked,
    /// No such token was ever issued.
    Unknown,
}

/// Everything that was begun and issued.
#[derive(Default)]
pub(super) struct OAuth {
    devices: Vec<Device>,
    grants: Vec<Grant>,
    accesses: BTreeMap<String, Access>,
    /// Refreshes that were refused as `invalid_grant`.
    pub(super) invalid_grants: u32,
}

/// What the device asks for.
impl OAuth {
    /// `POST /oauth/device` (RFC 8628, section 3.1).
    pub(super) fn device(
        &mut self,
        form: &Form,
        policy: &Policy,
        page: &str,
        now: Instant,
    ) -> Reply {
        let client_id = field(form, "client_id")?;
        let device = Device::begin(client_id, policy, now);
        let answer = device.answer(policy, page);
        self.devices.push(device);
        Ok(answer)
    }

    /// `POST /oauth/token`.
    pub(super) fn token(&mut self, form: &Form, policy: &Policy, now: Instant) -> Reply {
        match field(form, "grant_type")? {
            DEVICE_CODE => self.poll(form, policy, now),
            "refresh_token" => self.refresh(form, policy, now),
            _ => Err(Refused::UnsupportedGrantType),
        }
    }

    fn poll(&mut self, form: &Form, policy: &Policy, now: Instant) -> Reply {
        let code = field(form, "device_code")?;
        let client_id = field(form, "client_id")?;
        let mut devices = self.devices.iter_mut();
        let device = devices.find(|device| device.device_code == code);
        let device = device.ok_or(Refused::InvalidGrant)?;
        if device.client_id != client_id {
            return Err(Refused::InvalidClient);
        }
        let account = device.poll(now)?;
        self.grant(client_id, account, policy, now)
    }

    fn grant(&mut self, client_id: &str, account: Account, policy: &Policy, now: Instant) -> Reply {
        let grant = Grant::new(client_id, account, policy);
        let answer = grant.answer(policy, true);
        self.issue(grant.access.clone(), self.grants.len(), policy, now);
        self.grants.push(grant);
        Ok(answer)
    }

    fn refresh(&mut self, form: &Form, policy: &Policy, now: Instant) -> Reply {
        let value = field(form, "refresh_token")?;
        let client_id = field(form, "client_id")?;
        let reply = self.refreshed(value, client_id, policy, now);
        if matches!(reply, Err(Refused::InvalidGrant)) {
            self.invalid_grants += 1;
        }
        reply
    }

    fn refreshed(&mut self, value: &str, client_id: &str, policy: &Policy, now: Instant) -> Reply {
        let mut grants = self.grants.iter_mut().enumerate();
        let found = grants.find_map(|(index, grant)| Some((index, grant.tried(value)?, grant)));
        let (index, generation, grant) = found.ok_or(Refused::InvalidGrant)?;
        // A client that is not the token's own neither uses it up nor learns of it.
        if grant.client_id != client_id {
            return Err(Refused::InvalidClient);
        }
        grant.uses[generation - 1] += 1;
        if grant.revoked || grant.refresh_revoked || generation != grant.generation {
            return Err(Refused::InvalidGrant);
        }
        let before = grant.renew(policy);
        let access = grant.access.clone();
        let answer = grant.answer(policy, policy.rotation);
        if policy.refresh_revokes {
            self.end_access(&before);
        }
        self.issue(access, index, policy, now);
        Ok(answer)
    }

    fn issue(&mut self, token: String, grant: usize, policy: &Policy, now: Instant) {
        let access = Access {
            grant,
            expires: now + policy.access_lifetime,
            revoked: false,
        };
        self.accesses.insert(token, access);
    }
}

/// What a bearer is worth, and how it ends.
impl OAuth {
    /// Whose an access token is, and how long it still works.
    pub(super) fn bearer(&self, token: &str, now: Instant) -> Result<(Account, Duration), Reason> {
        let access = self.accesses.get(token).ok_or(Reason::Unknown)?;
        let grant = &self.grants[access.grant];
        if access.revoked || grant.revoked {
            return Err(Reason::Revoked);
        }
        match access.expires.checked_duration_since(now) {
            Some(left) if !left.is_zero() => Ok((grant.account.clone(), left)),
            _ => Err(Reason::Expired),
        }
    }

    /// Ends one credential and no other: RFC 7009 leaves open whether a refresh token dies with its
    /// access token, so whoever wants both gone names both.
    pub(super) fn end_credential(&mut self, value: &str) {
        self.end_access(value);
        for grant in &mut self.grants {
            grant.refresh_revoked |= grant.refresh == value;
        }
    }

    /// Ends the whole login that a token is of, as a person does on the website.
    pub(super) fn end_grant(&mut self, value: &str) {
        let index = self.accesses.get(value).map(|access| access.grant);
        for (number, grant) in self.grants.iter_mut().enumerate() {
            grant.revoked |= Some(number) == index || grant.refresh == value;
        }
    }

    /// Brings an access token to its end before its time.
    pub(super) fn expire(&mut self, token: &str, now: Instant) {
        if let Some(access) = self.accesses.get_mut(token) {
            access.expires = now;
        }
    }

    fn end_access(&mut self, token: &str) {
        if let Some(access) = self.accesses.get_mut(token) {
            access.revoked = true;
        }
    }
}

/// What the person says, and what can be seen.
impl OAuth {
    /// Whether a waiting login had this user code or device code.
    pub(super) fn approve(&mut self, code: &str, account: Account, now: Instant) -> bool {
        self.decide(code, Verdict::Approved(account), now)
    }

    /// The same, the other way.
    pub(super) fn deny(&mut self, code: &str, now: Instant) -> bool {
        self.decide(code, Verdict::Denied, now)
    }

    fn decide(&mut self, code: &str, verdict: Verdict, now: Instant) -> bool {
        let mut devices = self.devices.iter_mut().filter(|device| device.waits(now));
        let found = devices.find(|device| device.user_code == code || device.device_code == code);
        let known = found.is_some();
        if let Some(device) = found {
            device.decide(verdict);
        }
        known
    }

    /// The logins that nobody has decided about.
    pub(super) fn pending(&self, now: Instant) -> Vec<Device> {
        let waiting = self.devices.iter().filter(|device| device.waits(now));
        waiting.cloned().collect()
    }

    pub(super) fn grants(&self) -> Vec<Grant> {
        self.grants.clone()
    }

    /// Every secret that was ever given out, under a name that says what it is.
    pub(super) fn issued(&self) -> Vec<Token> {
        let devices = self.devices.iter().map(|device| &device.device_code);
        let refreshes = self.grants.iter().flat_map(Grant::refresh_tokens);
        let kinds = devices.map(|value| ("a device code", value));
        kinds
            .chain(self.accesses.keys().map(|value| ("an access token", value)))
            .chain(refreshes.map(|value| ("a refresh token", value)))
            .map(|(name, value)| Token {
                name: name.to_owned(),
                value: value.clone(),
            })
            .collect()
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth")
            .field("devices", &self.devices)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

fn field<'f>(form: &'f Form, name: &str) -> Result<&'f str, Refused> {
    form.get(name)
        .map(String::as_str)
        .ok_or(Refused::InvalidRequest)
}
