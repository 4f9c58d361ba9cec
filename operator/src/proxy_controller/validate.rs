//! From what a user wrote, and from what it refers to, to forms that can not be wrong. Pure: no client, no clock.
//!
//! All problems are found at once, each with its field, the value and the fix.

use super::dereference::Found;
use super::outcome::Finding;
use super::ring::{self, Ring};
use crate::report::FleetReport;
use crds::{OAuth2Proxy, OAuth2ProxySpec, OAuth2ProxyStatus, Reason};
use ipnet::IpNet;
use proxy_config::Duration;
use std::net::IpAddr;

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
    pub(super) trusted_ips: Vec<IpNet>,
    /// `http.reverseProxy.trustedProxyIPs`.
    pub(super) trusted_proxies: Vec<IpNet>,
    /// `session.cookie.expire`.
    pub(super) expire: Duration,
    /// `session.absolute`.
    pub(super) absolute: Duration,
    /// `session.cookie.refresh`.
    pub(super) refresh: Duration,
    /// `session.refreshGrace`.
    pub(super) refresh_grace: Duration,
    /// `session.cookie.csrf.expire`.
    pub(super) csrf_expire: Duration,
    /// `http.streamIdleTimeout`.
    pub(super) stream_idle: Duration,
    /// `upstreams[].timeout`, in order.
    pub(super) timeouts: Vec<Duration>,
}

/// An object that is valid together with what it refers to. Builders take nothing else.
#[derive(Debug)]
pub(crate) struct ValidatedProxy {
    /// The specification.
    pub(super) spec: ValidSpec,
    /// Which keys open sessions and which one seals them.
    pub(super) ring: Ring,
    /// What was found in the cluster.
    pub(super) found: Found,
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

/// Checks an object together with what it refers to.
///
/// # Errors
/// Everything that is missing or wrong there.
pub(super) fn validate(
    spec: ValidSpec,
    found: Found,
    status: Option<&OAuth2ProxyStatus>,
    report: &FleetReport,
) -> Result<ValidatedProxy, Vec<Finding>> {
    let mut findings = found.problems(&spec);
    let ring = match ring::decide(&spec, &found, status, report) {
        Ok(ring) => Some(ring),
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    match ring {
        Some(ring) if findings.is_empty() => Ok(ValidatedProxy { spec, ring, found }),
        _ => Err(findings),
    }
}

/// Problems so far.
#[derive(Default)]
struct Check(Vec<Finding>);

impl Check {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding::new(Reason::InvalidSpec, field, message));
    }

    fn networks(&mut self, field: &str, texts: &[String]) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
                Ok(network) => networks.push(network),
                Err(_) => self.add(
                    format!("{field}[{i}]"),
                    format!("{text:?} is no network: write an address such as 10.1.2.3 or a network such as 10.0.0.0/8"),
                ),
            }
        }
        networks
    }

    fn duration(&mut self, field: &str, text: &str) -> Duration {
        text.parse().unwrap_or_else(|error: proxy_config::DurationError| {
            self.add(field, error.to_string());
            Duration::ZERO
        })
    }

    fn expressions(&mut self, spec: &OAuth2ProxySpec) {
        for (i, parameter) in spec.provider.login_url_parameters.iter().enumerate() {
            for (n, allowed) in parameter.allow.iter().enumerate() {
                let field = format!("spec.provider.loginURLParameters[{i}].allow[{n}].pattern");
                allowed.pattern.iter().for_each(|pattern| self.expression(&field, pattern));
            }
        }
        for (i, route) in spec.access.skip_auth_routes.iter().enumerate() {
            self.expression(
                &format!("spec.access.skipAuthRoutes[{i}].pathRegex"),
                &route.path_regex,
            );
        }
        for (i, route) in spec.access.api_routes.iter().enumerate() {
            self.expression(&format!("spec.access.apiRoutes[{i}]"), route);
        }
        for (i, upstream) in spec.upstreams.iter().enumerate() {
            if upstream.rewrite_target.is_some() {
                self.expression(&format!("spec.upstreams[{i}].path"), &upstream.path);
            }
        }
    }

    fn expression(&mut self, field: &str, text: &str) {
        if let Err(error) = proxy_config::regex(text) {
            self.add(field, format!("{text:?} is no regular expression: {error}"));
        }
    }

    fn urls(&mut self, spec: &OAuth2ProxySpec) {
        let provider = &spec.provider;
        self.url("spec.provider.issuerURL", Some(&provider.issuer_url));
        self.url("spec.provider.discoveryURL", provider.discovery_url.as_ref());
        self.url("spec.http.redirectURL", spec.http.redirect_url.as_ref());
        for (i, upstream) in spec.upstreams.iter().enumerate() {
            self.url(&format!("spec.upstreams[{i}].uri"), upstream.uri.as_ref());
        }
    }

    fn url(&mut self, field: &str, text: Option<&String>) {
        let Some(text) = text else { return };
        match url::Url::parse(text) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                self.add(
                    field,
                    "holds a user or a password: take them out, they would be readable by everyone",
                );
            }
            Ok(_) => {}
            Err(error) => self.add(field, format!("{text:?} is no URL: {error}")),
        }
    }
}
