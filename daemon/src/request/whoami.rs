//! Whose token it is, asked of its own Hub and of no other.

use std::sync::Arc;
use std::time::Duration;

use hfd_proto::{Endpoint, Error, Kind, Network, Secret, Token, TokenName, Whoami, WhoamiReply};
use tokio::time::{Instant, timeout_at};

use crate::daemon::Daemon;
use crate::hub::{Identity, Refusal};
use crate::request::token;

/// How long the Hub may take for everything: asked once, for a renewal, and asked again. A client
/// waits 45 s.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) async fn answer(daemon: &Arc<Daemon>, request: Whoami) -> Result<WhoamiReply, Error> {
    let latest = Instant::now() + PATIENCE;
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
                ..Token::default()
            };
            let stored = token::answer(daemon, wanted).await?;
            (stored.token, stored.name, Some(stored.endpoint))
        }
    };
    let endpoint = destination(daemon, own, request.endpoint)?;
    let asked = Asked {
        daemon,
        endpoint: &endpoint,
        network: &request.network,
        name: name.as_ref(),
    };
    let identity = match timeout_at(latest, asked.whose(value)).await {
        Ok(identity) => identity?,
        Err(_) => {
            let message = format!("the Hub at {endpoint} takes too long to answer");
            return Err(Error::new(Kind::HubUnreachable, message).hint("repeat it later"));
        }
    };
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

/// A question to the Hub.
struct Asked<'a> {
    daemon: &'a Arc<Daemon>,
    endpoint: &'a Endpoint,
    network: &'a Network,
    name: Option<&'a TokenName>,
}

impl Asked<'_> {
    /// Whose a value is. A stored one that the Hub does not know is renewed where that is possible,
    /// and otherwise not asked about again for a while: the Hub limits this request strictly.
    async fn whose(&self, value: Secret) -> Result<Identity, Error> {
        let daemon = self.daemon;
        let print = daemon.snapshot().index.salt.fingerprint(&value);
        if let Some(error) = daemon.refusals.recent(print) {
            return Err(error);
        }
        let refusal = match self.ask(&value).await {
            Ok(identity) => return Ok(identity),
            Err(refusal) if !refusal.unknown => return Err(refusal.error),
            Err(refusal) => refusal.error,
        };
        if let Some(name) = self.name {
            let snapshot = daemon.snapshot();
            let record = snapshot.index.tokens.get(name);
            if let Some(record) = record.filter(|record| record.refresh.is_some())
                && daemon.renew_when_allowed(name, record).await.is_ok()
                && let Some(record) = daemon.snapshot().index.tokens.get(name)
                && record.access != print
            {
                let renewed = daemon.value(name, record).await?;
                return Ok(self.ask(&renewed).await?);
            }
            daemon.engine.rejected(name.clone(), print);
        }
        daemon.refusals.remember(print, &refusal);
        Err(refusal)
    }

    async fn ask(&self, value: &Secret) -> Result<Identity, Refusal> {
        let Self {
            daemon,
            endpoint,
            network,
            ..
        } = self;
        daemon.hub.whoami(endpoint, value, network).await
    }
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
        (own, asked) => Ok(daemon.endpoint(asked.or(own).as_ref())),
    }
}
