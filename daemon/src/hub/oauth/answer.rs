//! What the Hub's OAuth says, field by field: `POST /oauth/device` and `POST /oauth/token`.

use std::time::Duration;

use hfd_proto::Secret;
use reqwest::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::Zeroizing;

/// The fields that upstream reads. The lives and the interval have its defaults.
#[derive(Deserialize)]
pub(super) struct Begun {
    pub(super) device_code: Secret,
    pub(super) user_code: String,
    pub(super) verification_uri: String,
    #[serde(default)]
    pub(super) verification_uri_complete: String,
    #[serde(default, deserialize_with = "seconds")]
    pub(super) expires_in: Option<i64>,
    #[serde(default, deserialize_with = "seconds")]
    pub(super) interval: Option<i64>,
}

/// An answer of the token endpoint, either way. Each field is read for itself: one that makes no
/// sense must not cost the tokens beside it, which nobody else has.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    #[serde(deserialize_with = "token")]
    pub(super) access_token: Option<Secret>,
    #[serde(deserialize_with = "token")]
    pub(super) refresh_token: Option<Secret>,
    #[serde(deserialize_with = "seconds")]
    pub(super) expires_in: Option<i64>,
    #[serde(deserialize_with = "text")]
    pub(super) error: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) error_description: Option<String>,
}

/// What is no token is none: an empty one, above all.
fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let text = text(deserializer)?.map(Zeroizing::new);
    Ok(text.and_then(|text| Secret::parse(&text).ok()))
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// A span of time, as a number of any kind or as the text of one.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    // Seconds are far below what a double cannot count.
    Ok(number
        .filter(|number: &f64| number.is_finite())
        .map(|number| number as i64))
}

/// The errors that a token endpoint knows (RFC 6749 section 5.2, RFC 8628 section 3.5).
const KNOWN: [&str; 10] = [
    "access_denied",
    "authorization_pending",
    "expired_token",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "slow_down",
    "unauthorized_client",
    "unsupported_grant_type",
];

impl Answer {
    /// What the token endpoint has decided. Whatever else answers in its place (a gateway, a limit of
    /// requests) may say `error` too, and decides nothing.
    pub(super) fn verdict(&self, status: StatusCode) -> Option<&str> {
        let decides = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED].contains(&status);
        let error = self.error.as_deref().filter(|_| decides)?;
        KNOWN.contains(&error).then_some(error)
    }
}

/// A span that the Hub may leave out, and that makes sense.
pub(super) fn span(seconds: Option<i64>, usual: u64, most: u64) -> Duration {
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.unwrap_or(usual).clamp(1, most))
}
