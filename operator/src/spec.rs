//! What an `OAuth2Proxy` says, by itself: from what a user wrote to forms that can not be wrong, the names of what is made for
//! it, and whether its configuration is in the cluster. Pure: no client, no clock.
//!
//! All problems are found at once, each with its field, the value and the fix.

mod check;
pub(crate) mod name;

use crate::condition::find;
use check::Check;
use crds::{ConditionType, OAuth2Proxy, OAuth2ProxySpec, Reason};
use ipnet::IpNet;
use proxy_config::Duration;
use std::fmt;

/// The specification of one object, with every text parsed that has a form.
#[derive(Clone, Debug)]
pub(crate) struct ValidSpec {
    /// Name of the object.
    pub(crate) name: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its uid.
    pub(crate) uid: String,
    /// As written.
    pub(crate) spec: OAuth2ProxySpec,
    /// `access.trustedIPs`.
    pub(crate) trusted_ips: Vec<IpNet>,
    /// `http.reverseProxy.trustedProxyIPs`.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// `session.cookie.expire`.
    pub(crate) expire: Duration,
    /// `session.absolute`.
    pub(crate) absolute: Duration,
    /// `session.cookie.refresh`.
    pub(crate) refresh: Duration,
    /// `session.refreshGrace`.
    pub(crate) refresh_grace: Duration,
    /// `session.cookie.csrf.expire`.
    pub(crate) csrf_expire: Duration,
    /// `http.streamIdleTimeout`.
    pub(crate) stream_idle: Duration,
    /// `upstreams[].timeout`, in order.
    pub(crate) timeouts: Vec<Duration>,
}

/// One thing that is wrong and can be put right by a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Reason of the condition.
    pub(crate) reason: Reason,
    /// Where: a field of the object, such as `spec.access.trustedIPs[1]`.
    pub(crate) field: String,
    /// What is wrong there and what would be right.
    pub(crate) message: String,
}

impl Finding {
    /// A finding.
    pub(crate) fn new(
        reason: Reason,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { reason, field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Checks an object by itself.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn validate_spec(object: &OAuth2Proxy) -> Result<ValidSpec, Vec<Finding>> {
    let spec = &object.spec;
    let mut check = Check::default();
    let cookie = &spec.session.cookie;
    let proxies = spec
        .http
        .reverse_proxy
        .as_ref()
        .map(|proxy| proxy.trusted_proxy_ips.as_slice())
        .unwrap_or_default();
    check.expressions(spec);
    let valid = ValidSpec {
        name: object.metadata.name.clone().unwrap_or_default(),
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        uid: object.metadata.uid.clone().unwrap_or_default(),
        trusted_ips: check.networks("spec.access.trustedIPs", &spec.access.trusted_ips),
        trusted_proxies: check.networks("spec.http.reverseProxy.trustedProxyIPs", proxies),
        expire: check.duration("spec.session.cookie.expire", &cookie.expire),
        absolute: check.duration("spec.session.absolute", &spec.session.absolute),
        refresh: check.duration("spec.session.cookie.refresh", &cookie.refresh),
        refresh_grace: check.duration("spec.session.refreshGrace", &spec.session.refresh_grace),
        csrf_expire: check.duration("spec.session.cookie.csrf.expire", &cookie.csrf.expire),
        stream_idle: check.duration("spec.http.streamIdleTimeout", &spec.http.stream_idle_timeout),
        timeouts: spec
            .upstreams
            .iter()
            .enumerate()
            .map(|(i, upstream)| {
                check.duration(&format!("spec.upstreams[{i}].timeout"), &upstream.timeout)
            })
            .collect(),
        spec: spec.clone(),
    };
    check.urls(spec);
    if check.0.is_empty() { Ok(valid) } else { Err(check.0) }
}

/// Whether workloads may be injected for this object: its configuration is written, for the specification that it has now.
///
/// # Errors
/// Why not, in words for whoever owns the workload: `InProgress` if that passes by itself.
pub(crate) fn config_is_rendered(object: &OAuth2Proxy) -> Result<(), (Reason, String)> {
    let conditions =
        object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    match find(conditions, ConditionType::ConfigRendered) {
        Some(condition) if condition.status != "True" => {
            let why = format!("{}: {}", condition.reason, condition.message);
            Err((Reason::ObjectNotReady, why))
        }
        Some(condition) if condition.observed_generation == object.metadata.generation => Ok(()),
        _ => Err((Reason::InProgress, "its configuration is being written".to_owned())),
    }
}
