//! A certificate for what is measured over TLS, and clients that trust it.

use crate::Outcome;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name that it is for.
pub(crate) const HOST: &str = "bench.example";

/// Files with a certificate and its key.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// A new one, in `folder`.
    pub(crate) fn new(folder: &Path) -> Outcome<Self> {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        let new = Self { certificate: folder.join("tls.crt"), key: folder.join("tls.key") };
        fs::write(&new.certificate, made.cert.pem())?;
        fs::write(&new.key, made.signing_key.serialize_pem())?;
        Ok(new)
    }

    /// A client that offers `protocol` and nothing else.
    pub(crate) fn client(&self, protocol: &[u8]) -> Outcome<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate)?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Arc::new(config))
    }
}

/// A server that speaks both versions of HTTP.
pub(crate) fn server(certificate: &str, key: &str) -> Outcome<Arc<ServerConfig>> {
    let chain = vec![CertificateDer::from_pem_file(certificate)?];
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
