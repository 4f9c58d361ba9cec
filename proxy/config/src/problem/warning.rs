//! What is allowed and weakens security.

use super::Problems;
use crate::{Config, Http, PkceMethod, Provider, SameSite, Session, Store, Target};

pub(super) fn all(config: &Config) -> Problems {
    let mut warnings = Problems::default();
    for (i, provider) in config.providers.iter().enumerate() {
        of_provider(provider, &format!("providers[{i}]"), &mut warnings);
    }
    of_session(&config.session, &mut warnings);
    of_http(&config.http, config, &mut warnings);
    for (i, upstream) in config.upstreams.iter().enumerate() {
        let insecure =
            matches!(upstream.target, Target::Http { insecure_skip_tls_verify: true, .. });
        warnings.add_if(
            insecure,
            &format!("upstreams[{i}].target"),
            "any certificate of the upstream is accepted",
        );
    }
    for (i, rule) in config.access.skip_auth.iter().enumerate() {
        let all =
            matches!(rule.path.as_str(), "" | "/" | "^/" | ".*" | "^/.*" | "^/.*$") || rule.negate;
        let message = "most paths need no session by this rule";
        warnings.add_if(all && rule.method.is_none(), &format!("access.skipAuth[{i}]"), message);
    }
    let logging = &config.logging;
    warnings.add_if(
        !(logging.requests || logging.authentication || logging.standard),
        "logging",
        "logging is off: no further lines are written",
    );
    warnings
}

fn of_provider(provider: &Provider, field: &str, warnings: &mut Problems) {
    for (on, name, message) in [
        (
            provider.insecure_skip_issuer_verification,
            "insecureSkipIssuerVerification",
            "tokens of any issuer are accepted",
        ),
        (
            provider.insecure_skip_nonce,
            "insecureSkipNonce",
            "an ID token of another login is accepted",
        ),
        (
            provider.claims.insecure_allow_unverified_email,
            "claims.insecureAllowUnverifiedEmail",
            "an address that nobody verified is accepted as an identity",
        ),
        (
            provider.tls.insecure_skip_verify,
            "tls.insecureSkipVerify",
            "anybody can pose as the identity provider",
        ),
        (
            matches!(provider.code_challenge_method, Some(PkceMethod::Plain | PkceMethod::None)),
            "codeChallengeMethod",
            "a stolen code can be used; S256 prevents it",
        ),
        (
            provider.issuer_url.starts_with("http://"),
            "issuerUrl",
            "the provider is reached without TLS: fit for tests and closed networks only",
        ),
    ] {
        warnings.add_if(on, &format!("{field}.{name}"), message);
    }
}

fn of_session(session: &Session, warnings: &mut Problems) {
    let cookie = &session.cookie;
    warnings.add_if(
        !cookie.secure,
        "session.cookie.secure",
        "the session cookie is sent without TLS too",
    );
    warnings.add_if(
        !cookie.http_only,
        "session.cookie.httpOnly",
        "scripts of the page can read the session cookie",
    );
    warnings.add_if(
        cookie.same_site == Some(SameSite::None) && !cookie.secure,
        "session.cookie.sameSite",
        "browsers drop a cookie with SameSite=None that is not secure",
    );
    warnings.add_if(
        session.lifetime.is_zero(),
        "session.lifetime",
        "a session has no end on our side",
    );
    if session.replicas > 1 && !session.refresh.is_zero() && session.store == Store::Cookie {
        warnings.add(
            "session.refresh",
            format!(
                "sessions are in cookies, and {} replicas refresh them without knowing of each other: at a provider that takes \
                 each refresh token once, a person may have to log in anew; keep sessions in Redis, or run one replica",
                session.replicas
            ),
        );
    }
    let insecure = matches!(&session.store, Store::Redis(redis) if redis.insecure_skip_verify);
    warnings.add_if(
        insecure,
        "session.store.redis.insecureSkipVerify",
        "anybody can pose as Redis",
    );
}

fn of_http(http: &Http, config: &Config, warnings: &mut Problems) {
    let Some(proxy) = &http.reverse_proxy else {
        let insecure = http.redirect_url.is_none() && !config.session.cookie.secure;
        let message = "there is no explicit redirect URL: redirects will default to insecure http";
        warnings.add_if(insecure, "http.redirectUrl", message);
        return;
    };
    if proxy.trusted_proxies.is_empty() {
        warnings.add(
            "http.reverseProxy.trustedProxies",
            "any peer may say by which scheme and host it was reached; name the proxies in front",
        );
        let message = "no proxy is trusted, so nobody's address is known and nobody passes by these; name the proxies in front";
        warnings.add_if(!config.access.trusted_ips.is_empty(), "access.trustedIps", message);
        return;
    }
    let message = "where a proxy asks /oauth2/auth, these rules are judged by its X-Forwarded-Uri and X-Forwarded-Method: it must set both itself, or its clients choose what is judged";
    warnings.add_if(!config.access.skip_auth.is_empty(), "access.skipAuth", message);
    let message = "where a proxy asks /oauth2/auth, a pre-flight is one by its X-Forwarded-Method: it must set that itself, or anything passes that its clients call a pre-flight";
    warnings.add_if(config.access.skip_auth_preflight, "access.skipAuthPreflight", message);
}
