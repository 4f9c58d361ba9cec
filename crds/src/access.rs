//! Who may pass, and which requests pass without a login.

use crate::KeySource;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Authorisation rules. A user passes if the e-mail address is admitted by domain or by list, and, if groups are
/// required, is in one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.emailDomains) && size(self.emailDomains) > 0) || has(self.emailsFrom)")
    .message("nobody could pass: set access.emailDomains (\"*\" admits every address) or access.emailsFrom"))]
pub struct Access {
    /// Domains whose addresses may pass: `example.com` for exactly this one, `.example.com` for its sub-domains, `*` for
    /// every address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub email_domains: Vec<String>,

    /// A list of addresses that may pass, one on each line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emails_from: Option<KeySource>,

    /// The user must be in one of these groups. Empty: no group is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 512)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_groups: Vec<String>,

    /// Requests that pass without a login.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub skip_auth_routes: Vec<SkipAuthRoute>,

    /// Let CORS pre-flight requests pass without a login.
    #[serde(default)]
    pub skip_auth_preflight: bool,

    /// Networks whose clients pass without a login, such as `10.0.0.0/8` or `2001:db8::1`.
    #[serde(default, rename = "trustedIPs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        inner(length(min = 2, max = 64), regex(pattern = r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub trusted_ips: Vec<String>,

    /// Regular expressions (Go's syntax) on the path. A request there without a login is answered with 401 instead of a page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 1024)))]
    pub api_routes: Vec<String>,

    /// Answer every request without a login, and every forbidden one, with JSON instead of a page.
    #[serde(default, rename = "forceJSONErrors")]
    pub force_json_errors: bool,

    /// Go to the provider at once instead of showing the sign-in page.
    #[serde(default)]
    pub skip_provider_button: bool,

    /// Accept ID tokens of the provider in the `Authorization` header. Absent: they are ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_tokens: Option<BearerTokens>,
}

/// Requests that pass without a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkipAuthRoute {
    /// HTTP method. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[A-Z]+$"))]
    pub method: Option<String>,
    /// Regular expression (Go's syntax) that is searched for anywhere in the path, so begin it with `^`. The query is not
    /// part of it.
    #[schemars(length(min = 1, max = 1024))]
    pub path_regex: String,
    /// The rule covers the paths that do not match.
    #[serde(default)]
    pub negate: bool,
}

/// How bearer tokens are treated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BearerTokens {
    /// A bad token leads to the login as if there were none. Otherwise it is refused with 403.
    #[serde(default = "yes")]
    pub login_fallback: bool,
}

fn yes() -> bool {
    true
}
