//! The authorization request (OpenID Connect Core 1.0 section 3.1.2.1), added to whatever query the
//! provider's address has.

use super::client::Client;
use super::discovery::{Metadata, for_the_browser};
use super::login_state::{LoginState, hash};
use percent_encoding::percent_encode_byte;
use proxy_config::{PkceMethod, Provider as Config};
use url::{Position, Url};

/// What whoever begins a login may ask of the provider's login page.
#[derive(Debug, Default)]
pub(crate) struct Preferences {
    /// The provider is to ask who it is, whatever is configured and whoever is signed in there.
    pub(crate) another_account: bool,
    /// Parameters, of which those count that the configuration allows.
    pub(crate) parameters: Vec<(String, String)>,
}

/// Where to send the person, and what to remember until they come back.
pub(crate) struct Login {
    /// To be sealed into a cookie.
    pub(crate) state: LoginState,
    /// The provider's login page with all parameters.
    pub(crate) url: String,
}

/// Begins a login of `client` at the provider that `metadata` is about; `state_parameter` makes the whole `state` out of its
/// hash. What is asked for is known here, so the state can hold the answer to it.
pub(super) fn begin(
    client: &Client,
    metadata: &Metadata,
    redirect_uri: &str,
    preferences: &Preferences,
    state_parameter: impl FnOnce(&str) -> String,
) -> Login {
    let config = &client.config;
    let pkce = client.pkce(metadata);
    let mut state = LoginState::new(
        (&config.id, config.vouches_as(), client.ring.newest().generation),
        client.clock.now(),
        (!config.insecure_skip_nonce, pkce != PkceMethod::None),
    );
    let state_parameter = state_parameter(&state.state_hash());
    state.bind(&state_parameter);
    let request = Request {
        redirect_uri,
        pkce,
        scope: scope_asked(client, metadata).text,
        state_parameter: &state_parameter,
        state: &state,
    };
    let own = query(&metadata.authorization, config, &request);
    let mut query = borrowed(&own);
    query.extend(client.login_parameters.chosen(&preferences.parameters));
    if preferences.another_account {
        query.retain(|(name, _)| !matches!(*name, "prompt" | "approval_prompt"));
        query.push(("prompt", metadata.asking));
    }
    state.hold_to(max_age(query.iter().copied()));
    Login { url: with_query(&metadata.authorization, query), state }
}

/// What a login asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope<'a> {
    pub(super) text: &'a str,
    /// It is none that was configured, and groups are in it because some are required.
    pub(super) for_groups: bool,
}

/// The scope that is asked for: as configured, else the default, with groups if some are required, unless the provider lists
/// its scopes and this is none of them: then it would refuse the whole login. One that lists none says nothing, as the list
/// is not required (Discovery 1.0 section 3), and is asked, as oauth2-proxy does.
pub(super) fn scope_asked<'a>(client: &'a Client, metadata: &Metadata) -> Scope<'a> {
    let known = |scopes: &Vec<String>| scopes.iter().any(|scope| scope == "groups");
    let for_groups = client.config.scope.is_none()
        && client.groups_required
        && metadata.scopes.as_ref().is_none_or(known);
    let default = if for_groups { "openid email profile groups" } else { "openid email profile" };
    Scope { text: client.config.scope.as_deref().unwrap_or(default), for_groups }
}

/// The `max_age` that a login has to meet, in seconds: what was asked for when it began. A state that does not say began
/// without one, or in a process that did not write it down, and is held to what is configured.
pub(super) fn max_age_due(state: &LoginState, client: &Client) -> Option<i64> {
    state.max_age().or_else(|| max_age(client.login_parameters.chosen(&[])))
}

/// The strictest `max_age` among parameters.
fn max_age<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Option<i64> {
    parameters.filter(|(name, _)| *name == "max_age").filter_map(|(_, age)| age.parse().ok()).min()
}

/// The query of the authorization request to `endpoint` but for the configured parameters.
fn query(endpoint: &Url, config: &Config, request: &Request<'_>) -> Vec<(String, String)> {
    let mut query: Vec<(String, String)> = endpoint.query_pairs().into_owned().collect();
    let mut set = |name: &str, value: &str| {
        query.retain(|(n, _)| n != name);
        query.push((name.to_owned(), value.to_owned()));
    };
    set("redirect_uri", request.redirect_uri);
    set("client_id", &config.client_id);
    set("response_type", "code");
    set("state", request.state_parameter);
    if let Some(nonce) = request.state.nonce() {
        set("nonce", &hash(&nonce));
    }
    if let Some(mode) = &config.response_mode {
        set("response_mode", mode);
    }
    if let Some(verifier) = request.state.verifier() {
        let (challenge, method) = match request.pkce {
            PkceMethod::Plain => (verifier.to_owned(), "plain"),
            PkceMethod::S256 | PkceMethod::None => (hash(verifier.as_bytes()), "S256"),
        };
        set("code_challenge", &challenge);
        set("code_challenge_method", method);
    }
    query.push(("scope".to_owned(), request.scope.to_owned()));
    query
}

/// What one authorization request is made of beside the configuration.
struct Request<'a> {
    redirect_uri: &'a str,
    pkce: PkceMethod,
    scope: &'a str,
    /// The whole `state`.
    state_parameter: &'a str,
    state: &'a LoginState,
}

/// `url` with this query instead of its own, names sorted; values of one name stay in order.
pub(super) fn with_query(url: &Url, mut query: Vec<(&str, &str)>) -> String {
    query.sort_by_key(|(name, _)| *name);
    [for_the_browser(&url[..Position::AfterPath]), "?", &form(query)].concat()
}

/// Parameters as [`with_query`] takes them.
pub(super) fn borrowed(query: &[(String, String)]) -> Vec<(&str, &str)> {
    query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// `application/x-www-form-urlencoded` text as Go writes it: all but letters, digits, a blank and four more are escaped.
pub(super) fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    // Most are no longer.
    let mut text = String::with_capacity(512);
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        escape(&mut text, name);
        text.push('=');
        escape(&mut text, value);
    }
    text
}

fn escape(out: &mut String, text: &str) {
    let escaped = |byte: u8| !byte.is_ascii_alphanumeric() && !b"-_.~".contains(&byte);
    let mut rest = text;
    while let Some(at) = rest.bytes().position(escaped) {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut tail = tail.chars();
        match tail.next() {
            Some(' ') => out.push('+'),
            Some(other) => {
                let mut bytes = [0; 4];
                out.extend(other.encode_utf8(&mut bytes).bytes().map(percent_encode_byte));
            }
            None => {}
        }
        rest = tail.as_str();
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::form;
    use proptest::prelude::*;

    #[test]
    fn a_form_is_written_as_go_writes_it() {
        let pairs = [("a b", "~-_.!*'()"), ("é&=", "100%+/ "), ("", "")];
        assert_eq!(form(pairs), "a+b=~-_.%21%2A%27%28%29&%C3%A9%26%3D=100%25%2B%2F+&=");
    }

    proptest! {
        #[test]
        fn a_form_is_read_as_it_was_meant(name in ".*", value in ".*") {
            let text = form([(name.as_str(), value.as_str())]);
            let read: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            prop_assert_eq!(read, [(name, value)]);
        }
    }
}
