//! A login: asked of the Hub here, outside the engine's queue, then stored by the engine.

use hfd_proto::{Error, Kind, Login, LoginReply};

use crate::daemon::Daemon;

pub(super) async fn answer(daemon: &Daemon, request: Login) -> Result<LoginReply, Error> {
    if request.token.expose().starts_with("api_org_") {
        // Upstream's words (`_login.py`); the Hub accepts such a token and then half works.
        return Err(Error::new(
            Kind::Refused,
            "this is an organization token; a personal access token is needed",
        )
        .hint("make one at https://huggingface.co/settings/tokens"));
    }
    let identity = match request.offline {
        true => None,
        false => {
            let endpoint = request.endpoint.clone().unwrap_or_default();
            Some(daemon.hub.whoami(&endpoint, &request.token, &request.network).await?)
        }
    };
    daemon.engine.login(Box::new(request), identity).await
}
