//! A mock Hub: `whoami-v2` and the browser login as huggingface.co answers them, access tokens that
//! expire, refresh tokens that work once, repositories for git, failures on demand, and a log of what arrived.
//!
//! It speaks HTTP over threads and plain sockets rather than through a web framework, because half
//! of what it is for lies below one: answers that are cut off, are no HTTP, or never come.

mod account;
mod certificate;
mod conversation;
mod device;
mod failure;
mod form;
mod git;
mod grant;
mod http;
mod oauth;
mod person;
mod policy;
mod proxy;
mod routes;
mod server;

#[cfg(test)]
mod tests;

pub use account::Account;
pub use certificate::Certificate;
pub use device::Device;
pub use failure::Failure;
pub use grant::Grant;
pub use http::Seen;
pub use oauth::Reason;
pub use policy::Policy;
pub use proxy::Proxy;
pub use routes::Refusal;
pub use server::Hub;
