//! Signing out at the provider too (OpenID Connect RP-Initiated Logout 1.0 section 2).

use super::login::{borrowed, with_query};
use super::provider::Provider;
use url::Url;

impl Provider {
    /// Where to send the person so that the provider ends its session and sends them `back` to a URL, which must be registered
    /// there, with a `state`, which it repeats. `generation` is that of the session's credentials. `None` if that is not
    /// configured or the provider has no such endpoint. The ID token goes nowhere but to that endpoint.
    pub(crate) fn end_session_url(
        &self,
        generation: u32,
        id_token_hint: Option<&str>,
        back: Option<(&str, &str)>,
    ) -> Option<String> {
        let config = &self.client.config;
        if !config.rp_initiated_logout {
            return None;
        }
        let metadata = self.client.issuer.metadata_now()?;
        let endpoint = metadata.end_session.as_ref()?;
        let ours = [
            ("client_id", Some(self.client.acting(generation).credentials.id.as_str())),
            ("id_token_hint", id_token_hint),
            ("post_logout_redirect_uri", back.map(|(url, _)| url)),
            ("state", back.map(|(_, state)| state)),
        ];
        let mut query: Vec<(String, String)> = endpoint.query_pairs().into_owned().collect();
        for (name, value) in ours {
            query.retain(|(n, _)| n != name);
            query.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
        Some(with_query(endpoint, borrowed(&query)))
    }

    /// Waits, right after the start, a little for what the provider says of itself, where somebody who leaves for `target` may
    /// be led by way of it.
    pub(crate) async fn before_leaving(&self, target: &str) {
        if self.client.config.rp_initiated_logout || Url::parse(target).is_ok() {
            let _ = self.client.issuer.metadata().await;
        }
    }

    /// Whether `url` leads to the provider's end-session endpoint, with whatever query: the only place that may be sent an
    /// ID token.
    pub(crate) fn is_end_session(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let metadata = self.client.issuer.metadata_now();
        let Some(endpoint) = metadata.as_ref().and_then(|metadata| metadata.end_session.as_ref())
        else {
            return false;
        };
        let plain = url.username().is_empty() && url.password().is_none();
        plain && url.origin() == endpoint.origin() && url.path() == endpoint.path()
    }
}
