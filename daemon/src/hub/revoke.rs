//! Ending a token everywhere.

use hfd_proto::{Endpoint, Error, Kind, Network, Secret};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Serialize;

use super::{Hub, answer, failure};

#[derive(Serialize)]
struct Request<'a> {
    credentials: &'a [Secret],
}

impl Hub {
    /// Has the Hub at `endpoint` revoke credentials of its own for good (`POST
    /// /api/credentials/revoke`, Hub documentation, "User access tokens"). It asks for no
    /// authorisation, since who has a token may end it, and answers 202 whether it knew them or not.
    ///
    /// # Errors
    /// As [`Hub::whoami`]; they may then still be valid.
    pub async fn revoke(
        &self,
        endpoint: &Endpoint,
        credentials: &[Secret],
        network: &Network,
    ) -> Result<(), Error> {
        let route = self.route(endpoint, network)?;
        let client = self.client(&route).await?;
        let body = serde_json::to_vec(&Request { credentials })
            .map_err(|_| Error::new(Kind::Other, "the request cannot be written"))?;
        let sent = client
            .post(format!("{endpoint}/api/credentials/revoke"))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await;
        let response = sent.map_err(|error| failure::explain(&error, endpoint, &route))?;
        // 202 and no other: a network that wants a login of its own says 200 to everything.
        match answer::expect(StatusCode::ACCEPTED, response, endpoint, credentials).await {
            Ok(_) => Ok(()),
            Err(refusal) => Err(refusal.error),
        }
    }
}
