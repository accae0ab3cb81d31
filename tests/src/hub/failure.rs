use std::time::Duration;

/// What goes wrong at the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// This status, with an error body as the Hub writes it.
    Status(u16),
    /// 429, with the seconds to wait in `Retry-After`.
    RateLimited(u32),
    /// This status, with the seconds to wait in `Retry-After`.
    Later(u16, u32),
    /// This status and error in the words of OAuth, at `/oauth/…`.
    OAuth(u16, &'static str),
    /// This status and a page for people, as something in front of the Hub writes it.
    Gateway(u16),
    /// 307 to this URL.
    Redirect(String),
    /// The right answer, this late.
    Delay(Duration),
    /// Nothing, for as long as the Hub stands.
    Hang,
    /// The connection is closed instead of an answer, and nothing happened.
    Close,
    /// The request takes effect, and the connection is closed instead of the answer.
    Lost,
    /// The request takes effect, and the answer does not come for as long as the Hub stands.
    Held,
    /// Bytes that are no HTTP.
    Garbage,
    /// Status 200 and a body of this many bytes that never becomes JSON.
    Endless(usize),
    /// Status 200 and this body.
    Body(String),
}
