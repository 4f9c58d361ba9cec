//! The identity provider and the client registered there.

use crate::SecretKeyRef;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.clientSecretRef) || (has(self.clientAuthentication) && self.clientAuthentication == 'none')")
    .message("clientSecretRef is missing: name the Secret and key that hold the client secret, or set clientAuthentication to none if the client is registered as a public one"))]
#[x_kube(validation = Rule::new("!has(self.clientSecretRef) || !has(self.clientAuthentication) || self.clientAuthentication != 'none'")
    .message("a public client (clientAuthentication: none) has no secret: remove clientSecretRef"))]
#[x_kube(validation = Rule::new("!has(self.previousClientSecretRef) || has(self.clientSecretRef)")
    .message("previousClientSecretRef stands in for clientSecretRef while the provider changes the secret: name that too, or remove it"))]
pub struct Provider {
    /// Kind of provider.
    #[serde(default, rename = "type")]
    pub type_: ProviderType,

    /// Name on the sign-in button. Absent: `OpenID Connect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub name: Option<String>,

    /// Issuer identifier, exactly as the provider's discovery document and tokens say it; a slash at the end matters.
    #[serde(rename = "issuerURL")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s?#]+$"))]
    pub issuer_url: String,

    /// Where the discovery document is, if not at `<issuerURL>/.well-known/openid-configuration`: for a provider that
    /// pods reach by another name than browsers do.
    #[serde(default, rename = "discoveryURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://[^\s#]+$"))]
    pub discovery_url: Option<String>,

    /// Client identifier, as registered at the provider.
    #[serde(rename = "clientID")]
    #[schemars(length(min = 1, max = 1024))]
    pub client_id: String,

    /// The Secret entry with the client secret. It is mounted into the proxy's pods and copied nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretKeyRef>,

    /// The Secret entry with the client secret that was in use before, while the provider changes it: whichever of the two it
    /// takes is used. Remove it when the change is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_client_secret_ref: Option<SecretKeyRef>,

    /// How the client identifies itself at the token endpoint. Absent: by a method that the provider offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authentication: Option<ClientAuthentication>,

    /// Scopes to ask for, separated by blanks. Absent: `openid email profile`, and `groups` if `access.allowedGroups` is
    /// set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.split(' ').exists(s, s == 'openid')")
        .message("scope must contain openid, or the provider sends no ID token: add it"))]
    pub scope: Option<String>,

    /// PKCE. Absent: `S256`, unless the provider says that it can not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge_method: Option<CodeChallengeMethod>,

    /// Further parameters of the login request, such as `prompt`, `acr_values` or `kc_idp_hint`.
    #[serde(default, rename = "loginURLParameters", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub login_url_parameters: Vec<LoginUrlParameter>,

    /// How the provider gives its answer back. Absent: as it likes, which is by a redirect. With `form_post` its page posts a
    /// form, and the cookie of a login then needs `session.cookie.csrf.sameSite: none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_mode: Option<ResponseMode>,

    /// Claim that holds the e-mail address.
    #[serde(default = "email")]
    #[schemars(length(min = 1, max = 253))]
    pub email_claim: String,

    /// Claim that holds the groups; a path such as `realm_access.roles` reaches into objects.
    #[serde(default = "groups")]
    #[schemars(length(min = 1, max = 253))]
    pub groups_claim: String,

    /// The first of these claims that a token has must hold the client identifier or one of `extraAudiences`.
    #[serde(default = "audience")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 253)))]
    pub audience_claims: Vec<String>,

    /// Audiences accepted beside the client identifier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 1024)))]
    pub extra_audiences: Vec<String>,

    /// Never ask the userinfo endpoint for claims that the ID token lacks.
    #[serde(default, rename = "skipClaimsFromProfileURL")]
    pub skip_claims_from_profile_url: bool,

    /// Signature algorithms accepted in ID tokens. Empty: those that the provider lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub enabled_signing_algs: Vec<SigningAlgorithm>,

    /// Accept an e-mail address that the provider says is not verified. Anyone who can enter an address at the provider
    /// then passes as its owner.
    #[serde(default)]
    pub insecure_allow_unverified_email: bool,

    /// Accept a discovery document and tokens of another issuer than `issuerURL`.
    #[serde(default)]
    pub insecure_skip_issuer_verification: bool,

    /// Accept addresses with `http:` in the discovery document of an issuer with `https:`. The client secret and all tokens
    /// go over them in the clear.
    #[serde(default, rename = "insecureAllowHTTPEndpoints")]
    pub insecure_allow_http_endpoints: bool,

    /// Send no nonce and check none, for a provider that loses it.
    #[serde(default)]
    pub insecure_skip_nonce: bool,

    /// On sign-out, go on to the provider and end the session there too. Register `https://<host>/oauth2/signed_out` there as
    /// the address to lead back to after a sign-out.
    #[serde(default)]
    pub rp_initiated_logout: bool,

    /// The Secret entry with the PEM certificates that the provider's TLS certificate must lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,

    /// Trust the usual public authorities beside those of `caSecretRef`.
    #[serde(default)]
    pub use_system_trust_store: bool,
}

fn email() -> String {
    "email".to_owned()
}

fn groups() -> String {
    "groups".to_owned()
}

fn audience() -> Vec<String> {
    vec!["aud".to_owned()]
}

/// Kinds of providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderType {
    /// Any provider that speaks OpenID Connect.
    #[default]
    Oidc,
}

/// Client authentication methods, by their registered names (OpenID Connect Core 1.0 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// HTTP Basic.
    ClientSecretBasic,
    /// Identifier and secret in the form.
    ClientSecretPost,
    /// A public client without a secret.
    None,
}

/// PKCE challenge methods (RFC 7636 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CodeChallengeMethod {
    /// SHA-256 of the verifier.
    S256,
    /// The verifier itself.
    #[serde(rename = "plain")]
    Plain,
    /// No PKCE, for a provider that refuses it.
    #[serde(rename = "none")]
    None,
}

/// Ways of an answer to a login request (OAuth 2.0 Multiple Response Type Encoding Practices, Form Post Response Mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of a redirect.
    Query,
    /// As a form that the provider's page posts.
    FormPost,
}

/// A parameter of the login request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.default) || has(self.allow)")
    .message("set default (what is sent), allow (what the link that begins a login may choose), or both"))]
pub struct LoginUrlParameter {
    /// Name of the parameter.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Values that are sent, each as a parameter of its own. Without `allow` they are always sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), inner(length(max = 1024)))]
    pub default: Vec<String>,
    /// Values that a link to `/oauth2/start` may choose instead, such as `?login_hint=...` of another site that begins a
    /// login here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub allow: Vec<AllowedValue>,
}

/// Values of a parameter of the login request that may be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.value) != has(self.pattern)")
    .message("set exactly one of value (this one) and pattern (those that match)"))]
pub struct AllowedValue {
    /// This value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub value: Option<String>,
    /// Values in which this regular expression matches, in the syntax of Go and unanchored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: Option<String>,
}

/// Signature algorithms (RFC 7518 section 3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
