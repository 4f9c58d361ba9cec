//! The identity provider.

use super::Problems;
use super::text::web_url;
use crate::{AllowedValue, ClientAuthentication, Credentials, LoginParameter, Provider, regex};

/// Each may cost a call at a provider that takes none of them.
const MAX_PREVIOUS: usize = 4;

/// Parameters that the login itself sets or that would set them; a fixed value would break or weaken it.
const RESERVED: [&str; 11] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

pub(super) fn check_all(providers: &[Provider], problems: &mut Problems) {
    problems.add_if(providers.is_empty(), "providers", "one is needed, there is none");
    // The one place that says so: behind it there may be any number.
    if let Some(second) = providers.get(1) {
        let message = format!("a second provider ({:?}) is not supported yet", second.id);
        problems.add("providers[1]", message);
    }
    for (i, provider) in providers.iter().enumerate() {
        check(provider, &format!("providers[{i}]"), problems);
    }
}

fn check(provider: &Provider, field: &str, problems: &mut Problems) {
    problems.add_if(
        provider.id.is_empty(),
        &format!("{field}.id"),
        "missing setting: the provider needs an id",
    );
    problems.add_if(
        provider.client_id.is_empty(),
        &format!("{field}.clientId"),
        "missing setting: client id",
    );
    let secretless = matches!(provider.client_authentication, Some(ClientAuthentication::None));
    problems.add_if(
        provider.client_secret.is_none() && provider.client_authentication.is_some() && !secretless,
        &format!("{field}.clientSecret"),
        "missing setting: the client authentication method needs a client secret",
    );
    let empty = provider
        .client_secret
        .as_ref()
        .and_then(|s| s.file())
        .is_some_and(|path| path.as_os_str().is_empty());
    problems.add_if(empty, &format!("{field}.clientSecret"), "the path of the file is empty");
    previous(provider, field, problems);
    issuer(provider, field, problems);
    endpoints(provider, field, problems);
    claims(provider, field, problems);
    parameters(&provider.login_parameters, &format!("{field}.loginParameters"), problems);
}

fn previous(provider: &Provider, field: &str, problems: &mut Problems) {
    let all = &provider.previous_credentials;
    problems.add_if(
        all.len() > MAX_PREVIOUS,
        &format!("{field}.previousCredentials"),
        "more than four: remove those of which no session is left",
    );
    let mut newer = provider.credentials_generation;
    for (i, Credentials { generation, client_id, client_secret }) in all.iter().enumerate() {
        let field = format!("{field}.previousCredentials[{i}]");
        problems.add_if(
            *generation >= newer,
            &format!("{field}.generation"),
            "generations go down from credentialsGeneration, one for each credentials",
        );
        newer = *generation;
        problems.add_if(
            client_id.is_empty(),
            &format!("{field}.clientId"),
            "missing setting: client id",
        );
        let path = client_secret.as_ref().and_then(|secret| secret.file());
        problems.add_if(
            path.is_some_and(|path| path.as_os_str().is_empty()),
            &format!("{field}.clientSecret"),
            "the path of the file is empty",
        );
        problems.add_if(
            client_secret.is_none() && provider.client_secret.is_some(),
            &format!("{field}.clientSecret"),
            "missing setting: the client has a secret now, so it had one then",
        );
    }
}

/// OpenID Connect Discovery 1.0 section 2: a URL without query and fragment.
fn issuer(provider: &Provider, field: &str, problems: &mut Problems) {
    let field = format!("{field}.issuerUrl");
    if provider.issuer_url.is_empty() {
        problems.add(field, "missing setting: the issuer URL of the provider");
        return;
    }
    match web_url(&provider.issuer_url) {
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            problems.add(field, "an issuer URL has no query and no fragment");
        }
        Ok(_) => {}
        Err(what) => problems.add(field, what),
    }
}

fn endpoints(provider: &Provider, field: &str, problems: &mut Problems) {
    let endpoints = &provider.endpoints;
    let all = [
        ("authorization", &endpoints.authorization, true),
        ("token", &endpoints.token, true),
        ("jwks", &endpoints.jwks, true),
        ("userinfo", &endpoints.userinfo, false),
        ("endSession", &endpoints.end_session, false),
        ("validate", &endpoints.validate, false),
    ];
    for (name, url, needed) in all {
        let field = format!("{field}.endpoints.{name}");
        // Only the browser follows it, so it may be a path on the host where that is.
        let is_own = name == "authorization" && url.as_deref().is_some_and(is_path);
        match url.as_deref().filter(|_| !is_own).map(endpoint) {
            Some(Err(what)) => problems.add(field, what),
            None if needed && provider.skip_discovery && !is_own => {
                problems
                    .add(field, "missing setting: without discovery this endpoint must be given");
            }
            _ => {}
        }
    }
    if let Some(Err(what)) = provider.discovery_url.as_deref().map(endpoint) {
        problems.add(format!("{field}.discoveryUrl"), what);
    }
}

/// RFC 6749 sections 3.1 and 3.2: a URL without a fragment.
fn endpoint(text: &str) -> Result<(), String> {
    match web_url(text)?.fragment() {
        Some(_) => Err("an endpoint has no fragment: leave out the # and what follows".to_owned()),
        None => Ok(()),
    }
}

/// A path of one slash: two would name a host.
fn is_path(url: &str) -> bool {
    let hidden = |c: char| c.is_control() || c.is_whitespace() || c == '\\' || c == '#';
    url.starts_with('/') && !url.starts_with("//") && !url.contains(hidden)
}

fn claims(provider: &Provider, field: &str, problems: &mut Problems) {
    let claims = &provider.claims;
    problems.add_if(
        claims.email.is_empty(),
        &format!("{field}.claims.email"),
        "the name of a claim is needed",
    );
    problems.add_if(
        claims.groups.is_empty(),
        &format!("{field}.claims.groups"),
        "the name of a claim is needed",
    );
    problems.add_if(
        claims.audience.is_empty() || claims.audience.iter().any(String::is_empty),
        &format!("{field}.claims.audience"),
        "the name of a claim is needed, usually aud",
    );
    problems.add_if(
        claims.extra_audiences.iter().any(String::is_empty),
        &format!("{field}.claims.extraAudiences"),
        "an audience is empty",
    );
    let empty_ca = provider.tls.ca_files.iter().any(|path| path.as_os_str().is_empty());
    problems.add_if(empty_ca, &format!("{field}.tls.caFiles"), "the path of a file is empty");
    if let Some(scope) = &provider.scope {
        let fits =
            scope.bytes().all(|b| b == b' ' || b.is_ascii_graphic() && b != b'"' && b != b'\\');
        problems.add_if(
            !fits,
            &format!("{field}.scope"),
            "a scope is made of printable ASCII, separated by blanks",
        );
    }
}

fn parameters(parameters: &[LoginParameter], field: &str, problems: &mut Problems) {
    for (i, parameter) in parameters.iter().enumerate() {
        let name = &parameter.name;
        let rule = format!("{field}[{i}].allow");
        let field = format!("{field}[{i}].name");
        for (n, allowed) in parameter.allow.iter().enumerate() {
            let AllowedValue::Pattern(pattern) = allowed else { continue };
            if let Err(error) = regex(pattern) {
                problems.add(format!("{rule}[{n}].pattern"), error.to_string());
            }
        }
        if name.is_empty() {
            problems.add(field, "the parameter needs a name");
        } else if RESERVED.contains(&name.as_str()) {
            problems.add(field, format!("{name} is set by the login itself: leave it out, or use the setting that is made for it"));
        } else if parameters.iter().take(i).any(|other| other.name == *name) {
            problems.add(field, format!("{name} occurs twice: give it several values instead"));
        }
    }
}
