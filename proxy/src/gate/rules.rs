//! The gate's part of a compiled configuration.

use super::csrf::LoginCookies;
use super::email::EmailRules;
use super::endpoint::Endpoints;
use super::identity_headers::HeaderRules;
use super::person::Verdict;
use super::redirect::Whitelist;
use super::used::UsedStates;
use crate::cookie::OwnCookies;
use crate::identity::Identity;
use crate::upstream::Names;
use http::HeaderName;
use proxy_config::{Config, Problems};
use std::sync::Arc;

/// Everything that the gate knows from the configuration, ready to be used.
pub(crate) struct Rules {
    /// Paths of the own endpoints.
    pub(super) endpoints: Endpoints,
    /// Who may pass, by address.
    emails: EmailRules,
    /// Who may pass, by group; empty: everybody.
    groups: Vec<String>,
    /// Where redirects may lead.
    pub(super) whitelist: Whitelist,
    /// Headers for upstreams.
    pub(super) request_headers: HeaderRules,
    /// Headers for answers.
    pub(super) response_headers: HeaderRules,
    /// Names that no client may send to an upstream.
    pub(super) names: Names,
    /// Cookies that no upstream may see.
    pub(super) own_cookies: OwnCookies,
    /// Cookies of logins in progress.
    pub(super) login_cookies: LoginCookies,
    /// States that have been used; outlives the configuration.
    pub(super) used: Arc<UsedStates>,
    /// Which header names a request.
    pub(super) request_id_header: HeaderName,
    /// The sentence on the sign-in page.
    pub(super) banner: String,
    /// The name on its button.
    pub(super) provider_name: String,
}

impl Rules {
    /// Compiles the gate's part; what is wrong is noted. `previous` are the rules in force.
    pub(crate) fn compile(
        config: &Config,
        previous: Option<&Self>,
        problems: &mut Problems,
    ) -> Self {
        let real_ip =
            config.http.reverse_proxy.as_ref().map(|proxy| proxy.real_client_ip_header.as_str());
        let injected = config.request_headers.iter().map(|rule| rule.name.as_str());
        let provider = config.providers.first();
        Self {
            endpoints: Endpoints::new(&config.http),
            emails: EmailRules::compile(&config.access, problems),
            groups: config.access.allowed_groups.clone(),
            whitelist: Whitelist::new(&config.http.whitelist_domains),
            request_headers: HeaderRules::new(&config.request_headers),
            response_headers: HeaderRules::new(&config.response_headers),
            names: Names::compile(injected, real_ip),
            own_cookies: OwnCookies::new(&config.session.cookie.name),
            login_cookies: LoginCookies::new(&config.session.cookie),
            used: previous.map_or_else(Arc::default, |rules| Arc::clone(&rules.used)),
            // Its characters were checked with the configuration.
            request_id_header: HeaderName::from_bytes(config.http.request_id_header.as_bytes())
                .unwrap_or(HeaderName::from_static("x-request-id")),
            banner: banner(config),
            provider_name: provider
                .and_then(|provider| provider.name.clone())
                .unwrap_or_else(|| "OpenID Connect".to_owned()),
        }
    }

    /// Whether somebody may pass.
    pub(super) fn verdict(&self, identity: &Identity) -> Verdict {
        if !self.emails.allow(identity.email.as_deref().filter(|email| !email.is_empty())) {
            Verdict::EmailNotAllowed
        } else if !self.groups.is_empty()
            && !identity.groups.iter().any(|group| self.groups.contains(group))
        {
            Verdict::NotInGroup
        } else {
            Verdict::Allowed
        }
    }
}

/// Says which addresses may sign in, where that is decided by domain alone (`reference/pages.md`).
fn banner(config: &Config) -> String {
    let domains = &config.access.email_domains;
    match domains.as_slice() {
        _ if config.access.emails_file.is_some() => String::new(),
        [] => String::new(),
        [one] if one == "*" => String::new(),
        [one] => format!("Sign in with an address at {one}."),
        many => format!("Sign in with an address at one of these domains: {}.", many.join(", ")),
    }
}
