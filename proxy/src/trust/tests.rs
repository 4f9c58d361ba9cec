use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;

/// What a test certificate says.
struct Made {
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// As `openssl req -x509` makes it.
fn own_root(change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut parameters = parameters("server.test");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut parameters);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    Made { der: certificate.der().clone(), pem: certificate.pem(), key }
}

fn server_with(made: &Made) -> ServerConnection {
    let key = PrivateKeyDer::try_from(made.key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(library::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der.clone()], key)
        .unwrap();
    ServerConnection::new(Arc::new(config)).unwrap()
}

/// A whole handshake in memory with a server that shows `made`, asked for by `name`: how it ended.
fn shake(client: ClientConfig, made: &Made, name: &str) -> Option<Error> {
    let mut server = server_with(made);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    while client.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        if let Err(error) = server.process_new_packets() {
            return Some(error);
        }
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        if let Err(error) = client.process_new_packets() {
            return Some(error);
        }
    }
    None
}

fn trusting(pem: &str) -> ClientConfig {
    let mut roots = Roots::none();
    assert_eq!(roots.add_file(Path::new("ca.pem"), pem.as_bytes()), Ok(()));
    client(roots).unwrap()
}

#[test]
fn a_certificate_that_is_itself_the_configured_root_is_accepted() {
    let made = own_root(|_| {});
    assert_eq!(shake(trusting(&made.pem), &made, "server.test"), None);
}

#[test]
fn such_a_certificate_still_needs_its_name_and_its_dates_and_every_byte() {
    let made = own_root(|_| {});
    let refused = |client, made: &Made, name| shake(client, made, name).unwrap().to_string();
    let other_name = refused(trusting(&made.pem), &made, "other.test");
    assert!(other_name.contains("not valid for name"), "{other_name}");
    let old = own_root(|p| p.not_after = rcgen::date_time_ymd(2001, 1, 1));
    let expired = refused(trusting(&old.pem), &old, "server.test");
    assert!(expired.contains("expired"), "{expired}");
    let early = own_root(|p| p.not_before = rcgen::date_time_ymd(2999, 1, 1));
    let early = refused(trusting(&early.pem), &early, "server.test");
    assert!(early.contains("not valid yet"), "{early}");
    // The same names, another key.
    let twin = own_root(|_| {});
    let error = refused(trusting(&made.pem), &twin, "server.test");
    assert!(error.contains("CaUsedAsEndEntity") || error.contains("UnknownIssuer"), "{error}");
    let nobody = refused(client(Roots::none()).unwrap(), &made, "server.test");
    assert!(nobody.contains("invalid peer certificate"), "{nobody}");
}

#[test]
fn an_authority_that_was_not_configured_itself_is_no_server() {
    let root = own_root(|_| {});
    let issuer = CertifiedIssuer::self_signed(
        {
            let mut p = parameters("root.test");
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            p
        },
        KeyPair::generate().unwrap(),
    )
    .unwrap();
    let key = KeyPair::generate().unwrap();
    let mut below = parameters("server.test");
    below.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let below = below.signed_by(&key, &issuer).unwrap();
    let made = Made { der: below.der().clone(), pem: below.pem(), key };
    assert!(shake(trusting(&issuer.pem()), &made, "server.test").is_some());
    assert!(shake(trusting(&root.pem), &made, "server.test").is_some());
}

#[test]
fn anything_is_accepted_only_where_that_was_asked_for_and_must_still_have_its_key() {
    let made = own_root(|_| {});
    assert_eq!(shake(client_of_anybody().unwrap(), &made, "anything.test"), None);
}

/// Whoever reads a file of roots takes it in the same way: at the start, at a connection, and for Redis.
#[test]
fn a_file_needs_one_certificate_that_can_be_a_root_and_may_have_others() {
    let good = own_root(|_| {}).pem;
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = KeyPair::generate().unwrap().serialize_pem();
    let take = |text: &str| Roots::none().add_file(Path::new("/etc/ca.pem"), text.as_bytes());
    for text in [good.clone(), format!("{odd}{good}"), format!("# ours\n{key}{good}{good}")] {
        assert_eq!(take(&text), Ok(()), "{text}");
    }
    for text in ["", "no certificate here\n", odd, &key, "-----BEGIN CERTIFICATE-----\nAAA"] {
        let error = take(text).unwrap_err();
        assert!(error.contains("/etc/ca.pem") && error.contains("PEM"), "{error}");
    }
    let cut = format!("{good}-----BEGIN CERTIFICATE-----\nAAA");
    assert!(take(&cut).is_err(), "a file that was cut off");
}
