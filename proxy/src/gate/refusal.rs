//! Why a request gets no answer of its own. What that looks like is decided in `respond`, and nowhere else.

use super::form::FormError;
use super::visit::Manner;
use crate::oidc::{BearerError, CallbackError, Failure, ParamsError, Unavailable, shown};
use crate::pending::NoLogin;
use crate::policy::Verdict;
use crate::routing::Malformed;
use crate::routing::rewrite::Unusable;
use crate::store::{Outage, StoreError};
use crate::upstream::UpstreamError;
use http::StatusCode;
use std::borrow::Cow;
use std::time::Duration;

/// A refusal. `Display` is for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The path.
    #[error(transparent)]
    Path(#[from] Malformed),
    /// The parameters of an own endpoint.
    #[error(transparent)]
    Form(#[from] FormError),
    /// Another site's page asks for the end of a session, and nobody sees that it does.
    #[error("another site's page asks for the end of the session without being left")]
    Embedded,
    /// Whoever begins the login means another provider. What they said, shortened.
    #[error("a login is to begin at another issuer (iss={0}) than the one that is configured")]
    ForeignIssuer(String),
    /// Somebody has to sign in first.
    #[error("there is no session")]
    SignIn,
    /// Somebody has signed in and may not pass.
    #[error("{}", .0.reason())]
    Denied(Verdict),
    /// Somebody has signed in, may use the site, and does not meet what this request asks for on top.
    #[error("more is asked for this request than the person meets")]
    Restricted,
    /// The bearer token.
    #[error("the bearer token is not accepted")]
    BadBearer,
    /// The session store does not answer.
    #[error(transparent)]
    NoStore(Outage),
    /// The session can not be kept.
    #[error(transparent)]
    Unsaved(StoreError),
    /// No login can begin, because the provider is not there.
    #[error(transparent)]
    NoProvider(#[from] Unavailable),
    /// The bearer token may be good, and can not be checked now.
    #[error(transparent)]
    Unchecked(BearerError),
    /// The session has to be refreshed, and the provider can not be asked. The time after which to come again.
    #[error("the session went too long without a refresh, and the provider can not be asked")]
    Overdue(Duration),
    /// The callback belongs to no login of this browser.
    #[error(transparent)]
    NoLogin(#[from] NoLogin),
    /// The callback is no authorization response.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// The callback has no usable state.
    #[error("the authorization response has no state that is ours")]
    NoState,
    /// An answer says that the provider refused, and belongs to no login of this browser: anybody may have written it.
    #[error("the provider refused the login: {0}")]
    Declined(String),
    /// The login failed at the provider.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// The login worked, and the account may not pass.
    #[error("{}", .verdict.reason())]
    NotAllowed {
        /// Whose.
        shown: String,
        /// Why.
        verdict: Verdict,
    },
    /// The upstream.
    #[error("{0}")]
    Upstream(#[from] UpstreamError),
    /// The rewrite of the upstream's route.
    #[error(transparent)]
    Rewrite(#[from] Unusable),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLong(_) | StoreError::TooLarge(_) => Self::Unsaved(error),
            StoreError::Unavailable(outage) => Self::NoStore(outage),
        }
    }
}

impl Refusal {
    /// The login is to begin at `issuer`, which is not ours.
    pub(crate) fn foreign_issuer(issuer: &str) -> Self {
        Self::ForeignIssuer(shown(issuer))
    }

    /// Its status, given the form that the client gets.
    pub(crate) fn status(&self, manner: Manner) -> StatusCode {
        match self {
            Self::Form(FormError::Late) => StatusCode::REQUEST_TIMEOUT,
            Self::Path(_)
            | Self::Form(_)
            | Self::Params(_)
            | Self::NoState
            | Self::ForeignIssuer(_) => StatusCode::BAD_REQUEST,
            Self::SignIn if manner != Manner::Page => StatusCode::UNAUTHORIZED,
            Self::Denied(_) if manner == Manner::Plain => StatusCode::UNAUTHORIZED,
            Self::SignIn
            | Self::Denied(_)
            | Self::Restricted
            | Self::BadBearer
            | Self::Embedded
            | Self::NoLogin(_)
            | Self::NotAllowed { .. }
            | Self::Declined(_) => StatusCode::FORBIDDEN,
            Self::NoStore(_) | Self::NoProvider(_) | Self::Unchecked(_) | Self::Overdue(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Callback(error) => match error.failure() {
                Failure::Denied | Failure::TryAgain => StatusCode::FORBIDDEN,
                Failure::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
                Failure::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::Upstream(_) => StatusCode::BAD_GATEWAY,
            Self::Unsaved(_) | Self::Rewrite(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What a page says; empty for the stock sentence of the status.
    pub(crate) fn message(&self) -> Cow<'static, str> {
        match self {
            Self::NoLogin(why) => Cow::Borrowed(why.message()),
            Self::Callback(error) => Cow::Owned(error.message()),
            Self::Declined(_) => Cow::Borrowed("The identity provider did not let you sign in."),
            Self::NotAllowed { shown, verdict } => Cow::Owned(format!(
                "You have signed in as {shown}, and this account may not use the application: {}. Sign in with another \
                 account, or ask the administrator.",
                verdict.reason()
            )),
            Self::Denied(verdict) => Cow::Owned(format!(
                "Your account may not use the application: {}. Sign in with another account, or ask the administrator.",
                verdict.reason()
            )),
            Self::Unsaved(_) => Cow::Borrowed(
                "Your sign-in could not be kept: the session is too large for cookies. Please tell the administrator.",
            ),
            Self::Rewrite(_) => {
                Cow::Borrowed("The address could not be translated for the application.")
            }
            Self::Overdue(_) => Cow::Borrowed(
                "Your session could not be renewed, because the identity provider does not answer. You are still signed in: \
                 please try again in a moment.",
            ),
            Self::ForeignIssuer(_) => Cow::Borrowed(
                "The link that led here means another identity provider (iss) than the one of this application.",
            ),
            Self::Path(_)
            | Self::Form(_)
            | Self::Params(_)
            | Self::NoState
            | Self::SignIn
            | Self::Restricted
            | Self::Embedded
            | Self::BadBearer
            | Self::NoStore(_)
            | Self::NoProvider(_)
            | Self::Unchecked(_)
            | Self::Upstream(_) => Cow::Borrowed(""),
        }
    }

    /// Whether signing in again helps only as somebody else.
    pub(crate) fn wants_another_account(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::NotAllowed { .. })
    }

    /// Seconds after which it is worth to come again, if that is known.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Overdue(pause) => Some(pause.as_secs().max(1)),
            _ => None,
        }
    }

    /// Whether somebody tried to sign in and was turned away for who they are or what they brought, as oauth2-proxy counts
    /// it. What failed before, for want of a cookie or of the provider, says nothing about them.
    pub(crate) fn is_failed_attempt(&self) -> bool {
        match self {
            Self::NotAllowed { .. } | Self::Denied(_) => true,
            Self::Callback(error) => error.is_failed_attempt(),
            _ => false,
        }
    }

    /// Whether a page has a way to sign in again.
    pub(crate) fn leads_back(&self) -> bool {
        !matches!(self, Self::Upstream(_) | Self::Rewrite(_) | Self::Path(_))
    }
}
