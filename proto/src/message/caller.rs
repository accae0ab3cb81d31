//! What a request says of its caller.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The caller's Hugging Face home: the absolute path of its `token` file as huggingface_hub
/// resolves it (`HF_TOKEN_PATH`, else `HF_HOME/token`). `stored_tokens` lies beside it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Home {
    /// The path of the `token` file.
    pub token_path: PathBuf,
}

/// Variables of the caller's environment that say how to reach the Hub. They serve the one request
/// that carries them. Values are as in the environment; `ca_pem` is the content of the bundle.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// `HTTPS_PROXY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_proxy: Option<String>,
    /// `HTTP_PROXY` (lower case only, as curl: the upper-case one can be forged by CGI).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_proxy: Option<String>,
    /// `ALL_PROXY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_proxy: Option<String>,
    /// `NO_PROXY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// The certificates of `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE` or `SSL_CERT_FILE`, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

impl std::fmt::Debug for Network {
    /// A proxy's URL may hold a password, so only what is set is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("https_proxy", &self.https_proxy.is_some())
            .field("http_proxy", &self.http_proxy.is_some())
            .field("all_proxy", &self.all_proxy.is_some())
            .field("no_proxy", &self.no_proxy)
            .field("ca_pem", &self.ca_pem.is_some())
            .finish()
    }
}
