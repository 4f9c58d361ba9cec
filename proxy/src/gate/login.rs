//! Beginning a login, and the redirect URI that both of its ends name (RFC 6749 section 3.1.2).

use super::claimant::Claimant;
use super::refusal::Refusal;
use super::visit::Visit;
use crate::body::Body;
use crate::metrics::Event;
use crate::oidc::{Preferences, Provider};
use crate::reply;
use base64_simd::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use url::Url;

/// Sends the person to `provider`; the login leads back to the visit's target.
///
/// # Errors
/// The provider is not there.
pub(super) async fn begin(
    visit: &mut Visit<'_>,
    provider: &Provider,
    preferences: &Preferences,
) -> Result<Response<Body>, Refusal> {
    visit.no_cache = true;
    let redirect_uri = redirect_uri(&visit.from);
    let (target, encode) = (visit.target.clone(), visit.from.site.config.http.encode_state);
    let state = move |hash: &str| state_parameter(hash, &target, encode);
    let login = provider.login(&redirect_uri, preferences, state).await?;
    let cookies = visit.from.site.prepared.login_cookies.remember(
        &visit.from.site.ring,
        &login.state,
        &visit.from.cookies(),
        visit.from.host(),
    );
    visit.from.set_cookies.extend(cookies);
    visit.from.worker.shard.count(Event::LoginStarted);
    Ok(reply::redirect(&visit.from.head.method, StatusCode::FOUND, &login.url))
}

/// `<hash>:<target>`, as a whole in base64url if configured.
fn state_parameter(hash: &str, target: &str, encode: bool) -> String {
    let text = [hash, ":", target].concat();
    if encode { URL_SAFE_NO_PAD.encode_to_string(text) } else { text }
}

/// Takes a `state` parameter apart into hash and target.
pub(super) fn split_state(state: &str, encoded: bool) -> Option<(String, String)> {
    let text = if encoded {
        String::from_utf8(URL_SAFE_NO_PAD.decode_to_vec(state).ok()?).ok()?
    } else {
        state.to_owned()
    };
    text.split_once(':').map(|(hash, target)| (hash.to_owned(), target.to_owned()))
}

/// The URL that the provider sends the person back to.
pub(super) fn redirect_uri(claimant: &Claimant<'_>) -> String {
    let http = &claimant.site.config.http;
    let callback = [http.proxy_prefix.as_str(), "/callback"].concat();
    let configured = http.redirect_url.as_deref().filter(|url| !url.is_empty());
    if let Some(text) = configured.filter(|text| Url::parse(text).is_ok()) {
        return with_path(text, &callback);
    }
    let path = configured.map_or(callback, str::to_owned);
    if http.relative_redirect_url {
        return path;
    }
    origin(claimant) + &path
}

/// An absolute URL as it was written, because providers compare it with what was registered byte by byte; without a path it
/// gets that of the callback.
fn with_path(url: &str, callback: &str) -> String {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(authority..).and_then(|rest| rest.find(['/', '?', '#']));
    let (origin, rest) = url.split_at(end.map_or(url.len(), |end| authority + end));
    if authority == 0 || rest.starts_with('/') {
        url.to_owned()
    } else {
        format!("{origin}{callback}{rest}")
    }
}

/// Scheme and host under which the browser sees us. Secure cookies come back over HTTPS only.
pub(super) fn origin(claimant: &Claimant<'_>) -> String {
    let secure = claimant.site.config.session.cookie.secure || claimant.is_https();
    [if secure { "https" } else { "http" }, "://", claimant.host()].concat()
}
