//! The TLS listener and its certificate.

use super::{PATIENCE, Proxy, key_file};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Accepts any certificate: the test compares it with the one it made.
#[derive(Debug)]
struct Any;

impl ServerCertVerifier for Any {
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
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The certificate that a new handshake gets.
fn served(address: SocketAddr) -> CertificateDer<'static> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any))
        .with_no_client_auth();
    let mut connection =
        ClientConnection::new(Arc::new(config), "proxy.example".try_into().unwrap()).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).unwrap();
    }
    connection.peer_certificates().unwrap()[0].clone().into_owned()
}

fn write_pair(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["proxy.example".to_owned()]).unwrap();
    fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
    fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

#[test]
fn a_renewed_certificate_is_served_and_a_broken_one_is_not() {
    let (folder, key) = key_file();
    let first = write_pair(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let proxy = Proxy::start(&[
        "--provider=oidc".to_owned(),
        "--oidc-issuer-url=http://127.0.0.1:1".to_owned(),
        "--client-id=app".to_owned(),
        "--client-secret=secret".to_owned(),
        format!("--cookie-secret-file={}", key.display()),
        "--email-domain=*".to_owned(),
        "--https-address=127.0.0.1:0".to_owned(),
        "--admin-address=127.0.0.1:0".to_owned(),
        format!("--tls-cert-file={}", file("tls.crt")),
        format!("--tls-key-file={}", file("tls.key")),
    ]);
    let address = proxy.address("https");
    assert_eq!(served(address), first);

    fs::write(folder.path().join("tls.crt"), "no certificate\n").unwrap();
    let (status, _) = proxy.until(|status| !status["reload"]["lastError"].is_null());
    let message = status["reload"]["lastError"].as_str().unwrap().to_owned();
    assert!(message.contains("tls-cert-file"), "{message}");
    assert_eq!(served(address), first);

    let second = write_pair(folder.path());
    proxy.until(|status| status["reload"]["lastError"].is_null());
    let start = Instant::now();
    while served(address) != second {
        assert!(start.elapsed() < PATIENCE, "the renewed certificate is not served");
    }
}
