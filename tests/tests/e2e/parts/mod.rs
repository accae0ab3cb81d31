//! What the other tests stand on, without hfd: the harness, the mock Hub, the table of faults.

mod faults;
mod harness;
pub(crate) mod oauth_upstream;
