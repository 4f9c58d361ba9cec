//! What a proxy in front of us says of the request, and how far it is believed (`docs/differences.md`, "Who is
//! asking").
//!
//! Decisions on access believe only peers that were named. Scheme, host and path of redirects also believe a proxy that was
//! announced without a name, because a client could only mislead itself.

use crate::peer::Peer;
use http::Method;
use http::header::{HOST, HeaderMap, HeaderValue};
use ipnet::IpNet;
use proxy_config::{Http, ReverseProxy};
use std::net::IpAddr;

/// How far forwarded headers of a peer count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// Not at all.
    Nothing,
    /// For redirects: there is a proxy in front of us, of which we know no address.
    Redirects,
    /// For everything.
    Everything,
}

impl Trust {
    /// The trust in `peer`.
    pub(crate) fn of(http: &Http, peer: &Peer) -> Self {
        let Some(ReverseProxy { trusted_proxies, real_client_ip_header: _ }) = &http.reverse_proxy
        else {
            return Self::Nothing;
        };
        match peer.canonical() {
            None => Self::Everything,
            Some(ip) if trusted_proxies.iter().any(|network| network.contains(&ip)) => {
                Self::Everything
            }
            Some(_) if trusted_proxies.is_empty() => Self::Redirects,
            Some(_) => Self::Nothing,
        }
    }
}

/// The host that the client asked for, with its port; empty if unknown.
pub(crate) fn host(headers: &HeaderMap, trust: Trust) -> &str {
    let told = told_host(headers, trust).or_else(|| headers.get(HOST));
    told.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The same as a proxy in front tells it.
pub(super) fn told_host(headers: &HeaderMap, trust: Trust) -> Option<&HeaderValue> {
    told(headers, "x-forwarded-host", trust).filter(|host| host.to_str().is_ok_and(is_host))
}

/// The scheme that the client used, as a proxy in front tells it.
pub(crate) fn scheme(headers: &HeaderMap, trust: Trust) -> Option<&str> {
    text(headers, "x-forwarded-proto", trust).filter(|scheme| {
        scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
    })
}

/// Path and query that the client asked for, as a proxy in front tells them.
pub(crate) fn uri(headers: &HeaderMap, trust: Trust) -> Option<&str> {
    text(headers, "x-forwarded-uri", trust)
}

/// The method that the client used, as a proxy in front tells it.
pub(crate) fn method(headers: &HeaderMap, trust: Trust) -> Option<Method> {
    Method::from_bytes(told(headers, "x-forwarded-method", trust)?.as_bytes()).ok()
}

/// The client's address as far as decisions may use it; `None` if nobody knows.
///
/// Behind an announced proxy without a name it is nobody's: the peer's own address would be the proxy's.
pub(crate) fn client_ip(
    http: &Http,
    peer: &Peer,
    headers: &HeaderMap,
    trust: Trust,
) -> Option<IpAddr> {
    match (&http.reverse_proxy, trust) {
        (Some(proxy), Trust::Everything) => told_ip(proxy, headers),
        (Some(_), Trust::Redirects) => None,
        (_, Trust::Nothing) | (None, _) => peer.canonical(),
    }
}

/// The client's address for the log, where a wrong one does no harm. Where a proxy in front was announced it is an address
/// without a port, told or the peer's own; elsewhere `None`, and the log has the peer as it connected.
pub(crate) fn shown_ip(
    http: &Http,
    peer: &Peer,
    headers: &HeaderMap,
    trust: Trust,
) -> Option<IpAddr> {
    let proxy = http.reverse_proxy.as_ref()?;
    let told = if trust >= Trust::Redirects { told_ip(proxy, headers) } else { None };
    told.or_else(|| peer.canonical())
}

/// From the configured header. `X-Forwarded-For` is a list, which is walked from the right, past the proxies that were named;
/// any other header has one address or none that counts.
fn told_ip(proxy: &ReverseProxy, headers: &HeaderMap) -> Option<IpAddr> {
    let name = proxy.real_client_ip_header.as_str();
    if !name.eq_ignore_ascii_case("x-forwarded-for") {
        return parse_ip(once(headers, name)?.to_str().ok()?);
    }
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|v| v.to_str().ok()).collect::<Option<_>>()?;
    let mut addresses = lines.iter().flat_map(|line| line.split(',')).rev().map(parse_ip);
    let mut last = addresses.next()??;
    while proxy.trusted_proxies.iter().any(|network: &IpNet| network.contains(&last)) {
        match addresses.next() {
            Some(address) => last = address?,
            None => break,
        }
    }
    Some(last)
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare =
        text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(host, _)| host);
    let ip: Option<IpAddr> = bare.parse().ok();
    ip.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
        .map(|ip| ip.to_canonical())
}

fn text<'a>(headers: &'a HeaderMap, name: &str, trust: Trust) -> Option<&'a str> {
    told(headers, name, trust)?.to_str().ok()
}

fn told<'a>(headers: &'a HeaderMap, name: &str, trust: Trust) -> Option<&'a HeaderValue> {
    if trust == Trust::Nothing { None } else { once(headers, name) }
}

/// The value of a header that has one. Of two lines one may be the client's own, to which the proxy in front added: then
/// neither counts.
pub(super) fn once<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|value| !value.is_empty() && lines.next().is_none())
}

/// A host name or address with an optional port, by its characters: it goes into URLs that we make.
pub(crate) fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn http(trusted: Option<&[&str]>, header: &str) -> Http {
        let reverse_proxy = trusted.map(|trusted| ReverseProxy {
            trusted_proxies: trusted
                .iter()
                .map(|network| network.parse().expect("a network"))
                .collect(),
            real_client_ip_header: header.to_owned(),
        });
        Http { reverse_proxy, ..Http::default() }
    }

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                HeaderValue::from_str(value).expect("a value"),
            )
        };
        list.iter().map(pair).collect()
    }

    fn client(http: &Http, peer: &str, list: &[(&str, &str)]) -> Option<String> {
        let peer = Peer::new(Some(peer.parse().expect("an address")), false);
        client_ip(http, &peer, &headers(list), Trust::of(http, &peer)).map(|ip| ip.to_string())
    }

    #[test]
    fn a_direct_client_is_its_own_address_whatever_it_claims() {
        let claim = [("X-Real-IP", "10.0.0.1"), ("X-Forwarded-For", "10.0.0.1")];
        assert_eq!(
            client(&http(None, "X-Real-IP"), "192.0.2.7:1", &claim),
            Some("192.0.2.7".to_owned())
        );
        let named = http(Some(&["10.9.0.0/16"]), "X-Real-IP");
        assert_eq!(client(&named, "192.0.2.7:1", &claim), Some("192.0.2.7".to_owned()));
        assert_eq!(client(&named, "[::ffff:192.0.2.7]:1", &claim), Some("192.0.2.7".to_owned()));
    }

    #[test]
    fn an_unnamed_proxy_decides_nothing() {
        let unnamed = http(Some(&[]), "X-Real-IP");
        assert_eq!(client(&unnamed, "192.0.2.7:1", &[("X-Real-IP", "10.0.0.1")]), None);
        assert_eq!(client(&unnamed, "192.0.2.7:1", &[]), None);
    }

    #[test]
    fn a_named_proxy_tells_the_client() {
        let named = http(Some(&["10.9.0.0/16"]), "X-Real-IP");
        for (value, ip) in [
            ("192.0.2.1", Some("192.0.2.1")),
            (" [2001:db8::1]:80", Some("2001:db8::1")),
            ("192.0.2.1:99", Some("192.0.2.1")),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(
                client(&named, "10.9.1.1:1", &[("X-Real-IP", value)]).as_deref(),
                ip,
                "{value}"
            );
        }
        assert_eq!(client(&named, "10.9.1.1:1", &[]), None);
    }

    #[test]
    fn x_forwarded_for_is_walked_from_the_right() {
        let named = http(Some(&["10.9.0.0/16"]), "X-Forwarded-For");
        for (lines, ip) in [
            (&["1.1.1.1, 192.0.2.1"][..], Some("192.0.2.1")),
            (&["1.1.1.1, 192.0.2.1, 10.9.0.2"], Some("192.0.2.1")),
            (&["1.1.1.1", "192.0.2.1", "10.9.0.2"], Some("192.0.2.1")),
            (&["1.1.1.1, bogus, 10.9.0.2"], None),
            (&["10.9.0.3, 10.9.0.2"], Some("10.9.0.3")),
        ] {
            let list: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
            assert_eq!(client(&named, "10.9.1.1:1", &list).as_deref(), ip, "{lines:?}");
        }
    }

    #[test]
    fn host_scheme_and_uri_follow_the_trust() {
        let list = headers(&[
            ("Host", "a"),
            ("X-Forwarded-Host", "b:1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Uri", "/u"),
        ]);
        for trust in [Trust::Redirects, Trust::Everything] {
            assert_eq!(
                (host(&list, trust), scheme(&list, trust), uri(&list, trust)),
                ("b:1", Some("https"), Some("/u"))
            );
        }
        assert_eq!(
            (
                host(&list, Trust::Nothing),
                scheme(&list, Trust::Nothing),
                uri(&list, Trust::Nothing)
            ),
            ("a", None, None)
        );
        assert_eq!(
            host(&headers(&[("Host", "a"), ("X-Forwarded-Host", "b/@evil")]), Trust::Everything),
            "a"
        );
        assert_eq!(
            scheme(&headers(&[("X-Forwarded-Proto", "javascript")]), Trust::Everything),
            None
        );
    }

    #[test]
    fn behind_a_proxy_the_log_has_an_address_without_a_port() {
        let peer = Peer::new(Some("192.0.2.7:1".parse().expect("an address")), false);
        let shown = |http: &Http, list: &[(&str, &str)]| {
            shown_ip(http, &peer, &headers(list), Trust::of(http, &peer)).map(|ip| ip.to_string())
        };
        let told = [("X-Real-IP", "10.0.0.1")];
        let unnamed = http(Some(&[]), "X-Real-IP");
        assert_eq!(shown(&unnamed, &told).as_deref(), Some("10.0.0.1"));
        assert_eq!(shown(&unnamed, &[]).as_deref(), Some("192.0.2.7"));
        let another = http(Some(&["10.9.0.0/16"]), "X-Real-IP");
        assert_eq!(shown(&another, &told).as_deref(), Some("192.0.2.7"));
        assert_eq!(shown(&http(None, "X-Real-IP"), &told), None);
    }

    #[test]
    fn of_two_lines_of_a_header_with_one_value_neither_counts() {
        let twice = |name, one, other| headers(&[("Host", "a"), (name, one), (name, other)]);
        let all = Trust::Everything;
        assert_eq!(host(&twice("X-Forwarded-Host", "b", "c"), all), "a");
        assert_eq!(scheme(&twice("X-Forwarded-Proto", "https", "http"), all), None);
        assert_eq!(uri(&twice("X-Forwarded-Uri", "/a", "/b"), all), None);
        assert_eq!(method(&twice("X-Forwarded-Method", "GET", "PUT"), all), None);
        for name in ["X-Real-IP", "CF-Connecting-IP"] {
            let named = http(Some(&["10.9.0.0/16"]), name);
            for list in
                [&[(name, "10.0.0.1"), (name, "10.0.0.2")][..], &[(name, "10.0.0.1, 10.0.0.2")]]
            {
                assert_eq!(client(&named, "10.9.1.1:1", list), None, "{list:?}");
            }
        }
    }

    #[test]
    fn a_unix_socket_is_trusted_behind_a_proxy_only() {
        let peer = Peer::new(None, false);
        assert_eq!(Trust::of(&http(Some(&["10.0.0.0/8"]), "x"), &peer), Trust::Everything);
        assert_eq!(Trust::of(&http(None, "x"), &peer), Trust::Nothing);
    }
}
