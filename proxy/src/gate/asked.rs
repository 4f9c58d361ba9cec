//! What a decision on access is asked about: the request that came, or the one that a named proxy tells of.

use super::told::{self, Trust, once};
use super::visit::Visit;
use crate::policy::Asked;
use crate::routing::{NormalPath, Normalised};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, header};
use std::borrow::Cow;

/// Headers by which proxies tell the target beside `X-Forwarded-Uri`. Whoever sets one of these may pass the client's own
/// `X-Forwarded-Uri`: where they differ, nothing is told.
const OTHER_TARGETS: [&str; 3] = ["x-original-url", "x-original-uri", "x-envoy-original-path"];

/// The request that came, for `path`.
pub(super) fn here<'a>(visit: &Visit<'_>, path: &'a NormalPath) -> Asked<'a> {
    asked(visit, Some(visit.from.head.method.clone()), Some(Cow::Borrowed(path)))
}

/// The request that a proxy in front asks us about. Only a named proxy is believed, and only what it says.
pub(super) fn told(visit: &Visit<'_>) -> Asked<'static> {
    if visit.from.trust != Trust::Everything {
        return asked(visit, None, None);
    }
    let headers = &visit.from.head.headers;
    let path = told_path(headers, visit.from.trust).map(Cow::Owned);
    asked(visit, told_method(headers, visit.from.trust), path)
}

fn asked<'a>(
    visit: &Visit<'_>,
    method: Option<Method>,
    path: Option<Cow<'a, NormalPath>>,
) -> Asked<'a> {
    let client = if visit.from.site.policy.asks_for_clients() { visit.from.ip() } else { None };
    let preflight = method == Some(Method::OPTIONS)
        && !visit.has_body()
        && is_preflight(&visit.from.head.headers);
    Asked { method, path, client, preflight }
}

fn told_method(headers: &HeaderMap, trust: Trust) -> Option<Method> {
    let method = told::method(headers, trust)?;
    let mut others = headers.get_all("x-original-method").iter();
    others.all(|other| other.as_bytes() == method.as_str().as_bytes()).then_some(method)
}

fn told_path(headers: &HeaderMap, trust: Trust) -> Option<NormalPath> {
    let path = normal(told::uri(headers, trust)?)?;
    let same = |other: &HeaderValue| {
        let other = other.to_str().ok().and_then(|text| normal(without_origin(text)));
        other.is_some_and(|other| other.text() == path.text())
    };
    OTHER_TARGETS.iter().all(|name| headers.get_all(*name).iter().all(same)).then_some(path)
}

/// A raw `#` ends the path for some and not for others; a comma before a slash is how two lines are joined into one.
fn normal(target: &str) -> Option<NormalPath> {
    if target.contains('#') || target.contains(",/") {
        return None;
    }
    match NormalPath::of(&PathAndQuery::try_from(target).ok()?) {
        Ok(Normalised::Path(path)) => Some(path),
        Ok(Normalised::Moved(_)) | Err(_) => None,
    }
}

/// The path and query of an absolute URL.
fn without_origin(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://").filter(|_| !url.starts_with('/')) else {
        return url;
    };
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}

/// What the Fetch standard says a pre-flight has, beside its method, and does not have: a body.
fn is_preflight(headers: &HeaderMap) -> bool {
    let empty = |value: &HeaderValue| value.as_bytes() == b"0";
    once(headers, header::ORIGIN.as_str()).is_some()
        && once(headers, header::ACCESS_CONTROL_REQUEST_METHOD.as_str()).is_some()
        && headers.get(header::CONTENT_LENGTH).is_none_or(empty)
        && !headers.contains_key(header::TRANSFER_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let name = |name: &str| HeaderName::from_bytes(name.as_bytes()).expect("a name");
        list.iter().map(|(n, v)| (name(n), HeaderValue::from_str(v).expect("a value"))).collect()
    }

    #[test]
    fn a_preflight_names_origin_and_method_once_and_has_no_body() {
        let (origin, method) = (("Origin", "https://a"), ("Access-Control-Request-Method", "PUT"));
        assert!(is_preflight(&headers(&[origin, method])));
        assert!(is_preflight(&headers(&[origin, method, ("Content-Length", "0")])));
        for list in [
            &[][..],
            &[origin],
            &[method],
            &[origin, method, origin],
            &[origin, method, method],
            &[origin, method, ("Content-Length", "1")],
            &[origin, method, ("Transfer-Encoding", "chunked")],
        ] {
            assert!(!is_preflight(&headers(list)), "{list:?}");
        }
    }

    #[test]
    fn nothing_is_told_where_two_headers_tell_two_things() {
        let told = |list: &[(&str, &str)]| {
            let headers = headers(list);
            let path = told_path(&headers, Trust::Everything);
            let method = told_method(&headers, Trust::Everything);
            (path.map(|path| path.text().to_owned()), method)
        };
        let (uri, method) = (("X-Forwarded-Uri", "/open/x?y"), ("X-Forwarded-Method", "GET"));
        let all = (Some("/open/x".to_owned()), Some(Method::GET));
        assert_eq!(told(&[uri, method]), all);
        for same in [
            ("X-Original-URL", "https://app.example/open/x?y"),
            ("X-Original-URL", "/open/x"),
            ("X-Original-URI", "/open/%78?z"),
            ("X-Envoy-Original-Path", "/open/x"),
            ("X-Original-Method", "GET"),
        ] {
            assert_eq!(told(&[uri, method, same]), all, "{same:?}");
        }
        for other in [
            ("X-Original-URL", "https://app.example/secret"),
            ("X-Original-URL", "https://app.example"),
            ("X-Original-URI", "/secret?/open/x"),
            ("X-Original-URI", "/open/../secret"),
            ("X-Original-URI", ""),
            ("X-Envoy-Original-Path", "/secret"),
            ("X-Forwarded-Uri", "/open/x?y"),
        ] {
            assert_eq!(told(&[uri, method, other]), (None, Some(Method::GET)), "{other:?}");
        }
        for joined in ["/open/x,/secret", "/open/x, /secret", "/open/x#y"] {
            assert_eq!(told(&[("X-Forwarded-Uri", joined)]).0, None, "{joined}");
        }
        for other in [("X-Original-Method", "PUT"), ("X-Forwarded-Method", "GET")] {
            assert_eq!(told(&[uri, method, other]).1, None, "{other:?}");
        }
    }
}
