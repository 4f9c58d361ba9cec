//! What the gate needs from the configuration beside the [`crate::policy`], prepared once.

use crate::cookie::OwnCookies;
use crate::pending::{LoginCookies, SignOutCookie, UsedStates};
use crate::routing::Endpoints;
use crate::upstream::Names;
use http::HeaderName;
use proxy_config::{Config, Provider};
use std::sync::Arc;

/// See the module.
pub(crate) struct Prepared {
    /// Paths of the own endpoints.
    pub(crate) endpoints: Endpoints,
    /// Names that no client may send to an upstream.
    pub(crate) names: Names,
    /// Cookies that no upstream may see.
    pub(crate) own_cookies: OwnCookies,
    /// Cookies of logins in progress.
    pub(crate) login_cookies: LoginCookies,
    /// The cookie of a sign-out that has gone on to the provider.
    pub(crate) sign_out_cookie: SignOutCookie,
    /// States that have been used; outlives the configuration.
    pub(crate) used: Arc<UsedStates>,
    /// Which header names a request.
    pub(crate) request_id_header: HeaderName,
    /// The sentence on the sign-in page.
    pub(crate) banner: String,
}

impl Prepared {
    /// From a configuration, whose texts were checked before. `previous` is what is in force.
    pub(crate) fn new(config: &Config, previous: Option<&Self>) -> Self {
        let real_ip =
            config.http.reverse_proxy.as_ref().map(|proxy| proxy.real_client_ip_header.as_str());
        let injected = config.request_headers.iter().map(|rule| rule.name.as_str());
        let by_form = |provider: &Provider| provider.response_mode.as_deref() == Some("form_post");
        Self {
            endpoints: Endpoints::new(&config.http),
            names: Names::compile(injected, real_ip),
            own_cookies: OwnCookies::new(&config.session.cookie.name),
            login_cookies: LoginCookies::new(&config.session, config.providers.iter().any(by_form)),
            sign_out_cookie: SignOutCookie::new(&config.session.cookie),
            used: previous.map_or_else(Arc::default, |ready| Arc::clone(&ready.used)),
            // Its characters were checked with the configuration.
            request_id_header: HeaderName::from_bytes(config.http.request_id_header.as_bytes())
                .unwrap_or(HeaderName::from_static("x-request-id")),
            banner: banner(config),
        }
    }
}

/// Says which addresses may sign in, where that is decided by domain alone: the line above the button of the sign-in page.
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
