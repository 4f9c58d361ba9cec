//! Headers that carry the identity.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Headers that carry the identity. A client can never set one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Headers {
    /// Headers of the request that the application gets. Default: `X-Forwarded-User`, `-Email`, `-Groups` and
    /// `-Preferred-Username`.
    #[serde(default = "forwarded")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub request: Vec<Header>,

    /// Headers of the response of `/oauth2/auth` and of requests that passed, such as `X-Auth-Request-User`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub response: Vec<Header>,
}

impl Default for Headers {
    fn default() -> Self {
        Self { request: forwarded(), response: Vec::new() }
    }
}

fn forwarded() -> Vec<Header> {
    [
        ("X-Forwarded-User", Claim::User),
        ("X-Forwarded-Email", Claim::Email),
        ("X-Forwarded-Groups", Claim::Groups),
        ("X-Forwarded-Preferred-Username", Claim::PreferredUsername),
    ]
    .map(|(name, claim)| Header {
        name: name.to_owned(),
        values: vec![HeaderValue { claim, claim_name: None, prefix: String::new() }],
    })
    .to_vec()
}

/// One header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Name of the header.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))]
    pub name: String,
    /// Its values, in order. Those that a session lacks are left out.
    #[schemars(length(min = 1, max = 8))]
    pub values: Vec<HeaderValue>,
}

/// One value of a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.claimName) == (self.claim == 'other')")
    .message("claimName belongs to claim: other, which needs it: set both or neither"))]
pub struct HeaderValue {
    /// What is sent.
    pub claim: Claim,
    /// Name of the claim, with `claim: other`: as the ID token or the userinfo endpoint has it; a path such as
    /// `address.country` reaches into objects. Several values are separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub claim_name: Option<String>,
    /// Put before it, such as `Bearer ` (with the blank).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub prefix: String,
}

/// What a session knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// The subject at the provider.
    User,
    /// The e-mail address.
    Email,
    /// All groups, separated by commas.
    Groups,
    /// The name to show.
    PreferredUsername,
    /// The access token.
    AccessToken,
    /// The ID token.
    IdToken,
    /// The claim that `claimName` names.
    Other,
}
