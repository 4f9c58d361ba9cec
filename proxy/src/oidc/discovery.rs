//! The provider's description of itself (OpenID Connect Discovery 1.0 section 3), checked before anything uses it.
//!
//! Reading only: when to ask again is decided in `provider`.

mod issuer;

use super::http::{Answer, Client, Get, HttpError, MAX_ANSWER, address};
use super::jws;
use proxy_config::{PkceMethod, Provider as Config, SigningAlgorithm as Algorithm};
use serde::Deserialize;
use url::Url;

/// What is known about the provider: its document, completed and overridden by the configuration. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// What the provider calls itself; equal to the configured issuer unless that check is off.
    pub(super) issuer: String,
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) jwks: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) end_session: Option<Url>,
    /// Client authentication methods offered; none listed means HTTP Basic.
    pub(super) authentication_methods: Option<Vec<String>>,
    /// PKCE method to use.
    pub(super) pkce: PkceMethod,
    /// Algorithms accepted in tokens; never empty.
    pub(super) algorithms: Vec<Algorithm>,
    /// Every authorization response has `iss` (RFC 9207 section 3).
    pub(super) iss_in_response: bool,
    /// The `prompt` by which the provider asks who it is.
    pub(super) asking: &'static str,
}

/// Why there is no usable description.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DiscoveryError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that is no discovery document.
    #[error("{address} is no discovery document: {reason}: check issuerUrl, or give discoveryUrl")]
    NoDocument {
        /// Where.
        address: String,
        /// What was found.
        reason: String,
    },
    /// The document is another issuer's. The text shows both, where they differ and what to do.
    #[error("{0}")]
    Issuer(String),
    /// Something that a login needs is missing or unusable.
    #[error("{0}")]
    Unusable(String),
}

/// The members of the document that are used; others are ignored. A member twice or of a wrong type is an error.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    jwks_uri: Option<String>,
    userinfo_endpoint: Option<String>,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
    prompt_values_supported: Option<serde_json::Value>,
}

/// Asks the provider, or takes the configured endpoints if discovery is off.
///
/// # Errors
/// See [`DiscoveryError`].
pub(super) async fn discover(config: &Config, client: &Client) -> Result<Metadata, DiscoveryError> {
    if config.skip_discovery {
        return configured(config);
    }
    let url = document_url(config)?;
    let get = Get { accept: "application/json", bearer: None, limit: MAX_ANSWER };
    let answer = client.get(&url, &get).await?;
    read(config, &url, &answer)
}

/// Where the document is: as configured, else under the issuer without its trailing slash (Discovery 1.0 section 4.1).
pub(super) fn document_url(config: &Config) -> Result<Url, DiscoveryError> {
    if let Some(url) = &config.discovery_url {
        return endpoint("discoveryUrl", url);
    }
    let issuer = config.issuer_url.strip_suffix('/').unwrap_or(&config.issuer_url);
    endpoint("issuerUrl", &format!("{issuer}/.well-known/openid-configuration"))
}

pub(super) fn read(
    config: &Config,
    url: &Url,
    answer: &Answer,
) -> Result<Metadata, DiscoveryError> {
    let refuse = |reason| DiscoveryError::NoDocument { address: address(url), reason };
    if answer.status != 200 {
        return Err(refuse(format!("the status is {}", answer.status)));
    }
    let document: Document =
        jws::object(&answer.body).map_err(|error| refuse(jws::cut(&error.to_string())))?;
    if document.issuer != config.issuer_url && !config.insecure_skip_issuer_verification {
        return Err(DiscoveryError::Issuer(issuer::mismatch(&config.issuer_url, &document.issuer)));
    }
    combine(config, document)
}

fn configured(config: &Config) -> Result<Metadata, DiscoveryError> {
    let nothing = Document {
        issuer: config.issuer_url.clone(),
        authorization_endpoint: None,
        token_endpoint: None,
        jwks_uri: None,
        userinfo_endpoint: None,
        end_session_endpoint: None,
        token_endpoint_auth_methods_supported: None,
        code_challenge_methods_supported: None,
        id_token_signing_alg_values_supported: None,
        authorization_response_iss_parameter_supported: None,
        prompt_values_supported: None,
    };
    combine(config, nothing)
}

/// What the document says wins; a configured endpoint fills in what it does not name.
fn combine(config: &Config, document: Document) -> Result<Metadata, DiscoveryError> {
    let needed = |name: &'static str, found: Option<String>, own: &Option<String>| {
        let text = found.or_else(|| own.clone()).ok_or_else(|| {
            DiscoveryError::Unusable(format!("there is no {name} endpoint: set endpoints.{name}"))
        })?;
        endpoint(name, &text)
    };
    let wanted = |name: &'static str, found: Option<String>, own: &Option<String>| {
        found.or_else(|| own.clone()).map(|text| endpoint(name, &text)).transpose()
    };
    let own = &config.endpoints;
    Ok(Metadata {
        authorization: needed(
            "authorization",
            document.authorization_endpoint,
            &own.authorization,
        )?,
        token: needed("token", document.token_endpoint, &own.token)?,
        jwks: needed("jwks", document.jwks_uri, &own.jwks)?,
        userinfo: wanted("userinfo", document.userinfo_endpoint, &own.userinfo)?,
        end_session: wanted("endSession", document.end_session_endpoint, &own.end_session)?,
        authentication_methods: document.token_endpoint_auth_methods_supported,
        pkce: config
            .code_challenge_method
            .unwrap_or_else(|| pkce(document.code_challenge_methods_supported.as_deref())),
        algorithms: algorithms(
            &config.signing_algorithms,
            document.id_token_signing_alg_values_supported.as_deref(),
        )?,
        iss_in_response: document.authorization_response_iss_parameter_supported.unwrap_or(false),
        asking: asking(document.prompt_values_supported.as_ref()),
        issuer: document.issuer,
    })
}

/// `login` where the provider lists its prompts (Initiating User Registration 1.0 section 4) and has no better one.
fn asking(offered: Option<&serde_json::Value>) -> &'static str {
    let offered = offered.and_then(serde_json::Value::as_array);
    let offers = |name| offered.is_some_and(|prompts| prompts.iter().any(|p| p == name));
    if offers("login") && !offers("select_account") { "login" } else { "select_account" }
}

/// S256 unless the provider lists its methods and S256 is not among them (RFC 8414 section 2).
fn pkce(offered: Option<&[String]>) -> PkceMethod {
    let offers = |name: &str| offered.is_some_and(|methods| methods.iter().any(|m| m == name));
    if offered.is_none() || offers("S256") {
        PkceMethod::S256
    } else if offers("plain") {
        PkceMethod::Plain
    } else {
        PkceMethod::None
    }
}

/// Configured and offered; only one given: that one; neither: RS256, the algorithm that every provider must have.
fn algorithms(
    configured: &[Algorithm],
    offered: Option<&[String]>,
) -> Result<Vec<Algorithm>, DiscoveryError> {
    let offered_here =
        offered.map(|names| names.iter().filter_map(|name| jws::parse(name)).collect::<Vec<_>>());
    let accepted: Vec<Algorithm> = match (configured, &offered_here) {
        ([], None) => vec![Algorithm::RS256],
        ([], Some(offered)) => offered.clone(),
        (configured, None) => configured.to_vec(),
        (configured, Some(offered)) => {
            configured.iter().copied().filter(|a| offered.contains(a)).collect()
        }
    };
    if accepted.is_empty() {
        let wanted = if configured.is_empty() {
            "any asymmetric one".to_owned()
        } else {
            format!("{configured:?}")
        };
        let offered = offered
            .unwrap_or_default()
            .iter()
            .map(|name| jws::shown(name))
            .collect::<Vec<_>>()
            .join(", ");
        return Err(DiscoveryError::Unusable(format!(
            "no algorithm for ID tokens: accepted is {wanted}, the provider offers {offered}: change signingAlgorithms or \
             the provider's setting for this client"
        )));
    }
    Ok(accepted)
}

/// An `http` or `https` URL without a fragment (RFC 6749 sections 3.1 and 3.2).
pub(super) fn endpoint(name: &str, text: &str) -> Result<Url, DiscoveryError> {
    let refuse =
        |reason: &str| DiscoveryError::Unusable(format!("{name}: {} {reason}", jws::shown(text)));
    let url = Url::parse(text).map_err(|error| refuse(&format!("is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse("is not an http or https URL"));
    }
    if url.fragment().is_some() {
        return Err(refuse("has a fragment"));
    }
    Ok(url)
}
