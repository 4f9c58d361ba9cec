//! Options of own endpoints, redirects, forwarded headers, and logging.

use super::{choice, given};
use crate::options::supported::Options;
use proxy_config::{Http, LogFormat, Logging, Problems, ReverseProxy};

pub(super) fn convert(options: &Options, problems: &mut Problems) -> Http {
    let trusted = super::access::networks(&options.trusted_proxy_ips, "trusted-proxy-ip", problems);
    Http {
        proxy_prefix: options.proxy_prefix.clone(),
        ping_path: options.ping_path.clone(),
        ready_path: options.ready_path.clone(),
        redirect_url: given(&options.redirect_url),
        relative_redirect_url: options.relative_redirect_url,
        whitelist_domains: options.whitelist_domains.clone(),
        encode_state: options.encode_state,
        force_https: options.force_https,
        reverse_proxy: options.reverse_proxy.then(|| ReverseProxy {
            trusted_proxies: trusted,
            real_client_ip_header: options.real_client_ip_header.clone(),
        }),
        request_id_header: options.request_id_header.clone(),
    }
}

pub(super) fn logging(options: &Options, problems: &mut Problems) -> Logging {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    Logging {
        format: choice(&options.log_format, &formats, "log-format", problems).unwrap_or_default(),
        requests: options.request_logging,
        authentication: options.auth_logging,
        standard: options.standard_logging,
        exclude_paths: options.exclude_logging_paths.clone(),
        silence_ping: options.silence_ping_logging,
    }
}
