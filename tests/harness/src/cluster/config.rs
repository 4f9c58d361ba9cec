//! The configuration files of a node's components. Pure text; nothing here starts anything.

use std::path::Path;

use serde_json::{Value, json};

use crate::cluster::network::Network;
use crate::cluster::pki::NODE;
use crate::cluster::state::State;
use crate::error::Result;

/// The image that holds a pod's namespaces.
pub(crate) const PAUSE_IMAGE: &str = "registry.k8s.io/pause:3.10";

/// Where Debian puts the CNI plugins.
const CNI_PLUGINS: &str = "/usr/lib/cni";

/// Writes all configuration files.
pub(crate) fn write(
    state: &State,
    (name, api_only): (&str, bool),
    network: &Network,
    snapshotter: &str,
) -> Result<()> {
    let json_file = |value: &Value| format!("{value:#}\n");
    state.write("containerd.toml", containerd(state, snapshotter))?;
    state.write("cni/10-ptp.conflist", json_file(&cni(state.dir(), network)))?;
    state.write("kubelet.json", json_file(&kubelet(state, name, network)))?;
    state.write("audit.json", json_file(&if api_only { audit_of_accounts() } else { audit() }))?;
    // CoreDNS answers for the cluster alone: pods have no way out of it.
    state.write("resolv.conf", format!("nameserver {}\n", network.node))
}

/// The cgroup under which all pods of the cluster live, so that the kubelets of
/// clusters side by side do not remove one another's pods.
pub(crate) fn cgroup(name: &str) -> String {
    format!("/o2p-{name}")
}

fn containerd(state: &State, snapshotter: &str) -> String {
    let root = state.path("containerd/root");
    let run = state.path("containerd/run");
    let cni = state.path("cni");
    let socket = state.containerd();
    format!(
        r#"version = 2
root = "{root}"
state = "{run}"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"#,
        root = root.display(),
        run = run.display(),
        socket = socket.display(),
        cni = cni.display(),
    )
}

/// Each pod on a link of its own: all traffic between pods is routed, and so passes
/// kube-proxy's rules without the kernel's bridge module.
fn cni(state: &Path, network: &Network) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "dataDir": state.join("cni-addresses"),
                "ranges": [[{"subnet": network.pods}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

fn kubelet(state: &State, name: &str, network: &Network) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "x509": {"clientCAFile": state.path("pki/ca.crt")},
            "webhook": {"enabled": true},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup(name),
        "cgroupsPerQOS": true,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "failCgroupV1": false,
        "maxPods": 250,
        "clusterDNS": [network.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": state.path("resolv.conf"),
        "staticPodPath": "",
        "volumePluginDir": state.path("volume-plugins"),
        "podLogsDir": state.path("pod-logs"),
        "tlsCertFile": state.path("pki/kubelet.crt"),
        "tlsPrivateKeyFile": state.path("pki/kubelet.key"),
        "containerRuntimeEndpoint": format!("unix://{}", state.containerd().display()),
        // Images are loaded, never pulled: one that is collected would be gone for good.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
    })
}

/// All writes, and all reads of Secrets: what tests ask about.
fn audit() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
            {"level": "Metadata", "verbs": ["get", "list", "watch"], "resources": [{"group": "", "resources": ["secrets"]}]},
            {"level": "None"},
        ],
    })
}

/// All that service accounts ask: what a measurement counts. The system's own components have none here.
fn audit_of_accounts() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "omitManagedFields": true,
        "rules": [
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
            {"level": "None"},
        ],
    })
}

/// A component's command line.
pub(crate) struct Arguments(pub(crate) Vec<String>);

impl Arguments {
    fn new<const N: usize>(flags: [(&str, String); N]) -> Self {
        Self(flags.into_iter().map(|(flag, value)| format!("--{flag}={value}")).collect())
    }
}

/// etcd: in memory as far as it can be, for a cluster that does not outlive its machine.
pub(crate) fn etcd(state: &State) -> Arguments {
    let client = "http://127.0.0.1:2379".to_owned();
    Arguments::new([
        ("data-dir", show(state, "etcd")),
        ("listen-client-urls", client.clone()),
        ("advertise-client-urls", client),
        ("listen-peer-urls", "http://127.0.0.1:2380".to_owned()),
        ("unsafe-no-fsync", "true".to_owned()),
        ("log-level", "warn".to_owned()),
    ])
}

/// Addresses of Services where nothing is reached by them: for a million, which the network of one cluster among others has not.
const MANY_SERVICES: &str = "172.16.0.0/12";

/// The API server; `api_only`: with nothing beside it.
pub(crate) fn apiserver(state: &State, network: &Network, api_only: bool) -> Arguments {
    let services = if api_only { MANY_SERVICES.to_owned() } else { network.services.to_string() };
    let pki = |file: &str| show(state, &format!("pki/{file}"));
    let text = str::to_owned;
    Arguments::new([
        ("etcd-servers", text("http://127.0.0.1:2379")),
        ("service-cluster-ip-range", services),
        ("advertise-address", network.node.to_string()),
        ("tls-cert-file", pki("apiserver.crt")),
        ("tls-private-key-file", pki("apiserver.key")),
        ("client-ca-file", pki("ca.crt")),
        ("service-account-key-file", pki("tokens.pub")),
        ("service-account-signing-key-file", pki("tokens.key")),
        ("service-account-issuer", text("https://kubernetes.default.svc")),
        ("authorization-mode", text("Node,RBAC")),
        ("enable-admission-plugins", text("NodeRestriction")),
        ("allow-privileged", text("true")),
        ("kubelet-client-certificate", pki("apiserver-kubelet.crt")),
        ("kubelet-client-key", pki("apiserver-kubelet.key")),
        ("kubelet-preferred-address-types", text("InternalIP")),
        ("requestheader-client-ca-file", pki("ca.crt")),
        // Without it every certificate of the one CA could pose as anyone.
        ("requestheader-allowed-names", text("front-proxy")),
        ("requestheader-username-headers", text("X-Remote-User")),
        ("requestheader-group-headers", text("X-Remote-Group")),
        ("requestheader-extra-headers-prefix", text("X-Remote-Extra-")),
        ("proxy-client-cert-file", pki("front-proxy.crt")),
        ("proxy-client-key-file", pki("front-proxy.key")),
        ("audit-policy-file", show(state, "audit.json")),
        ("audit-log-path", state.audit_log().display().to_string()),
        // Megabytes. Whoever reads the log reads one file, so it is never begun anew.
        ("audit-log-maxsize", text("100000")),
    ])
}

/// The controller manager.
pub(crate) fn controller_manager(state: &State, network: &Network) -> Arguments {
    let kubeconfig = show(state, "pki/controller-manager.kubeconfig");
    let pki = |file: &str| show(state, &format!("pki/{file}"));
    Arguments::new([
        ("kubeconfig", kubeconfig.clone()),
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authorization-kubeconfig", kubeconfig),
        ("service-account-private-key-file", pki("tokens.key")),
        ("root-ca-file", pki("ca.crt")),
        ("cluster-signing-cert-file", pki("ca.crt")),
        ("cluster-signing-key-file", pki("ca.key")),
        ("use-service-account-credentials", "true".to_owned()),
        // The usual 20 a second hold up the start of the controllers for four seconds.
        ("kube-api-qps", "300".to_owned()),
        ("kube-api-burst", "600".to_owned()),
        ("allocate-node-cidrs", "true".to_owned()),
        ("cluster-cidr", network.pods.to_string()),
        ("node-cidr-mask-size", network.pods.prefix_len().to_string()),
        ("leader-elect", "false".to_owned()),
    ])
}

/// The scheduler.
pub(crate) fn scheduler(state: &State) -> Arguments {
    let kubeconfig = show(state, "pki/scheduler.kubeconfig");
    Arguments::new([
        ("kubeconfig", kubeconfig.clone()),
        ("authentication-kubeconfig", kubeconfig.clone()),
        ("authorization-kubeconfig", kubeconfig),
        ("leader-elect", "false".to_owned()),
    ])
}

/// The kubelet.
pub(crate) fn kubelet_arguments(state: &State, network: &Network) -> Arguments {
    Arguments::new([
        ("config", show(state, "kubelet.json")),
        ("kubeconfig", show(state, "pki/node.kubeconfig")),
        ("root-dir", show(state, "kubelet")),
        ("hostname-override", NODE.to_owned()),
        ("node-ip", network.node.to_string()),
    ])
}

/// kube-proxy: nftables, and none of the connection tracking settings, which belong to the machine.
pub(crate) fn proxy(state: &State, network: &Network) -> Arguments {
    let zero = || "0".to_owned();
    Arguments::new([
        ("kubeconfig", show(state, "pki/proxy.kubeconfig")),
        ("proxy-mode", "nftables".to_owned()),
        ("conntrack-max-per-core", zero()),
        ("conntrack-min", zero()),
        ("conntrack-tcp-timeout-established", zero()),
        ("conntrack-tcp-timeout-close-wait", zero()),
        ("cluster-cidr", network.pods.to_string()),
        ("hostname-override", NODE.to_owned()),
    ])
}

fn show(state: &State, name: &str) -> String {
    state.path(name).display().to_string()
}
