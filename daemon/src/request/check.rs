//! A program had a token refused, such as git: the Hub is asked once, and nobody waits for it.

use std::sync::Arc;

use hfd_proto::{Check, Checking, Whoami};

use super::whoami;
use crate::daemon::Daemon;

/// A value that is not stored is sent nowhere: whoever asks may have mistyped a password of something
/// else.
pub(super) fn answer(daemon: &Arc<Daemon>, request: Check) -> Checking {
    let index = Arc::clone(&daemon.snapshot().index);
    let print = index.salt.fingerprint(&request.token);
    let name = index.name_of(print, None);
    let own = name.and_then(|name| index.tokens.get(name));
    let is_its_hub = own.is_some_and(|own| {
        daemon
            .config
            .same_endpoint(&own.endpoint, &request.endpoint)
    });
    if is_its_hub && !index.locked && daemon.checks.begin(print) {
        let daemon = Arc::clone(daemon);
        tokio::spawn(async move {
            // It goes to the token's own Hub, by the daemon's own way.
            let question = Whoami {
                token: Some(request.token),
                ..Whoami::default()
            };
            match whoami::answer(&daemon, question).await {
                Ok(_) => tracing::debug!("a token that a program had refused is good"),
                Err(error) => tracing::info!(%error, "a token that a program had refused"),
            }
        });
    }
    Checking {}
}
