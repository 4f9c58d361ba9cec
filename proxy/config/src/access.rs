//! Who may pass, and which requests pass without a session.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Authorisation rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Access {
    /// Domains whose addresses may pass: `d`, `.d` or `*.d` for sub-domains, `*` for all.
    pub email_domains: Vec<String>,
    /// File with one address per line (CSV, first column); watched for changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emails_file: Option<PathBuf>,
    /// One of these groups is needed; empty: none.
    pub allowed_groups: Vec<String>,
    /// Requests that pass without a session.
    pub skip_auth: Vec<PathRule>,
    /// A genuine CORS pre-flight passes without a session.
    pub skip_auth_preflight: bool,
    /// Clients from these networks pass without a session.
    #[schemars(with = "Vec<String>")]
    pub trusted_ips: Vec<IpNet>,
    /// Regular expressions on the path, in the syntax of Go: unauthenticated requests there get 401 instead of a login page.
    pub api_routes: Vec<String>,
    /// Answer every unauthenticated or forbidden request with JSON.
    pub force_json_errors: bool,
    /// Start the login at once instead of showing the sign-in page.
    pub skip_provider_button: bool,
    /// Accept ID tokens as bearer tokens; absent: not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Bearer>,
}

/// A request by method and path. The path is the normalised one that the upstream gets, never the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PathRule {
    /// Exact method in upper case; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Regular expression in the syntax of Go, unanchored.
    pub path: String,
    /// The rule covers what does not match.
    #[serde(default)]
    pub negate: bool,
}

/// Bearer tokens (RFC 6750).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bearer {
    /// A bad token leads to the login as if there were none; otherwise it is refused with 403.
    pub login_fallback: bool,
}
