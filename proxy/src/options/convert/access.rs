//! Options on who may pass.

use crate::options::supported::Options;
use ipnet::IpNet;
use proxy_config::{Access, Bearer, PathRule, Problems};
use std::net::IpAddr;

pub(super) fn convert(options: &Options, problems: &mut Problems) -> Access {
    if options.email_domains.is_empty() && options.authenticated_emails_file.is_empty() {
        problems.add(
            "email-domain",
            "missing setting: email-domain or authenticated-emails-file; --email-domain=* lets every address pass",
        );
    }
    Access {
        email_domains: options.email_domains.clone(),
        emails_file: super::given(&options.authenticated_emails_file).map(Into::into),
        allowed_groups: options.allowed_groups.clone(),
        skip_auth: skip_auth(options, problems),
        skip_auth_preflight: options.skip_auth_preflight,
        trusted_ips: networks(&options.trusted_ips, "trusted-ip", problems),
        api_routes: options.api_routes.clone(),
        force_json_errors: options.force_json_errors,
        skip_provider_button: options.skip_provider_button,
        bearer: options
            .skip_jwt_bearer_tokens
            .then_some(Bearer { login_fallback: options.bearer_token_login_fallback }),
    }
}

/// Regexes first, then routes, as oauth2-proxy tries them.
fn skip_auth(options: &Options, problems: &mut Problems) -> Vec<PathRule> {
    let any = |path: &String| PathRule { method: None, path: path.clone(), negate: false };
    let mut rules: Vec<_> = options.skip_auth_regex.iter().map(any).collect();
    for entry in &options.skip_auth_routes {
        match route(entry) {
            Ok(rule) => rules.push(rule),
            Err(what) => problems.add("skip-auth-route", format!("{entry:?} {what}")),
        }
    }
    rules
}

/// `[METHOD=]regex` or `[METHOD]!=regex`, split at the first `=` or `!=`.
fn route(entry: &str) -> Result<PathRule, &'static str> {
    let Some((left, path)) = entry.split_once('=') else {
        return Ok(PathRule { method: None, path: entry.to_owned(), negate: false });
    };
    let (method, negate) = left.strip_suffix('!').map_or((left, false), |method| (method, true));
    if !negate && path.contains("!=") {
        return Err(
            "has != after its first =, which could be read in two ways: write !=regex for what must not match",
        );
    }
    let method = (!method.is_empty()).then(|| method.to_uppercase());
    Ok(PathRule { method, path: path.to_owned(), negate })
}

/// Addresses and networks; a network must not have bits set behind its prefix.
pub(super) fn networks(entries: &[String], flag: &str, problems: &mut Problems) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let network = entry
            .parse::<IpAddr>()
            .map(|ip| IpNet::from(ip.to_canonical()))
            .or_else(|_| entry.parse::<IpNet>());
        match network {
            Ok(network) if network.trunc() == network => networks.push(network),
            Ok(network) => {
                problems.add(
                    format!("{flag}[{i}]"),
                    format!("{entry} has bits behind its prefix: write {}", network.trunc()),
                );
            }
            Err(_) => problems.add(
                format!("{flag}[{i}]"),
                format!("{entry:?} is neither an address nor a network such as 10.0.0.0/8"),
            ),
        }
    }
    networks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_split_at_their_first_separator() {
        let rule = |text: &str| route(text).map(|r| (r.method, r.path, r.negate));
        let own = |method: Option<&str>, path: &str, negate| {
            Ok((method.map(str::to_owned), path.to_owned(), negate))
        };
        assert_eq!(rule("^/a"), own(None, "^/a", false));
        assert_eq!(rule("get=^/a"), own(Some("GET"), "^/a", false));
        assert_eq!(rule("GET!=^/a"), own(Some("GET"), "^/a", true));
        assert_eq!(rule("!=^/a"), own(None, "^/a", true));
        assert_eq!(rule("=^/a=b"), own(None, "^/a=b", false));
        assert!(rule("GET=^/a!=b").is_err());
    }
}
