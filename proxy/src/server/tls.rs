//! TLS for clients: one configuration for the life of the process, with a certificate that can be replaced under it.

use proxy_config::TlsVersion;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

const VERSIONS_12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const VERSIONS_13: &[&SupportedProtocolVersion] = &[&TLS13];

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The chain.
    #[error("no usable certificate in the PEM file: {0}")]
    Certificate(String),
    /// The key.
    #[error("no usable private key in the PEM text: {0}")]
    Key(String),
    /// Each is fine for itself.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The library can not do what was asked.
    #[error("TLS can not be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The certificate in force. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Certificate(Arc<Resolver>);

#[derive(Debug)]
struct Resolver(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificate {
    /// Reads a PEM chain, leaf first, and its PEM key.
    ///
    /// # Errors
    /// What is wrong with either, or that they do not belong together.
    pub(crate) fn new(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Resolver(RwLock::new(Arc::new(parse(chain, key)?))))))
    }

    /// Serves another certificate from the next handshake on.
    ///
    /// # Errors
    /// As [`Certificate::new`]; the one in force stays then.
    pub(crate) fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        let parsed = Arc::new(parse(chain, key)?);
        *self.0.0.write().unwrap_or_else(PoisonError::into_inner) = parsed;
        Ok(())
    }

    /// The acceptor of all workers.
    pub(super) fn acceptor(&self, oldest: TlsVersion) -> Result<TlsAcceptor, TlsError> {
        let versions = match oldest {
            TlsVersion::Tls12 => VERSIONS_12,
            TlsVersion::Tls13 => VERSIONS_13,
        };
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(versions)?
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(&self.0) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Sealed tickets instead of a table of sessions: nothing to share between workers, nothing that grows.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.send_tls13_tickets = 1;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn parse(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Certificate("there is none in it".to_owned()));
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
    let key = aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|error| TlsError::Key(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch),
        Err(error) => Err(TlsError::Certificate(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["proxy.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_bad_certificate_leaves_the_last_good_one_in_force() {
        let (first, second) = (pair(), pair());
        let certificate = Certificate::new(first.0.as_bytes(), first.1.as_bytes()).unwrap();
        let served = |certificate: &Certificate| certificate.0.0.read().unwrap().cert[0].clone();
        let before = served(&certificate);
        for (chain, key) in [(&first.0, &second.1), (&first.1, &first.1), (&first.0, &first.0)] {
            assert!(certificate.replace(chain.as_bytes(), key.as_bytes()).is_err());
            assert_eq!(served(&certificate), before);
        }
        certificate.replace(second.0.as_bytes(), second.1.as_bytes()).unwrap();
        assert_ne!(served(&certificate), before);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (first, second) = (pair(), pair());
        let error = |chain: &str, key: &str| {
            Certificate::new(chain.as_bytes(), key.as_bytes()).unwrap_err()
        };
        assert!(matches!(error("", &first.1), TlsError::Certificate(_)));
        assert!(matches!(error(&first.0, "no key"), TlsError::Key(_)));
        assert!(matches!(error(&first.0, &second.1), TlsError::Mismatch));
    }
}
