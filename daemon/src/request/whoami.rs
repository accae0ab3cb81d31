//! Whose token it is, asked of its own Hub and of no other.

use std::sync::Arc;

use hfd_proto::{Error, Kind, Token, Whoami, WhoamiReply};

use crate::daemon::Daemon;
use crate::request::token;

pub(super) async fn answer(daemon: &Arc<Daemon>, request: Whoami) -> Result<WhoamiReply, Error> {
    let (value, name, endpoint) = match request.token {
        // The caller's own value: it says itself where that belongs.
        Some(value) if request.name.is_none() => {
            (value, None, request.endpoint.unwrap_or_default())
        }
        _ => {
            let wanted = Token {
                name: request.name,
                home: request.home,
                min_ttl: None,
            };
            let stored = token::answer(daemon, wanted).await?;
            let asked = request.endpoint.unwrap_or_else(|| stored.endpoint.clone());
            if !daemon.config.same_endpoint(&stored.endpoint, &asked) {
                return Err(Error::new(
                    Kind::Refused,
                    format!("this token belongs to {}, not to {asked}", stored.endpoint),
                )
                .hint("unset HF_ENDPOINT, or log in there with --endpoint"));
            }
            (stored.token, stored.name, asked)
        }
    };
    let identity = daemon
        .hub
        .whoami(&endpoint, &value, &request.network)
        .await?;
    let reply = WhoamiReply {
        user: identity.user,
        orgs: identity.orgs,
        endpoint,
        name,
        role: identity.role,
    };
    daemon.engine.learn(reply.clone());
    Ok(reply)
}
