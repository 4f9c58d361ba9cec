//! Headers that carry the identity to the upstream or to whoever asked the auth endpoint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One header and where its values come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderRule {
    /// Header name; unique in its list.
    pub name: String,
    /// Values in order; those that a session lacks are left out.
    pub values: Vec<HeaderValue>,
}

/// One value of a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderValue {
    /// The claim.
    pub claim: Claim,
    /// Put before the value, such as `Bearer `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// What a session knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Subject or the configured user claim.
    User,
    /// E-mail address.
    Email,
    /// One value per group, joined with commas.
    Groups,
    /// `preferred_username`.
    PreferredUsername,
    /// Access token.
    AccessToken,
    /// ID token.
    IdToken,
    /// Another claim of the ID token or of the userinfo endpoint, by its name; a dotted path reaches into objects.
    Other(String),
}
