//! The identity headers that the header switches ask for, in oauth2-proxy's order.

use crate::options::supported::Options;
use proxy_config::{Claim, HeaderRule, HeaderValue};

/// Headers of the request sent upstream.
pub(super) fn request(options: &Options) -> Vec<HeaderRule> {
    let mut rules = Vec::new();
    if options.pass_user_headers || options.pass_basic_auth {
        rules.push(claim("X-Forwarded-Groups", Claim::Groups));
        if options.prefer_email_to_user {
            rules.push(claim("X-Forwarded-User", Claim::Email));
        } else {
            rules.push(claim("X-Forwarded-User", Claim::User));
            rules.push(claim("X-Forwarded-Email", Claim::Email));
        }
        rules.push(claim("X-Forwarded-Preferred-Username", Claim::PreferredUsername));
    }
    if options.pass_access_token {
        rules.push(claim("X-Forwarded-Access-Token", Claim::AccessToken));
    }
    if options.pass_authorization_header {
        rules.push(bearer());
    }
    rules
}

/// Headers of the response.
pub(super) fn response(options: &Options) -> Vec<HeaderRule> {
    let mut rules = Vec::new();
    if options.set_xauthrequest {
        rules.push(claim("X-Auth-Request-User", Claim::User));
        rules.push(claim("X-Auth-Request-Email", Claim::Email));
        rules.push(claim("X-Auth-Request-Preferred-Username", Claim::PreferredUsername));
        rules.push(claim("X-Auth-Request-Groups", Claim::Groups));
        if options.pass_access_token {
            rules.push(claim("X-Auth-Request-Access-Token", Claim::AccessToken));
        }
    }
    if options.set_authorization_header {
        rules.push(bearer());
    }
    rules
}

fn claim(name: &str, claim: Claim) -> HeaderRule {
    HeaderRule { name: name.to_owned(), values: vec![HeaderValue { claim, prefix: String::new() }] }
}

fn bearer() -> HeaderRule {
    let value = HeaderValue { claim: Claim::IdToken, prefix: "Bearer ".to_owned() };
    HeaderRule { name: "Authorization".to_owned(), values: vec![value] }
}
