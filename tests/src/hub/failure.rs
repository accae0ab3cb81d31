use std::time::Duration;

/// What goes wrong at the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// This status, with an error body as the Hub writes it.
    Status(u16),
    /// 429, with the seconds to wait in `Retry-After`.
    RateLimited(u32),
    /// 307 to this URL.
    Redirect(String),
    /// The right answer, this late.
    Delay(Duration),
    /// Nothing, for as long as the Hub stands.
    Hang,
    /// The connection is closed instead of an answer.
    Close,
    /// Bytes that are no HTTP.
    Garbage,
    /// Status 200 and a body of this many bytes that never becomes JSON.
    Endless(usize),
    /// Status 200 and this body.
    Body(String),
}
