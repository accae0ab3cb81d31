//! Whose token it is, asked of its own Hub and of no other.

use std::sync::Arc;

use hfd_proto::{Endpoint, Error, Kind, Token, Whoami, WhoamiReply};

use crate::daemon::Daemon;
use crate::request::token;

pub(super) async fn answer(daemon: &Arc<Daemon>, request: Whoami) -> Result<WhoamiReply, Error> {
    let (value, name, own) = match request.token {
        // The caller's own value. If it is a stored one (`hfd exec` hands them out), its Hub is known
        // whatever the environment says; otherwise the caller says where it belongs.
        Some(value) if request.name.is_none() => {
            let index = Arc::clone(&daemon.snapshot().index);
            let name = index.name_of(index.salt.fingerprint(&value), None);
            let own = name.and_then(|name| index.tokens.get(name));
            let own = own.map(|record| record.endpoint.clone());
            (value, name.cloned(), own)
        }
        _ => {
            let wanted = Token {
                name: request.name,
                home: request.home,
                min_ttl: None,
            };
            let stored = token::answer(daemon, wanted).await?;
            (stored.token, stored.name, Some(stored.endpoint))
        }
    };
    let endpoint = destination(daemon, own, request.endpoint)?;
    let identity = daemon
        .hub
        .whoami(&endpoint, &value, &request.network)
        .await?;
    let index = Arc::clone(&daemon.snapshot().index);
    let record = name.as_ref().and_then(|name| index.tokens.get(name));
    let reply = WhoamiReply {
        user: identity.user,
        orgs: identity.orgs,
        endpoint,
        name,
        role: identity.role,
        expires_at: record
            .and_then(|record| record.expires_at)
            .or(identity.expires_at),
        renews: record.is_some_and(|record| record.refresh.is_some()),
    };
    daemon.engine.learn(reply.clone());
    Ok(reply)
}

/// Where a token is sent: to its own Hub, or to the one asked for if that is the same.
fn destination(
    daemon: &Daemon,
    own: Option<Endpoint>,
    asked: Option<Endpoint>,
) -> Result<Endpoint, Error> {
    match (own, asked) {
        (Some(own), Some(asked)) if !daemon.config.same_endpoint(&own, &asked) => Err(Error::new(
            Kind::Refused,
            format!("this token belongs to {own}, not to {asked}"),
        )
        .hint("unset HF_ENDPOINT, or log in there with --endpoint")),
        (own, asked) => Ok(asked.or(own).unwrap_or_default()),
    }
}
