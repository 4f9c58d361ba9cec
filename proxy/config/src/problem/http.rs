//! Own endpoints, redirects, forwarded headers, logging, bounds.

use super::Problems;
use super::text::{is_domain, is_sendable, is_token, path_problem, web_url};
use crate::{Http, Limits, Logging};

/// Headers from which a client's address may be taken.
const REAL_IP_HEADERS: [&str; 5] = [
    "X-Forwarded-For",
    "X-Real-IP",
    "X-ProxyUser-IP",
    "X-Envoy-External-Address",
    "CF-Connecting-IP",
];

pub(super) fn check(http: &Http, problems: &mut Problems) {
    prefix(&http.proxy_prefix, problems);
    for (field, path) in [("http.pingPath", &http.ping_path), ("http.readyPath", &http.ready_path)]
    {
        if path.is_empty() {
            continue;
        }
        if let Some(what) = path_problem(path) {
            problems.add(field, format!("{path:?} is no path: {what}; empty switches it off"));
        } else if !is_sendable(path) {
            problems.add(field, format!("{path:?} holds what clients send as %20 and the like"));
        }
    }
    let same = !http.ping_path.is_empty() && http.ping_path == http.ready_path;
    problems.add_if(same, "http.readyPath", "it is the same as the liveness path");
    if let Some(url) = &http.redirect_url {
        redirect_url(url, problems);
    }
    for (i, entry) in http.whitelist_domains.iter().enumerate() {
        if let Some(what) = whitelist_problem(entry) {
            problems.add(format!("http.whitelistDomains[{i}]"), format!("{entry:?} {what}"));
        }
    }
    problems.add_if(
        !is_token(&http.request_id_header),
        "http.requestIdHeader",
        "this is no header name",
    );
    if let Some(proxy) = &http.reverse_proxy {
        let name = &proxy.real_client_ip_header;
        if !REAL_IP_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            problems.add(
                "http.reverseProxy.realClientIpHeader",
                format!("{name:?} is not one of {}", REAL_IP_HEADERS.join(", ")),
            );
        }
        for (i, network) in proxy.trusted_proxies.iter().enumerate() {
            if network.trunc() != *network {
                let message =
                    format!("{network} has bits behind its prefix: write {}", network.trunc());
                problems.add(format!("http.reverseProxy.trustedProxies[{i}]"), message);
            }
        }
    }
}

fn prefix(prefix: &str, problems: &mut Problems) {
    if let Some(what) = path_problem(prefix) {
        problems.add("http.proxyPrefix", format!("{prefix:?} is no path: {what}"));
    } else if prefix.ends_with('/')
        || prefix.contains("//")
        || prefix.contains("/.")
        || prefix.contains('%')
        || !is_sendable(prefix)
    {
        problems.add(
            "http.proxyPrefix",
            "the prefix has no / at its end, no //, no dot segments, no % and nothing that clients escape",
        );
    }
}

/// An absolute URL, or a path that scheme and host of the request are put before.
fn redirect_url(text: &str, problems: &mut Problems) {
    if text.starts_with('/') && !text.starts_with("//") {
        if let Some(what) = path_problem(text) {
            problems.add("http.redirectUrl", format!("{text:?} is no path: {what}"));
        }
        return;
    }
    match web_url(text) {
        Ok(url) if url.fragment().is_some() => {
            problems.add("http.redirectUrl", "a redirect URL has no fragment");
        }
        Ok(_) => {}
        Err(what) => problems.add(
            "http.redirectUrl",
            format!("{what}; write https://host/oauth2/callback or a path"),
        ),
    }
}

fn whitelist_problem(entry: &str) -> Option<&'static str> {
    if entry.contains("://") {
        return Some("is a URL: write the host alone, with :port if it is not the usual one");
    }
    if entry.starts_with('[') || entry.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let (host, port) =
        entry.rsplit_once(':').map_or((entry, None), |(host, port)| (host, Some(port)));
    let bare = host.strip_prefix("*.").or_else(|| host.strip_prefix('.')).unwrap_or(host);
    if !is_domain(bare) {
        return Some(
            "is no host: write example.com, .example.com or *.example.com, with :port or :* if needed",
        );
    }
    match port {
        Some(port) if port != "*" && port.parse::<u16>().is_err() => {
            Some("has a bad port: write a number or *")
        }
        _ => None,
    }
}

pub(super) fn check_logging(logging: &Logging, problems: &mut Problems) {
    for (i, path) in logging.exclude_paths.iter().enumerate() {
        problems.add_if(
            !path.starts_with('/'),
            &format!("logging.excludePaths[{i}]"),
            "a path starts with /: it is compared as a whole",
        );
    }
}

pub(super) fn check_limits(limits: &Limits, problems: &mut Problems) {
    for (field, time) in [
        ("limits.headerTimeout", limits.header_timeout),
        ("limits.idleTimeout", limits.idle_timeout),
        ("limits.stallTimeout", limits.stall_timeout),
    ] {
        problems.add_if(time.is_zero(), field, "zero would cut every connection at once");
    }
    problems.add_if(
        !(8 * 1024..=16 * 1024 * 1024).contains(&limits.max_header_bytes),
        "limits.maxHeaderBytes",
        "between 8 KiB and 16 MiB are possible",
    );
    problems.add_if(
        limits.max_connections == 0,
        "limits.maxConnections",
        "at least one connection is needed",
    );
    problems.add_if(
        limits.workers > 1024,
        "limits.workers",
        "more than 1024 workers make no sense",
    );
}
