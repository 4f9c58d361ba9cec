//! Who may pass.

use super::Problems;
use super::text::{is_domain, is_token};
use crate::{Access, PathRule};

pub(super) fn check(access: &Access, problems: &mut Problems) {
    if access.email_domains.is_empty() && access.emails_file.is_none() {
        problems.add(
            "access.emailDomains",
            "missing setting: say whose e-mail addresses may pass, by domains or by a file (the domain * lets all pass)",
        );
    }
    for (i, domain) in access.email_domains.iter().enumerate() {
        if let Some(what) = domain_problem(domain) {
            problems.add(format!("access.emailDomains[{i}]"), format!("{domain:?} {what}"));
        }
    }
    let empty_file = access.emails_file.as_ref().is_some_and(|path| path.as_os_str().is_empty());
    problems.add_if(empty_file, "access.emailsFile", "the path of the file is empty");
    problems.add_if(
        access.allowed_groups.iter().any(String::is_empty),
        "access.allowedGroups",
        "a group is empty",
    );
    for (i, rule) in access.skip_auth.iter().enumerate() {
        path_rule(rule, &format!("access.skipAuth[{i}]"), problems);
    }
    for (i, network) in access.trusted_ips.iter().enumerate() {
        if network.trunc() != *network {
            let message =
                format!("{network} has bits behind its prefix: write {}", network.trunc());
            problems.add(format!("access.trustedIps[{i}]"), message);
        }
    }
    for (i, route) in access.api_routes.iter().enumerate() {
        problems.add_if(
            route.is_empty(),
            &format!("access.apiRoutes[{i}]"),
            "an empty pattern would match every path",
        );
    }
}

fn domain_problem(domain: &str) -> Option<&'static str> {
    let bare = domain.strip_prefix("*.").or_else(|| domain.strip_prefix('.')).unwrap_or(domain);
    if domain == "*" {
        None
    } else if domain.contains('@') {
        Some("holds an @: write the domain alone, or put addresses into a file")
    } else if !bare.is_ascii() {
        Some("is not ASCII: write it in its xn-- form")
    } else if is_domain(bare) {
        None
    } else {
        Some("is no domain: write example.com, .example.com or *.example.com, or * for all")
    }
}

fn path_rule(rule: &PathRule, field: &str, problems: &mut Problems) {
    if let Some(method) = &rule.method {
        let upper = is_token(method) && !method.bytes().any(|b| b.is_ascii_lowercase());
        problems.add_if(
            !upper,
            &format!("{field}.method"),
            "a method is written in capitals, such as GET",
        );
    }
    problems.add_if(
        rule.path.is_empty(),
        &format!("{field}.path"),
        "an empty pattern would match every path: write ^/ if that is meant",
    );
}
