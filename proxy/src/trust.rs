//! Whose certificates we accept where we are the client: of the provider, of Redis, of upstreams. Roots come from the system,
//! from files, or from both; or anything will do, which has to be asked for. No socket is opened here.

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs as library};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error};
use rustls::{ConfigBuilder, RootCertStore, SignatureScheme, WantsVerifier};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Trusted roots.
pub(crate) struct Roots {
    store: RootCertStore,
    /// Each root as it was given, hashed: the whole certificate is not in the store.
    whole: HashSet<WholeHash>,
}

type WholeHash = [u8; 32];

impl Roots {
    /// Nobody is trusted.
    pub(crate) fn none() -> Self {
        Self { store: RootCertStore::empty(), whole: HashSet::new() }
    }

    /// Adds the system's and says how many there are. Blocking, and slow where there are many.
    pub(crate) fn add_system(&mut self) -> usize {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some root certificates of the system can not be read");
        }
        self.add_all(found.certs)
    }

    /// Adds the certificates of `text`, that of the PEM file at `path`. Those that can not be a root are left out, as there are
    /// such in the bundles that people copy; but one at least must be.
    ///
    /// # Errors
    /// A text that names the file.
    pub(crate) fn add_file(&mut self, path: &Path, text: &[u8]) -> Result<(), String> {
        let file = path.display();
        let found: Vec<_> = CertificateDer::pem_slice_iter(text)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("the file {file} is not in PEM form: {error}"))?;
        let (all, added) = (found.len(), self.add_all(found));
        if added == 0 {
            return Err(format!("the file {file} holds no PEM certificate that can be a root"));
        }
        if added < all {
            let left_out = all - added;
            tracing::warn!(%file, left_out, "certificates that can not be a root are left out");
        }
        Ok(())
    }

    fn add_all(&mut self, certificates: Vec<CertificateDer<'static>>) -> usize {
        let mut added = 0;
        for certificate in certificates {
            let print = fingerprint(&certificate);
            if self.store.add(certificate).is_ok() {
                self.whole.insert(print);
                added += 1;
            }
        }
        added
    }
}

/// A client that accepts servers which prove themselves by `roots`.
///
/// # Errors
/// The TLS library refuses its own settings.
pub(crate) fn client(roots: Roots) -> Result<ClientConfig, String> {
    let builder = builder()?;
    if roots.whole.is_empty() {
        return Ok(builder.with_root_certificates(roots.store).with_no_client_auth());
    }
    let provider = Arc::clone(builder.crypto_provider());
    let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.store), provider)
        .build()
        .map_err(|error| error.to_string())?;
    let verifier = Arc::new(Rooted { usual, whole: roots.whole });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// A client that accepts any certificate: the handshake must be signed by the one shown, whosever that is.
///
/// # Errors
/// As [`client`].
pub(crate) fn client_of_anybody() -> Result<ClientConfig, String> {
    let builder = builder()?;
    let verifier = Arc::new(AnyCertificate(Arc::clone(builder.crypto_provider())));
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(library::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

fn fingerprint(certificate: &CertificateDer<'_>) -> WholeHash {
    let hash = digest(&SHA256, certificate.as_ref());
    let mut print = [0; 32];
    print.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    print
}

/// The usual check, and one thing more: a root may be the server's own certificate. `openssl req -x509` makes one that calls
/// itself an authority, and the usual check takes no authority for a server, although whoever configured it named this very
/// certificate.
#[derive(Debug)]
struct Rooted {
    usual: Arc<WebPkiServerVerifier>,
    whole: HashSet<WholeHash>,
}

impl ServerCertVerifier for Rooted {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.usual.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The kind of error of an authority in the place of a server. The dates are looked at before, and have an error
            // of their own; the name is not looked at yet.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.whole.contains(&fingerprint(certificate)) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// For settings that skip verification.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
