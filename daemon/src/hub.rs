//! The Hub: the only module that speaks HTTP.
//!
//! A token goes to the endpoint that the caller names and nowhere else: no redirect is followed,
//! and a proxy only ever sees a TLS tunnel. Nothing is read from the daemon's environment except
//! what the system's own certificate store honours (`SSL_CERT_FILE`, `SSL_CERT_DIR`).
//!
//! What is not protected: the copies of a token in the buffers of the HTTP and TLS libraries are
//! freed without being wiped.

mod answer;
mod failure;
mod oauth;
mod revoke;
mod route;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hfd_proto::{Endpoint, Error, Kind, Secret, TokenKind};
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use zeroize::Zeroizing;

use crate::config::{self, Config};
pub use oauth::{CLIENT_ID, DeviceCode, Granted, NotRenewed, Poll};
use route::Route;

/// The way to every Hub.
#[derive(Debug)]
pub struct Hub {
    config: config::Network,
    hubs: BTreeMap<Endpoint, config::AtHub>,
    limits: Limits,
    kept: Arc<Mutex<Kept>>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// From the name's look-up to the end of the TLS handshake, proxy included.
    connect: Duration,
    /// From the first byte to the last of the answer. A client waits 45 s, so that this error,
    /// which says more, arrives first.
    total: Duration,
    /// How long an unused client stays: long enough for a burst of requests, short enough that an
    /// idle daemon holds no connection, no certificates and no timer.
    keep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(30),
            keep: Duration::from_secs(60),
        }
    }
}

/// The client of the configured route.
#[derive(Debug, Default)]
struct Kept {
    client: Option<Client>,
    /// Counts its uses, so that an old alarm does not end a client that was used since.
    uses: u64,
}

/// Whose token it is, as the Hub says. Every text is the Hub's own: escape it before it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's (or organisation's) name.
    pub user: String,
    /// The names of the organisations that the user belongs to.
    pub orgs: Vec<String>,
    /// `read`, `write`, `fineGrained` or another word of the Hub's.
    pub role: Option<String>,
    /// The name that the token was given in the Hub's settings; OAuth tokens have none.
    pub display_name: Option<String>,
    /// What sort of credential it is.
    pub kind: TokenKind,
    /// When it ends, in Unix seconds, where the Hub says.
    pub expires_at: Option<i64>,
}

/// Why the Hub did not say whose token it is.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// For a person.
    pub error: Error,
    /// Whether it does not know the token, rather than anything else.
    pub unknown: bool,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            unknown: false,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl Hub {
    /// Nothing is built and nothing is read before the first request.
    pub fn new(config: &Config) -> Self {
        Self {
            config: config.network.clone(),
            hubs: config.hub.clone(),
            limits: Limits::default(),
            kept: Arc::default(),
        }
    }

    /// Asks the Hub at `endpoint` whose token this is (`GET /api/whoami-v2`, huggingface_hub
    /// 2.4.0 `hf_api.py`). The route there, `network` before the configuration, serves this
    /// request alone. The Hub limits this request strictly: ask when a person wants to know.
    ///
    /// # Errors
    /// [`Kind::Refused`] where the Hub said no or answered with a redirect;
    /// [`Kind::HubUnreachable`] where no sensible answer came within 30 s; [`Kind::Usage`] where
    /// the proxy or the certificates cannot be used. No text holds the token, also where the Hub
    /// sent it back.
    pub async fn whoami(
        &self,
        endpoint: &Endpoint,
        token: &Secret,
        network: &hfd_proto::Network,
    ) -> Result<Identity, Refusal> {
        // huggingface_hub refuses these before it asks (`_login.py`).
        if token.expose().starts_with("api_org") {
            return Err(Error::new(
                Kind::Refused,
                "you must use your personal account token, not an organization token",
            )
            .hint(format!("make one at {endpoint}/settings/tokens"))
            .into());
        }
        let route = self.route(endpoint, network)?;
        let client = self.client(&route).await?;
        let sent = client
            .get(format!("{endpoint}/api/whoami-v2"))
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, bearer(token)?)
            .send()
            .await;
        match sent {
            Ok(response) => answer::identity(response, endpoint, token).await,
            Err(error) => Err(failure::explain(&error, endpoint, &route).into()),
        }
    }

    /// The client that browser logins at `endpoint` are made as.
    pub fn client_id(&self, endpoint: &Endpoint) -> String {
        let configured = self.set(endpoint, |hub| hub.client_id.clone());
        configured.unwrap_or_else(|| CLIENT_ID.to_owned())
    }

    /// What the configuration sets for an endpoint: with the endpoint itself, else with the Hub that
    /// it is an alias of.
    fn set<T>(&self, endpoint: &Endpoint, what: impl Fn(&config::AtHub) -> Option<T>) -> Option<T> {
        let own = self.hubs.get(endpoint).and_then(&what);
        let owners = self.hubs.values();
        let mut owners = owners.filter(|hub| hub.aliases.contains(endpoint));
        own.or_else(|| owners.find_map(what))
    }

    /// The way to `endpoint` for one request.
    fn route(&self, endpoint: &Endpoint, network: &hfd_proto::Network) -> Result<Route, Error> {
        match self.set(endpoint, |hub| hub.ca_file.clone()) {
            None => Route::of(&self.config, network),
            ca_file => Route::of(
                &config::Network {
                    ca_file,
                    ..self.config.clone()
                },
                network,
            ),
        }
    }

    /// The kept client where the route is the configured one, else one for this request alone.
    async fn client(&self, route: &Route) -> Result<Client, Error> {
        let configured = Route::of(&self.config, &hfd_proto::Network::default());
        if configured.is_ok_and(|configured| configured == *route) {
            let kept = self.lock().client.clone();
            let client = match kept {
                Some(client) => client,
                None => self.build(route).await?,
            };
            self.keep(client.clone());
            return Ok(client);
        }
        self.build(route).await
    }

    /// Reading the system's certificates takes 5 to 20 ms and may wait for a disk, so it happens
    /// beside the event loop.
    async fn build(&self, route: &Route) -> Result<Client, Error> {
        let (route, limits) = (route.clone(), self.limits);
        tokio::task::spawn_blocking(move || route.build(limits))
            .await
            .map_err(|_| Error::new(Kind::Other, "building the HTTP client failed"))?
    }

    fn keep(&self, client: Client) {
        let uses = {
            let mut kept = self.lock();
            kept.client = Some(client);
            kept.uses += 1;
            kept.uses
        };
        let (kept, patience) = (Arc::clone(&self.kept), self.limits.keep);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.uses == uses {
                kept.client = None;
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose()));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Error::new(Kind::Usage, "the token cannot stand in an HTTP header"))?;
    // Keeps it out of the library's own Debug output.
    value.set_sensitive(true);
    Ok(value)
}
