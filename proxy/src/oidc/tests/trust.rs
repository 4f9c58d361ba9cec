//! Whose certificate the provider may show.

use super::hostile::{Hostile, Reply};
use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::io::Write as _;
use tokio_rustls::TlsAcceptor;

/// A provider with a certificate for `localhost`, and the PEM of the authority behind it.
async fn provider() -> (Hostile, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(
        vec![certificate.der().clone()],
        PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
    )
    .unwrap();
    let hostile = Hostile::start_tls(TlsAcceptor::from(Arc::new(config))).await;
    (hostile, authority.pem())
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_named_as_the_reason() {
    let (hostile, _) = provider().await;
    let client = start(config(&hostile.issuer));
    eventually("an error", || client.status().error.is_some()).await;
    let error = client.status().error.unwrap();
    assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn an_authority_given_in_a_file_is_trusted_also_when_the_file_comes_later() {
    let (hostile, pem) = provider().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"not yet\n").unwrap();
    let mut config = config(&hostile.issuer);
    config.tls.ca_files = vec![file.path().to_owned()];
    let client = start(config);
    eventually("an error", || client.status().error.is_some()).await;
    let error = client.status().error.unwrap();
    assert!(error.contains("holds no PEM certificate"), "{error}");
    file.write_all(pem.as_bytes()).unwrap();
    eventually("the provider is found", || client.status().ready).await;
}

#[tokio::test]
async fn any_certificate_is_accepted_only_when_asked_for() {
    let (hostile, _) = provider().await;
    let mut config = config(&hostile.issuer);
    config.tls.insecure_skip_verify = true;
    login(&start(config)).await;
}

#[tokio::test]
async fn nothing_leads_from_https_to_http() {
    let ((hostile, _), plain) = (provider().await, Hostile::start().await);
    let mut config = config(&hostile.issuer);
    config.tls.insecure_skip_verify = true;
    plain.set("/document", Reply::Json(200, hostile.document()));
    hostile.set(
        "/.well-known/openid-configuration",
        Reply::Redirect(format!("{}/document", plain.issuer)),
    );
    let client = start(config);
    eventually("an error", || client.status().error.is_some()).await;
    let error = client.status().error.unwrap();
    assert!(
        error.contains("from https to http") && plain.requests("/document").is_empty(),
        "{error}"
    );
}
