//! Options of sessions, their cookies and their store.

use super::{choice, given, span};
use crate::options::cookie_secret;
use crate::options::supported::Options;
use proxy_config::{
    Cookie, CsrfCookie, Duration, Problems, Redis, SameSite, Secret, Session, SessionFormat, Store,
};

pub(super) fn convert(options: &Options, problems: &mut Problems) -> Session {
    let (lifetime, refresh) = (options.cookie_expire, options.cookie_refresh);
    if lifetime.0 != 0 && refresh >= lifetime {
        problems.add(
            "cookie-refresh",
            format!("{refresh} must be less than cookie-expire, {lifetime}"),
        );
    }
    Session {
        keys: cookie_secret::ring(options, problems),
        store: store(options, problems),
        cookie: cookie(options, problems),
        lifetime: span(lifetime, "cookie-expire", problems),
        absolute: absolute(options, problems),
        // oauth2-proxy takes a negative interval and never refreshes then.
        refresh: refresh.positive().unwrap_or(Duration::ZERO),
        format: format(options, problems),
        refresh_grace: span(options.refresh_grace, "refresh-grace", problems),
        replicas: 1,
    }
}

fn absolute(options: &Options, problems: &mut Problems) -> Duration {
    let (absolute, refresh) = (options.session_absolute_lifetime, options.cookie_refresh);
    if absolute.0 > 0 && refresh >= absolute {
        problems.add(
            "cookie-refresh",
            format!("{refresh} must be less than session-absolute-lifetime, {absolute}"),
        );
    }
    span(absolute, "session-absolute-lifetime", problems)
}

fn format(options: &Options, problems: &mut Problems) -> SessionFormat {
    let formats = [("v1", SessionFormat::V1), ("v2", SessionFormat::V2)];
    let format =
        choice(&options.session_format, &formats, "session-format", problems).unwrap_or_default();
    if format == SessionFormat::V1 && options.session_absolute_lifetime.0 > 0 {
        problems.add(
            "session-absolute-lifetime",
            "sessions that session-format=v1 writes do not hold when the login was: leave session-format out",
        );
    }
    format
}

fn cookie(options: &Options, problems: &mut Problems) -> Cookie {
    Cookie {
        name: options.cookie_name.clone(),
        domains: options.cookie_domains.clone(),
        path: options.cookie_path.clone(),
        secure: options.cookie_secure,
        http_only: options.cookie_httponly,
        same_site: same_site(&options.cookie_samesite, "cookie-samesite", problems),
        csrf: CsrfCookie {
            lifetime: span(options.cookie_csrf_expire, "cookie-csrf-expire", problems),
            same_site: same_site(&options.cookie_csrf_samesite, "cookie-csrf-samesite", problems),
            per_request: options.cookie_csrf_per_request,
            limit: csrf_limit(options.cookie_csrf_per_request_limit, problems),
        },
    }
}

/// Zero and less mean "off" to oauth2-proxy; here that is the built-in bound.
fn csrf_limit(limit: i64, problems: &mut Problems) -> u32 {
    super::number(limit.max(0), "cookie-csrf-per-request-limit", problems)
}

fn same_site(text: &str, flag: &str, problems: &mut Problems) -> Option<SameSite> {
    let values = [
        ("", None),
        ("lax", Some(SameSite::Lax)),
        ("strict", Some(SameSite::Strict)),
        ("none", Some(SameSite::None)),
    ];
    choice(text, &values, flag, problems).flatten()
}

fn store(options: &Options, problems: &mut Problems) -> Store {
    let redis = choice(
        &options.session_store_type,
        &[("cookie", false), ("redis", true)],
        "session-store-type",
        problems,
    );
    if redis != Some(true) {
        return Store::Cookie;
    }
    if options.redis_connection_url.is_empty() {
        problems.add("redis-connection-url", "missing setting: with --session-store-type=redis a URL such as redis://host:6379 is needed");
    }
    Store::Redis(Redis {
        url: Secret::Value(options.redis_connection_url.clone()),
        username: given(&options.redis_username),
        password: (!options.redis_password.is_empty())
            .then(|| Secret::Value(options.redis_password.clone())),
        ca_file: given(&options.redis_ca_path).map(Into::into),
        insecure_skip_verify: options.redis_insecure_skip_tls_verify,
    })
}
