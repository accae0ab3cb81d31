use std::time::Duration;

/// What the Hub grants, and for how long. The defaults are the real Hub's, as far as they are
/// known: huggingface_hub 2.4.0 falls back to the same interval and lifetime of a device code, and
/// logs in for thirty days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How long a device code waits for the person.
    pub device_lifetime: Duration,
    /// How far apart polls must be, in whole seconds; a faster one is told to slow down.
    pub interval: Duration,
    /// The page that a person is sent to; the Hub's own `/oauth/device` when `None`.
    pub verification_uri: Option<String>,
    /// Whether there is a `verification_uri_complete`, which is optional (RFC 8628, section 3.2).
    pub complete_uri: bool,
    /// How long an access token works.
    pub access_lifetime: Duration,
    /// Whether an answer says so in `expires_in`, which is optional (RFC 6749, section 5.1).
    pub says_expiry: bool,
    /// Whether a refresh token works once and is answered by another; otherwise it stays, and the
    /// answer to a refresh has none.
    pub rotation: bool,
    /// Whether a refresh ends the access token before it. Not known of the real Hub.
    pub refresh_revokes: bool,
    /// The length of tokens in bytes. The real access token holds a JWT.
    pub token_length: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            device_lifetime: Duration::from_secs(900),
            interval: Duration::from_secs(5),
            verification_uri: None,
            complete_uri: true,
            access_lifetime: Duration::from_secs(30 * 24 * 3600),
            says_expiry: true,
            rotation: true,
            refresh_revokes: false,
            token_length: 400,
        }
    }
}
