//! Rules for identity headers.

use super::Problems;
use super::text::is_token;
use crate::{Claim, Config, HeaderRule, SessionFormat};

/// Headers that frame a message, route it or carry cookies: setting them from a claim would break or forge a request.
const RESERVED: [&str; 15] = [
    "connection",
    "content-length",
    "content-encoding",
    "content-type",
    "cookie",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
];

/// Longest name of a claim: it stands in every session.
const LONGEST_NAME: usize = 256;

pub(super) fn check(config: &Config, problems: &mut Problems) {
    check_list(&config.request_headers, "requestHeaders", problems);
    check_list(&config.response_headers, "responseHeaders", problems);
    let rules = config.request_headers.iter().chain(&config.response_headers);
    let mut claims = rules.flat_map(|rule| &rule.values).map(|value| &value.claim);
    problems.add_if(
        config.session.format == SessionFormat::V1
            && claims.any(|claim| matches!(claim, Claim::Other(_))),
        "session.format",
        "sessions that session.format v1 writes do not hold further claims, which a header carries: leave session.format out",
    );
}

fn check_list(rules: &[HeaderRule], list: &str, problems: &mut Problems) {
    for (i, rule) in rules.iter().enumerate() {
        let field = format!("{list}[{i}]");
        let name = folded(&rule.name);
        if !is_token(&rule.name) {
            problems.add(format!("{field}.name"), format!("{:?} is no header name", rule.name));
        } else if RESERVED.contains(&name.as_str()) {
            problems
                .add(format!("{field}.name"), format!("{} can not be set from a claim", rule.name));
        } else if rules.iter().take(i).any(|other| folded(&other.name) == name) {
            problems.add(
                format!("{field}.name"),
                format!("{} occurs twice: header names are unique, whatever their case", rule.name),
            );
        }
        problems.add_if(
            rule.values.is_empty(),
            &format!("{field}.values"),
            "at least one value is needed",
        );
        for (j, value) in rule.values.iter().enumerate() {
            let printable = value.prefix.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            problems.add_if(
                !printable,
                &format!("{field}.values[{j}].prefix"),
                "only printable ASCII is allowed",
            );
            if let Claim::Other(name) = &value.claim {
                let usable = !name.is_empty() && name.len() <= LONGEST_NAME;
                problems.add_if(
                    !usable || name.contains(char::is_control),
                    &format!("{field}.values[{j}].claim.other"),
                    "the name of a claim is needed, of at most 256 bytes",
                );
            }
        }
    }
}

/// Upstreams read `X_User` and `x-user` alike, so they are one name.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}
