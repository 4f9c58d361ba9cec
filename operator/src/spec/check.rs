//! The checks of single fields. Each notes what it finds and gives a value to go on with.

use super::Finding;
use crds::{OAuth2ProxySpec, Reason};
use ipnet::IpNet;
use proxy_config::Duration;
use std::net::IpAddr;

/// Problems so far.
#[derive(Default)]
pub(super) struct Check(pub(super) Vec<Finding>);

impl Check {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding::new(Reason::InvalidSpec, field, message));
    }

    pub(super) fn networks(&mut self, field: &str, texts: &[String]) -> Vec<IpNet> {
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

    pub(super) fn duration(&mut self, field: &str, text: &str) -> Duration {
        text.parse().unwrap_or_else(|error: proxy_config::DurationError| {
            self.add(field, error.to_string());
            Duration::ZERO
        })
    }

    pub(super) fn expressions(&mut self, spec: &OAuth2ProxySpec) {
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

    pub(super) fn urls(&mut self, spec: &OAuth2ProxySpec) {
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
