//! The account that operators run with in tests: the one that the chart makes, with the rights that the chart gives it and no
//! others. What an administrator may do and an operator may not is found by every test.

use super::{Cluster, component};
use crate::process::root;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::time::Instant;

/// Where operators of tests have their lease and account.
pub(super) const NAMESPACE: &str = "default";

impl Cluster {
    /// Writes the kubeconfig of an operator with these flags into a folder: the release that would give them is named like
    /// the lease.
    ///
    /// # Panics
    /// When the chart can not be rendered, or the API server does not take what it makes.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub fn account(&self, flags: &[&str], folder: &Path) -> PathBuf {
        let flag = |name: &str| flags.iter().find_map(|flag| flag.strip_prefix(name));
        let lease = flag("--lease-name=").unwrap_or("oauth2-proxy-operator");
        let namespaces = flag("--namespaces=");
        self.ok(&["apply", "-f", "-"], Some(&manifests(lease, namespaces, folder)));
        self.wait_for_rights(lease, namespaces.and_then(|names| names.split(',').next()));
        let create = ["create", "token", lease, "--namespace", NAMESPACE, "--duration=24h"];
        let token = self.ok(&create, None);
        let view = self.ok(&["config", "view", "--raw", "--minify", "-o", "json"], None);
        let mut config: Value = serde_json::from_str(&view).expect("kubectl prints JSON");
        if let Some(user) = config.pointer_mut("/users/0/user") {
            *user = json!({"token": token.trim()});
        }
        let path = folder.join("kubeconfig");
        std::fs::write(&path, config.to_string()).expect("the folder is there");
        path
    }

    /// The API server's authorizer learns of new rights a moment after they are written.
    fn wait_for_rights(&self, account: &str, namespace: Option<&str>) {
        let who = format!("--as=system:serviceaccount:{NAMESPACE}:{account}");
        let lease =
            ["auth", "can-i", "create", "leases.coordination.k8s.io", "--namespace", NAMESPACE];
        let mut work = vec!["auth", "can-i", "list", "oauth2proxies.oauth2proxy.dev"];
        match namespace {
            Some(name) => work.extend(["--namespace", name]),
            None => work.push("--all-namespaces"),
        }
        let end = Instant::now() + Duration::from_mins(1);
        for question in [&lease[..], &work] {
            while !self.kubectl(&[question, &[&who]].concat(), None).status.success() {
                assert!(Instant::now() < end, "{account} does not get the right to {question:?}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        let secrets = self.kubectl(&["auth", "can-i", "list", "secrets", &who], None);
        assert!(!secrets.status.success(), "{account} has more rights than those of the chart");
    }
}

/// The account and its rights, as the chart renders them.
#[expect(clippy::expect_used, reason = "the way a test fails")]
fn manifests(lease: &str, namespaces: Option<&str>, home: &Path) -> String {
    let mut helm = Command::new(component("helm3").join("helm"));
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(variable, home);
    }
    helm.current_dir(root()).args(["template", lease, "charts/oauth2-proxy-operator"]);
    helm.args(["--namespace", NAMESPACE, "--kube-version=1.35.0"]);
    helm.args(["--show-only=templates/rbac.yaml", "--show-only=templates/serviceaccount.yaml"]);
    helm.arg(format!("--set=fullnameOverride={lease}"));
    if let Some(names) = namespaces {
        helm.arg(format!("--set=scope.mode=namespaces,scope.namespaces={{{names}}}"));
    }
    let output = helm.output().expect("helm is built");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "helm template: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
