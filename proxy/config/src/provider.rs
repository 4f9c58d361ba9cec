//! One identity provider and how its tokens are read.

use crate::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// An OpenID Connect provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// Unique among the providers; bound into login state, sessions and tickets.
    pub id: String,
    /// Shown on the sign-in button; `OpenID Connect` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Client identifier (RFC 6749 section 2.2).
    pub client_id: String,
    /// Client secret; absent for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// Which generation of the client's credentials `client_id` and `client_secret` are; larger than that of all previous ones.
    #[serde(default, skip_serializing_if = "is_first")]
    pub credentials_generation: u32,
    /// Earlier credentials, the latest first. Logins and sessions that were begun with them go on with them, and secrets of one
    /// client id stand in for each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous_credentials: Vec<Credentials>,
    /// How the client identifies itself at the token endpoint; absent: one that the provider offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authentication: Option<ClientAuthentication>,
    /// Issuer identifier; equal, byte for byte, to what the discovery document and the tokens say.
    pub issuer_url: String,
    /// Where the discovery document is, if not under the issuer: for a provider that the proxy reaches by another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_url: Option<String>,
    /// Take [`Provider::endpoints`] as they stand and ask for no discovery document.
    #[serde(default)]
    pub skip_discovery: bool,
    /// Endpoints; what discovery says replaces them unless it is skipped.
    #[serde(default)]
    pub endpoints: Endpoints,
    /// Requested scope; absent: `openid email profile`, and ` groups` if groups are required and the provider names that scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// PKCE (RFC 7636); absent: S256 unless the provider's discovery document says that it can not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge_method: Option<PkceMethod>,
    /// Further parameters of the authorization request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub login_parameters: Vec<LoginParameter>,
    /// `response_mode` of the authorization request, such as `form_post`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_mode: Option<String>,
    /// Which claims mean what.
    #[serde(default)]
    pub claims: Claims,
    /// Algorithms accepted in ID tokens, among those that discovery lists; empty: those that discovery lists, else RS256.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_algorithms: Vec<SigningAlgorithm>,
    /// Accept a discovery document and tokens of another issuer.
    #[serde(default)]
    pub insecure_skip_issuer_verification: bool,
    /// Use addresses that begin with `http:` although the issuer's begins with `https:`.
    #[serde(default)]
    pub insecure_allow_http_endpoints: bool,
    /// Send no nonce and check none.
    #[serde(default)]
    pub insecure_skip_nonce: bool,
    /// On sign-out, go on to the provider's end-session endpoint (OpenID Connect RP-Initiated Logout 1.0).
    #[serde(default)]
    pub rp_initiated_logout: bool,
    /// Trust in the provider's certificate.
    #[serde(default)]
    pub tls: ProviderTls,
}

impl Provider {
    /// Who vouches for what comes from this provider: sessions and logins are bound to it, and end where it changes. A provider
    /// that is no issuer needs another name here, which then stands in cookies for ever.
    #[must_use]
    pub fn vouches_as(&self) -> &str {
        &self.issuer_url
    }

    /// Its secrets, each with the name of its field below that of the provider. Every field is named here, so that a new secret
    /// is thought of: all who read secrets or watch their files go by this list.
    pub fn secrets_mut(&mut self) -> Vec<(String, &mut Option<Secret>)> {
        let Self {
            client_secret,
            previous_credentials,
            id: _,
            name: _,
            client_id: _,
            credentials_generation: _,
            client_authentication: _,
            issuer_url: _,
            discovery_url: _,
            skip_discovery: _,
            endpoints: _,
            scope: _,
            code_challenge_method: _,
            login_parameters: _,
            response_mode: _,
            claims: _,
            signing_algorithms: _,
            insecure_skip_issuer_verification: _,
            insecure_allow_http_endpoints: _,
            insecure_skip_nonce: _,
            rp_initiated_logout: _,
            tls: _,
        } = self;
        let present = ("clientSecret".to_owned(), client_secret);
        let previous = previous_credentials.iter_mut().enumerate().map(|(i, previous)| {
            let Credentials { generation: _, client_id: _, client_secret } = previous;
            (format!("previousCredentials[{i}].clientSecret"), client_secret)
        });
        std::iter::once(present).chain(previous).collect()
    }

    /// The files that its secrets are in.
    #[must_use]
    pub fn secret_files(&self) -> Vec<PathBuf> {
        // Of a copy, so that one list is enough.
        let mut copy = self.clone();
        let secrets = copy.secrets_mut();
        secrets.into_iter().filter_map(|(_, secret)| secret.as_ref()?.file().cloned()).collect()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_first(generation: &u32) -> bool {
    *generation == 0
}

/// Client id and secret of an earlier generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// As [`Provider::credentials_generation`] was then.
    #[serde(default, skip_serializing_if = "is_first")]
    pub generation: u32,
    /// Client identifier.
    pub client_id: String,
    /// Client secret; absent for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
}

/// Client authentication methods at the token endpoint (OpenID Connect Core 1.0 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// HTTP Basic (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// Client id and secret in the form.
    ClientSecretPost,
    /// Client id in the form and no secret: a public client.
    None,
}

/// Endpoints of the provider: `http` or `https` URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoints {
    /// Authorization endpoint (`--login-url`); may be a path on the host that the browser is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// Token endpoint (`--redeem-url`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Userinfo endpoint (`--profile-url`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo: Option<String>,
    /// Key set (`--oidc-jwks-url`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// End-session endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_session: Option<String>,
    /// Asked after a refresh whether the access token is valid (`--validate-url`); never discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<String>,
}

/// PKCE challenge methods (RFC 7636 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PkceMethod {
    /// SHA-256 of the verifier.
    S256,
    /// The verifier itself.
    #[serde(rename = "plain")]
    Plain,
    /// No PKCE at all, for a provider that refuses it.
    #[serde(rename = "none")]
    None,
}

/// A parameter of the authorization request, such as `acr_values`, `prompt` or `kc_idp_hint`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginParameter {
    /// Parameter name.
    pub name: String,
    /// Values; each is sent as a parameter of its own.
    #[serde(default)]
    pub values: Vec<String>,
    /// What the request that begins a login may ask for instead of `values`; empty: nothing, they are fixed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<AllowedValue>,
}

/// Values of a login parameter that whoever begins a login may choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AllowedValue {
    /// This one.
    Value(String),
    /// Those in which this regular expression, in the syntax of Go and unanchored, matches.
    Pattern(String),
}

/// Claims and audiences. Names are tried literally, then as dotted paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Claims {
    /// Claim with the e-mail address.
    pub email: String,
    /// Claim with the groups.
    pub groups: String,
    /// Accept an address whose `email_verified` is false.
    pub insecure_allow_unverified_email: bool,
    /// The first of these claims that exists must hold the client id or one of the extra audiences.
    pub audience: Vec<String>,
    /// Audiences accepted beside the client id.
    pub extra_audiences: Vec<String>,
    /// Never ask the userinfo endpoint for claims that the ID token lacks.
    pub skip_userinfo: bool,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            email: "email".to_owned(),
            groups: "groups".to_owned(),
            insecure_allow_unverified_email: false,
            audience: vec!["aud".to_owned()],
            extra_audiences: Vec::new(),
            skip_userinfo: false,
        }
    }
}

/// Signature algorithms (RFC 7518 section 3.1, RFC 8037). `none` and the symmetric ones are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are those of the registry")]
pub enum SigningAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

/// Trust in the provider's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderTls {
    /// PEM files with the only trusted roots; empty: those of the system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ca_files: Vec<PathBuf>,
    /// Trust the system's roots beside `ca_files`.
    #[serde(default)]
    pub use_system_roots: bool,
    /// Accept any certificate.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}
