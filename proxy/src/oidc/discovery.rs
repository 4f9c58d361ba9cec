//! The provider's description of itself (OpenID Connect Discovery 1.0 section 3), checked before anything uses it.
//!
//! Reading only: when to ask again is decided in `issuer::upkeep`.

mod document;
mod issuer;

use super::http::{Answer, Get, Http, HttpError, MAX_ANSWER, address};
use super::issuer::IssuerSettings;
use super::jws;
use document::{Document, Optional};
use proxy_config::{PkceMethod, SigningAlgorithm as Algorithm};
use url::Url;

/// What is known about the provider: its document, completed and overridden by the configuration. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// What the provider calls itself; equal to the configured issuer unless that check is off.
    pub(super) issuer: String,
    /// May be a path on the host that the browser is at; see [`login_page`].
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) jwks: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) end_session: Option<Url>,
    /// Client authentication methods offered; none listed means HTTP Basic.
    pub(super) authentication_methods: Option<Vec<String>>,
    /// The best PKCE method that it offers.
    pub(super) pkce: PkceMethod,
    /// Algorithms accepted in tokens; never empty.
    pub(super) algorithms: Vec<Algorithm>,
    /// Every authorization response has `iss` (RFC 9207 section 3).
    pub(super) iss_in_response: bool,
    /// The `prompt` by which the provider asks who it is.
    pub(super) asking: &'static str,
    /// The scopes that the provider names; `None` if it names none, or was not asked.
    pub(super) scopes: Option<Vec<String>>,
    /// Members of the document that were left out, in whole or in part, each with the reason.
    pub(super) odd: Vec<String>,
}

/// Why there is no usable description.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DiscoveryError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that is no discovery document.
    #[error(
        "{address} is no discovery document: {reason}: check issuerUrl (--oidc-issuer-url), or give discoveryUrl \
         (--oidc-discovery-url)"
    )]
    NoDocument {
        /// Where.
        address: String,
        /// What was found.
        reason: String,
    },
    /// An answer that says that the provider is in trouble.
    #[error(
        "{address} is no discovery document: the status is {status}, so the provider is not well"
    )]
    Trouble {
        /// Where.
        address: String,
        /// HTTP status.
        status: u16,
    },
    /// The document is another issuer's. The text shows both, where they differ and what to do.
    #[error("{0}")]
    Issuer(String),
    /// Something that a login needs is missing or unusable.
    #[error("{0}")]
    Unusable(String),
}

impl DiscoveryError {
    /// Whether something answered that is not the provider as it is configured, rather than nothing, or a provider in
    /// trouble.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Self::Http(error) => {
                matches!(error, HttpError::TooLarge { .. } | HttpError::Redirect { .. })
            }
            Self::Trouble { .. } => false,
            Self::NoDocument { .. } | Self::Issuer(_) | Self::Unusable(_) => true,
        }
    }
}

/// Asks the provider, or takes the configured endpoints if discovery is off.
///
/// # Errors
/// See [`DiscoveryError`].
pub(super) async fn discover(
    issuer: &IssuerSettings,
    http: &Http,
) -> Result<Metadata, DiscoveryError> {
    if issuer.skip_discovery {
        return configured(issuer);
    }
    let url = document_url(issuer)?;
    let get = Get { accept: "application/json", bearer: None, limit: MAX_ANSWER };
    let answer = http.get(&url, &get).await?;
    read(issuer, &url, &answer)
}

/// Where the document is: as configured, else under the issuer without its trailing slash (Discovery 1.0 section 4.1).
pub(super) fn document_url(issuer: &IssuerSettings) -> Result<Url, DiscoveryError> {
    if let Some(url) = &issuer.discovery_url {
        return endpoint("discoveryUrl (--oidc-discovery-url)", url);
    }
    let issuer = issuer.url.strip_suffix('/').unwrap_or(&issuer.url);
    endpoint("issuerUrl (--oidc-issuer-url)", &format!("{issuer}/.well-known/openid-configuration"))
}

pub(super) fn read(
    issuer: &IssuerSettings,
    url: &Url,
    answer: &Answer,
) -> Result<Metadata, DiscoveryError> {
    let refuse = |reason| DiscoveryError::NoDocument { address: address(url), reason };
    // What stands in front of a provider that is away says nothing of what the provider calls itself.
    if answer.status >= 500 || matches!(answer.status, 401 | 403 | 408 | 421 | 429) {
        return Err(DiscoveryError::Trouble { address: address(url), status: answer.status });
    }
    if answer.status != 200 {
        return Err(refuse(format!("the status is {}", answer.status)));
    }
    let document = Document::parse(&answer.body, takes_plain_http(issuer)).map_err(refuse)?;
    if document.issuer != issuer.url && !issuer.skip_verification {
        return Err(DiscoveryError::Issuer(issuer::mismatch(&issuer.url, &document.issuer)));
    }
    combine(issuer, document)
}

/// An issuer behind https may not lead to places that are not: the client secret, codes and tokens go there.
fn takes_plain_http(issuer: &IssuerSettings) -> bool {
    issuer.allow_http_endpoints || !issuer.url.starts_with("https:")
}

fn configured(issuer: &IssuerSettings) -> Result<Metadata, DiscoveryError> {
    let nothing = Document {
        issuer: issuer.url.clone(),
        authorization: None,
        token: None,
        jwks: None,
        optional: Optional::default(),
    };
    combine(issuer, nothing)
}

/// What the document says wins; a configured endpoint fills in what it does not name.
fn combine(issuer: &IssuerSettings, document: Document) -> Result<Metadata, DiscoveryError> {
    let own = &issuer.endpoints;
    let optional = document.optional;
    let wanted = |name: &'static str, found: Option<Url>, own: &Option<String>| match (found, own) {
        (None, Some(own)) => endpoint(name, own).map(Some),
        (found, _) => Ok(found),
    };
    Ok(Metadata {
        authorization: match (&document.authorization, &own.authorization) {
            (None, Some(own)) => login_page(AUTHORIZATION.named, own)?,
            (found, _) => AUTHORIZATION.of(issuer, found.as_deref(), None)?,
        },
        token: TOKEN.of(issuer, document.token.as_deref(), own.token.as_deref())?,
        jwks: JWKS.of(issuer, document.jwks.as_deref(), own.jwks.as_deref())?,
        userinfo: wanted("endpoints.userinfo (--profile-url)", optional.userinfo, &own.userinfo)?,
        end_session: wanted("endpoints.endSession", optional.end_session, &own.end_session)?,
        authentication_methods: optional.authentication_methods,
        pkce: pkce(optional.pkce_methods.as_deref()),
        algorithms: algorithms(&issuer.signing_algorithms, optional.algorithms.as_deref())?,
        iss_in_response: optional.iss_in_response,
        scopes: optional.scopes,
        odd: optional.odd,
        asking: asking(optional.prompts.as_deref()),
        issuer: document.issuer,
    })
}

/// `login` where the provider lists its prompts (Initiating User Registration 1.0 section 4) and has no better one.
fn asking(offered: Option<&[String]>) -> &'static str {
    let offers = |name| offered.is_some_and(|prompts| prompts.iter().any(|p| p == name));
    if offers("login") && !offers("select_account") { "login" } else { "select_account" }
}

/// An endpoint without which there is no login: what it is called in a document, and how it is configured.
struct Needed {
    member: &'static str,
    named: &'static str,
}

const AUTHORIZATION: Needed =
    Needed { member: "authorization_endpoint", named: "endpoints.authorization (--login-url)" };
const TOKEN: Needed = Needed { member: "token_endpoint", named: "endpoints.token (--redeem-url)" };
const JWKS: Needed = Needed { member: "jwks_uri", named: "endpoints.jwks (--oidc-jwks-url)" };

impl Needed {
    fn of(
        &self,
        issuer: &IssuerSettings,
        found: Option<&str>,
        own: Option<&str>,
    ) -> Result<Url, DiscoveryError> {
        let Some(found) = found else {
            let own = own.ok_or_else(|| {
                DiscoveryError::Unusable(format!(
                    "the provider names no {}: set {}",
                    self.member, self.named
                ))
            })?;
            return endpoint(self.named, own);
        };
        let url = endpoint(self.member, found)?;
        if url.scheme() == "http" && !takes_plain_http(issuer) {
            return Err(DiscoveryError::Unusable(format!(
                "{}: {} is not https although the issuer is: let the provider name it with https, or allow it with \
                 insecureAllowHttpEndpoints (--insecure-oidc-allow-http-endpoints)",
                self.member,
                jws::shown(found)
            )));
        }
        Ok(url)
    }
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
    let offered_here = offered.map(|names| {
        // Two names may stand for one algorithm.
        let mut known: Vec<Algorithm> = Vec::new();
        for algorithm in names.iter().filter_map(|name| jws::parse(name)) {
            if !known.contains(&algorithm) {
                known.push(algorithm);
            }
        }
        known
    });
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
            "no algorithm for ID tokens: accepted is {wanted}, the provider offers {offered}: change signingAlgorithms \
             (--oidc-enabled-signing-alg) or the provider's setting for this client"
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

/// Where a configured path is put, to be taken off again when the browser is sent there: a host that nobody has.
const HERE: &str = "https://here.invalid";

/// The page that the browser is sent to: an endpoint, or a path on the host that it is at already, since nobody but the
/// browser resolves it.
///
/// # Errors
/// As [`endpoint`].
pub(super) fn login_page(name: &str, text: &str) -> Result<Url, DiscoveryError> {
    let is_path = text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/\\");
    endpoint(name, &if is_path { format!("{HERE}{text}") } else { text.to_owned() })
}

/// `url` as the browser is to see it; see [`login_page`].
pub(super) fn for_the_browser(url: &str) -> &str {
    url.strip_prefix(HERE).unwrap_or(url)
}
