use std::sync::Arc;

use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate for `localhost`, `127.0.0.1` and `hub.test` that nobody but its holder trusts.
#[derive(Debug)]
pub struct Certificate {
    pem: String,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Certificate {
    /// A new one, signed by itself.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn self_signed() -> Self {
        let names = ["localhost", "127.0.0.1", "hub.test"].map(str::to_owned);
        let certified = generate_simple_self_signed(names).expect("a certificate can be made");
        Self {
            pem: certified.cert.pem(),
            certificate: certified.cert.der().clone(),
            key: certified.signing_key.serialize_der().into(),
        }
    }

    /// What a client puts into the file of `SSL_CERT_FILE`.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certificate.clone()],
                PrivateKeyDer::Pkcs8(self.key.clone_key()),
            )
            .expect("the key is the certificate's");
        Arc::new(config)
    }
}
