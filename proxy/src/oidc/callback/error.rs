//! What can go wrong with a login after the person came back: a text for the log, one for the person, and what kind of
//! answer it deserves.

use crate::oidc::claims::ClaimsRefused;
use crate::oidc::issuer::{SignedError, Unavailable};
use crate::oidc::jws::shown;
use crate::oidc::keys::KeysError;
use crate::oidc::login::Scope;
use crate::oidc::token::TokenError;
use crate::oidc::userinfo::UserinfoError;
use crate::oidc::verify::TokenRefused;

/// Why a login did not become a session. `Display` is for the log and has no secrets; [`CallbackError::message`] is for
/// the person.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CallbackError {
    /// Nothing is known about the provider, or it is down.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The login was started at a provider that is not configured any more.
    #[error("the login was started at another provider")]
    OtherProvider,
    /// The response is another provider's.
    #[error(
        "the authorization response is from {got}, not from {wanted}: it is mixed up or forged"
    )]
    Issuer {
        /// What came.
        got: String,
        /// What the provider is.
        wanted: String,
    },
    /// The provider says that it always names itself, or there are several, and this response does not.
    #[error(
        "the authorization response has no iss although the provider says that it always has, or there are several: it is \
         mixed up or forged"
    )]
    NoIssuer,
    /// The provider, or the person there, refused.
    #[error("the provider refused the login: {code}{description}{advice}", advice = declined_advice(*known))]
    Declined {
        /// One that is known, see [`KNOWN`]: nothing else of the response gets onto a page.
        known: Option<&'static str>,
        /// Untrusted, shortened, without control characters.
        code: String,
        /// ` (...)`, likewise, or empty.
        description: String,
    },
    /// The provider does not know, or does not give this client, what a login asks for.
    #[error(
        "the provider refused the scope {scope:?} (invalid_scope){description}: {advice}",
        advice = scope_advice(*for_groups)
    )]
    Scope {
        /// What was asked for.
        scope: String,
        /// `groups` is in it because some are required.
        for_groups: bool,
        /// ` (...)`, untrusted, shortened, without control characters, or empty.
        description: String,
    },
    /// Neither a code nor an error came.
    #[error("the authorization response has neither code nor error")]
    NoCode,
    /// The token endpoint.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token endpoint gave no ID token.
    #[error(
        "the token endpoint gave no id_token: the scope must have openid, and the provider must speak OpenID Connect"
    )]
    NoIdToken,
    /// The ID token does not pass.
    #[error("ID token: {0}")]
    Refused(#[from] TokenRefused),
    /// The keys could not be fetched.
    #[error("the ID token can not be checked: {0}")]
    Keys(KeysError),
    /// The userinfo endpoint.
    #[error(transparent)]
    Userinfo(#[from] UserinfoError),
    /// The claims do not give an identity that may pass.
    #[error(transparent)]
    Claims(#[from] ClaimsRefused),
}

/// The error codes of an authorization response (RFC 6749 section 4.1.2.1, OpenID Connect Core 1.0 section 3.1.2.6).
/// Any other text may be anybody's.
const KNOWN: [&str; 16] = [
    "invalid_request",
    "unauthorized_client",
    "access_denied",
    "unsupported_response_type",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    "interaction_required",
    "login_required",
    "account_selection_required",
    "consent_required",
    "invalid_request_uri",
    "invalid_request_object",
    "request_not_supported",
    "request_uri_not_supported",
    "registration_not_supported",
];

fn scope_advice(for_groups: bool) -> &'static str {
    if for_groups {
        "set scope (--scope) to what the provider has; groups is in it because allowedGroups (--allowed-group) is set, and is \
         left out once scope is"
    } else {
        "set scope (--scope) to what the provider has"
    }
}

fn declined_advice(code: Option<&'static str>) -> &'static str {
    match code {
        Some("unauthorized_client") => {
            ": allow the authorization code flow for this client at the provider"
        }
        _ => "",
    }
}

/// What kind of answer a failure deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The person may not pass, or has not agreed (403).
    Denied,
    /// This response can not be used, a new login may help: expired, used twice, mixed up (403).
    TryAgain,
    /// Somebody has to repair the configuration here or at the provider (500).
    Misconfigured,
    /// The provider is down (503).
    Unavailable,
}

impl CallbackError {
    /// Whether the tokens are not of this login, rather than not to be had.
    pub(crate) fn is_failed_attempt(&self) -> bool {
        matches!(self, Self::Refused(TokenRefused::Nonce | TokenRefused::Missing("nonce")))
    }

    /// The provider's own refusal, out of untrusted parameters.
    pub(super) fn declined(code: &str, description: Option<&str>) -> Self {
        let description = description.map(|text| format!(" ({})", shown(text))).unwrap_or_default();
        let known = KNOWN.into_iter().find(|known| *known == code);
        Self::Declined { known, code: shown(code), description }
    }

    /// The same, with the scope that the login asked for if that is what the provider refuses.
    pub(super) fn about(self, asked: Scope<'_>) -> Self {
        let description = match self {
            Self::Declined { known: Some("invalid_scope"), description, .. } => description,
            Self::Token(TokenError::Refused { code, description, .. })
                if code == "invalid_scope" =>
            {
                description
            }
            other => return other,
        };
        Self::Scope { scope: asked.text.to_owned(), for_groups: asked.for_groups, description }
    }

    /// What kind of answer this deserves.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Unavailable(_) | Self::Keys(_) => Failure::Unavailable,
            Self::Token(error) if error.is_outage() => Failure::Unavailable,
            Self::Userinfo(error) if error.is_outage() => Failure::Unavailable,
            Self::Token(error) if error.is_invalid_grant() => Failure::TryAgain,
            Self::OtherProvider
            | Self::Issuer { .. }
            | Self::NoIssuer
            | Self::Refused(TokenRefused::Nonce) => Failure::TryAgain,
            Self::Declined { known: Some("temporarily_unavailable" | "server_error"), .. } => {
                Failure::Unavailable
            }
            Self::Declined {
                known: Some("unauthorized_client" | "unsupported_response_type"),
                ..
            } => Failure::Misconfigured,
            Self::Refused(error) if error.is_about_the_account() => Failure::Denied,
            Self::Declined { .. } | Self::Claims(_) => Failure::Denied,
            Self::Refused(_)
            | Self::Scope { .. }
            | Self::NoCode
            | Self::Token(_)
            | Self::NoIdToken
            | Self::Userinfo(_) => Failure::Misconfigured,
        }
    }

    /// One or two sentences for the person. To be escaped like any text; parts of it come from the provider.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Claims(refused) => sentence(&refused.to_string()),
            // The page names claim and option; whom the token is for is nobody's business but the log's.
            Self::Refused(TokenRefused::Audience { claim, .. }) => format!(
                "The identity provider did not make this sign-in for this application (claim {claim}). Please tell the \
                 administrator: the application is to be added to the token's audience there, or the audience to \
                 claims.extraAudiences (--oidc-extra-audience)."
            ),
            Self::Refused(TokenRefused::NoAudience(claims)) => format!(
                "The identity provider does not say which application this sign-in is for (claim {claims}). Please tell the \
                 administrator."
            ),
            Self::Keys(KeysError::NoKeySet { .. }) => {
                "The identity provider publishes no key that its answers could be checked with. Please tell the \
                 administrator; the log of the proxy has the reason."
                    .to_owned()
            }
            Self::Scope { scope, for_groups, .. } => format!(
                "The identity provider refused the scope that was asked for, {scope:?} (invalid_scope). Please tell the \
                 administrator: {}.",
                scope_advice(*for_groups)
            ),
            Self::Declined { known: Some("access_denied"), .. } => {
                "The identity provider did not let you sign in: access denied (access_denied).".to_owned()
            }
            Self::Declined { known: Some(code), .. } => {
                format!("The identity provider did not let you sign in: {code}.")
            }
            Self::Declined { known: None, .. } => {
                "The identity provider did not let you sign in, for a reason that is in the log of the proxy.".to_owned()
            }
            Self::Token(TokenError::Refused { code, .. }) if !code.is_empty() && !self.may_help() => {
                format!("The identity provider refused this application's request ({code}). Please tell the administrator.")
            }
            _ => match self.failure() {
                Failure::Unavailable => {
                    "The identity provider can not be reached at the moment. Please try again in a minute.".to_owned()
                }
                Failure::TryAgain => {
                    "This sign-in can not be used: it is too old, was used before, or belongs to another one. Please sign \
                     in again."
                        .to_owned()
                }
                Failure::Denied | Failure::Misconfigured => {
                    "The answer of the identity provider could not be accepted. Please tell the administrator; the log \
                     of the proxy has the reason."
                        .to_owned()
                }
            },
        }
    }

    fn may_help(&self) -> bool {
        matches!(self.failure(), Failure::TryAgain | Failure::Unavailable)
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(letters).chain(['.']).collect()
}

impl From<SignedError> for CallbackError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Refused(error) => Self::Refused(error.into()),
            SignedError::Keys(error) => Self::Keys(error),
            SignedError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}
