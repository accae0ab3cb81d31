//! A mock Hub: `whoami-v2` as huggingface.co answers it, failures on demand, and a log of what
//! arrived.
//!
//! It speaks HTTP over threads and plain sockets rather than through a web framework, because half
//! of what it is for lies below one: answers that are cut off, are no HTTP, or never come.

mod account;
mod certificate;
mod failure;
mod http;
mod proxy;
mod server;

pub use account::Account;
pub use certificate::Certificate;
pub use failure::Failure;
pub use http::Seen;
pub use proxy::Proxy;
pub use server::Hub;
