//! The `OAuth2Proxy` custom resource: its types, its rules for bad input, and the manifest made of them.
//!
//! What a user writes is defined here and nowhere else. This crate knows no client, no runtime and nothing of the file
//! that the proxy reads; a field exists only if the operator acts on it.

#![expect(
    unreachable_pub,
    reason = "the derive macro of kube copies each public type into a function body"
)]

mod access;
mod condition;
mod deployment;
mod header;
mod http;
mod logging;
mod manifest;
mod oauth2_proxy;
mod provider;
mod reference;
mod reference_page;
mod resources;
mod schema;
mod session;
mod sidecar;
mod status;
mod upstream;

pub use access::{Access, BearerTokens, SkipAuthRoute};
pub use condition::{ConditionType, Reason};
pub use deployment::Deployment;
pub use header::{Claim, Header, HeaderValue, Headers};
pub use http::{Http, ReverseProxy};
pub use logging::{LogFormat, Logging};
pub use manifest::{FILE_NAME, definition, manifest};
pub use oauth2_proxy::{DeletionPolicy, OAuth2Proxy, OAuth2ProxySpec};
pub use provider::{
    AllowedValue, ClientAuthentication, CodeChallengeMethod, LoginUrlParameter, Provider,
    ProviderType, ResponseMode, SigningAlgorithm,
};
pub use reference::{ConfigMapKeyRef, KeySource, SecretKeyRef, SecretRef};
pub use reference_page::{PAGE_NAME, reference_page};
pub use resources::Resources;
pub use session::{Cookie, CsrfCookie, Redis, SameSite, Session, SessionFormat, Store};
pub use sidecar::{Sidecar, Traffic};
pub use status::{Mode, OAuth2ProxyStatus, Workload, WorkloadKind, WorkloadTraffic};
pub use upstream::Upstream;

/// The API group of everything that is ours, and the prefix of our annotations and labels.
pub const GROUP: &str = "oauth2proxy.dev";
