//! A login: asked of the Hub here, outside the engine's queue, then stored by the engine.

use hfd_proto::{Error, Login, LoginReply};

use crate::daemon::Daemon;
use crate::engine::Arrival;

pub(super) async fn answer(daemon: &Daemon, request: Login) -> Result<LoginReply, Error> {
    let identity = match request.offline {
        true => None,
        false => {
            let endpoint = daemon.endpoint(request.endpoint.as_ref());
            Some(
                daemon
                    .hub
                    .whoami(&endpoint, &request.token, &request.network)
                    .await?,
            )
        }
    };
    let arrival = Arrival {
        request,
        identity,
        session: None,
    };
    daemon.engine.login(Box::new(arrival)).await
}
