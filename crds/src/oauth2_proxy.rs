//! The object itself: its sections and the rules that span them.

use crate::{
    Access, Deployment, Headers, Http, Logging, OAuth2ProxyStatus, Provider, SecretRef, Session,
    Sidecar, Upstream,
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How applications are protected: who logs people in, who may pass, how long a session lasts, and where the proxy runs.
///
/// Annotate a Deployment with `oauth2proxy.dev/inject: <name of this object>` to put the proxy into its pods, or set
/// `deployment` to run it on its own.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "oauth2proxy.dev",
    version = "v1alpha1",
    kind = "OAuth2Proxy",
    plural = "oauth2proxies",
    singular = "oauth2proxy",
    shortname = "o2p",
    category = "all",
    category = "security",
    namespaced,
    status = "OAuth2ProxyStatus",
    derive = "PartialEq",
    doc = "Protects applications with a login at an OpenID Connect provider.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the configuration is in force everywhere"),
    printcolumn(name = "Issuer", type_ = "string", json_path = ".spec.provider.issuerURL",
        description = "The identity provider"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode",
        description = "Where the proxy runs"),
    printcolumn(name = "Injected", type_ = "string", json_path = ".status.injected",
        description = "Workloads with the sidecar, of those that ask for it"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is ready or not", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp",
        description = "Time since creation"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$')")
        .message("metadata.name must be 1 to 52 characters a-z, 0-9 and '-', begin with a letter and end with a letter or digit, because objects such as <name>-cookie and the Service <name>-proxy are named after it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.upstreams) || size(self.upstreams) == 0 || has(self.deployment)")
    .message("spec.upstreams is for the stand-alone proxy: set spec.deployment (an empty object will do), or remove spec.upstreams; a sidecar always leads to its own pod at spec.sidecar.upstreamPort"))]
pub struct OAuth2ProxySpec {
    /// The identity provider and the client that is registered there.
    pub provider: Provider,

    /// Who may pass, and which requests pass without a login.
    pub access: Access,

    /// Where sessions are kept, the cookie, and how long a session lasts.
    #[serde(default)]
    pub session: Session,

    /// Headers that tell the application, or a proxy in front that asks `/oauth2/auth`, who the user is.
    #[serde(default)]
    pub headers: Headers,

    /// Own endpoints, redirects and what is believed of a proxy in front.
    #[serde(default)]
    pub http: Http,

    /// What the proxy logs and how.
    #[serde(default)]
    pub logging: Logging,

    /// The proxy inside the pods of annotated workloads.
    #[serde(default)]
    pub sidecar: Sidecar,

    /// Runs the proxy on its own, as a Deployment and a Service, both named `<name>-proxy`. Absent: only sidecars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,

    /// Where the stand-alone proxy sends requests that may pass. Empty: it only answers its own endpoints, which is what a
    /// proxy in front that asks `/oauth2/auth` needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".to_owned()]))]
    #[x_kube(validation = Rule::new("self.all(a, self.exists_one(b, b.path == a.path))")
        .message("two upstreams have the same path: give each a path of its own"))]
    pub upstreams: Vec<Upstream>,

    /// Image of the proxy, for sidecars and the stand-alone Deployment. Absent: the one that the operator was installed
    /// with. A change rolls out every pod that carries the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,

    /// Secrets of type `kubernetes.io/dockerconfigjson` in the same namespace, with which the image is pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub image_pull_secrets: Vec<SecretRef>,

    /// What happens on deletion of this object while workloads still ask for it. `Block`: the deletion waits until none does,
    /// so nothing loses its protection. `Remove`: the sidecars are taken out and the Services restored, and the applications
    /// are open afterwards.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What happens on deletion while workloads still ask for the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The deletion waits until no workload asks for the object any more. Nothing loses its protection.
    #[default]
    Block,
    /// The sidecars are taken out and the Services restored, then the object goes: the applications are open afterwards.
    Remove,
}
