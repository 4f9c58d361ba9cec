//! The cluster's certificates and kubeconfigs, made anew for each cluster.

use base64_simd::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::json;

use crate::cluster::network::Network;
use crate::cluster::state::State;
use crate::error::{Error, Result};

/// The name of the only node.
pub(crate) const NODE: &str = "node1";

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

struct Leaf {
    certificate: String,
    key: String,
}

/// A client with a kubeconfig of its own: file name, common name, organisation.
const CLIENTS: [(&str, &str, Option<&str>); 5] = [
    ("kubeconfig", "admin", Some("system:masters")),
    ("pki/controller-manager.kubeconfig", "system:kube-controller-manager", None),
    ("pki/scheduler.kubeconfig", "system:kube-scheduler", None),
    ("pki/proxy.kubeconfig", "system:kube-proxy", None),
    ("pki/node.kubeconfig", "system:node:node1", Some("system:nodes")),
];

/// Writes all keys, certificates and kubeconfigs of the cluster called `name`.
pub(crate) fn write(state: &State, name: &str, network: &Network) -> Result<()> {
    let ca = authority(state)?;
    let server = vec![
        dns("kubernetes")?,
        dns("kubernetes.default")?,
        dns("kubernetes.default.svc")?,
        dns("kubernetes.default.svc.cluster.local")?,
        dns("localhost")?,
        SanType::IpAddress([127, 0, 0, 1].into()),
        SanType::IpAddress(network.api.into()),
        SanType::IpAddress(network.node.into()),
    ];
    save(state, "apiserver", &leaf(&ca, ("kube-apiserver", None), server)?)?;
    let node = vec![dns(NODE)?, SanType::IpAddress(network.node.into())];
    save(state, "kubelet", &leaf(&ca, (NODE, None), node)?)?;
    let to_kubelet = ("apiserver-kubelet", Some("system:masters"));
    save(state, "apiserver-kubelet", &leaf(&ca, to_kubelet, vec![])?)?;
    save(state, "front-proxy", &leaf(&ca, ("front-proxy", None), vec![])?)?;
    let tokens = KeyPair::generate().map_err(failed)?;
    state.write("pki/tokens.key", tokens.serialize_pem())?;
    state.write("pki/tokens.pub", tokens.public_key_pem())?;
    for (file, common_name, organisation) in CLIENTS {
        let client = leaf(&ca, (common_name, organisation), vec![])?;
        state.write(file, kubeconfig(name, network, &ca, &client))?;
    }
    Ok(())
}

fn authority(state: &State) -> Result<Ca> {
    let mut params = params(("harness", None), vec![])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    params.extended_key_usages.clear();
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?.pem();
    state.write("pki/ca.crt", &certificate)?;
    state.write("pki/ca.key", key.serialize_pem())?;
    Ok(Ca { issuer: Issuer::new(params, key), certificate })
}

fn leaf(ca: &Ca, subject: (&str, Option<&str>), names: Vec<SanType>) -> Result<Leaf> {
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = params(subject, names)?;
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &ca.issuer).map_err(failed)?;
    Ok(Leaf { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn params(subject: (&str, Option<&str>), names: Vec<SanType>) -> Result<CertificateParams> {
    let (common_name, organisation) = subject;
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organisation) = organisation {
        name.push(DnType::OrganizationName, organisation);
    }
    params.distinguished_name = name;
    params.subject_alt_names = names;
    // The clock of a test machine may be off by days; a cluster lives for hours.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn dns(name: &str) -> Result<SanType> {
    name.try_into().map(SanType::DnsName).map_err(failed)
}

fn save(state: &State, name: &str, leaf: &Leaf) -> Result<()> {
    state.write(&format!("pki/{name}.crt"), &leaf.certificate)?;
    state.write(&format!("pki/{name}.key"), &leaf.key)
}

/// A kubeconfig with everything inline, so that the file can be copied.
fn kubeconfig(name: &str, network: &Network, ca: &Ca, client: &Leaf) -> String {
    let encode = |pem: &str| STANDARD.encode_to_string(pem);
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "server": format!("https://{}:6443", network.node),
            "certificate-authority-data": encode(&ca.certificate),
        }}],
        "users": [{"name": name, "user": {
            "client-certificate-data": encode(&client.certificate),
            "client-key-data": encode(&client.key),
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    });
    format!("{document:#}\n")
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err takes")]
fn failed(error: rcgen::Error) -> Error {
    Error::Need(format!("cannot make a certificate: {error}"))
}
