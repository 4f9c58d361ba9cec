//! TLS towards upstreams. HTTP/2 is not offered: one pool and one code path serve all upstreams, and a connection that is
//! busy with one request is exactly what back-pressure wants.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

static VERIFYING: OnceCell<TlsConnector> = OnceCell::const_new();
static TRUSTING: OnceCell<TlsConnector> = OnceCell::const_new();

/// The connector for upstreams that must prove who they are by the system's roots, or, if `insecure`, need not.
///
/// Roots are read at the first use, off the async threads: they cost milliseconds that most processes never need.
pub(super) async fn connector(insecure: bool) -> TlsConnector {
    if insecure {
        return TRUSTING
            .get_or_init(async || TlsConnector::from(Arc::new(trusting())))
            .await
            .clone();
    }
    let load = async || {
        let roots = tokio::task::spawn_blocking(system_roots)
            .await
            .unwrap_or_else(|_| RootCertStore::empty());
        TlsConnector::from(Arc::new(verifying(roots)))
    };
    VERIFYING.get_or_init(load).await.clone()
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some root certificates of the system can not be read");
    }
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(
            "no root certificates found: https upstreams can not be verified; install ca-certificates"
        );
    }
    roots
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn verifying(roots: RootCertStore) -> ClientConfig {
    builder(provider()).with_root_certificates(roots).with_no_client_auth()
}

fn trusting() -> ClientConfig {
    let provider = provider();
    let verifier = AnyCertificate(provider.signature_verification_algorithms);
    builder(provider)
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

#[expect(
    clippy::expect_used,
    reason = "the provider's own cipher suites serve the default versions"
)]
fn builder(
    provider: Arc<CryptoProvider>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the default versions are supported")
}

/// For `insecureSkipTlsVerify`: any certificate will do, but the handshake must be signed by its key.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
