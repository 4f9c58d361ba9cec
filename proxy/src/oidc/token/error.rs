//! Why the token endpoint gave no tokens, and what that says of the grant, of the client and of the provider.

use crate::oidc::http::HttpError;

/// Why there are no tokens. The texts show the provider's error code, never what was sent.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The provider said no.
    #[error("the token endpoint answers {status} {code}{description}{advice}", advice = advice(code))]
    Refused {
        /// HTTP status.
        status: u16,
        /// RFC 6749 section 5.2, shortened and without control characters; empty if there is none.
        code: String,
        /// ` (...)`, likewise cleaned, or empty.
        description: String,
    },
    /// An answer that can not be used.
    #[error("the token endpoint's answer is unusable: {0}")]
    Malformed(&'static str),
    /// No way of client authentication that both sides know.
    #[error(
        "the provider offers only {0} for client authentication: set clientAuthentication (--client-authentication) to one that \
         works, or allow client_secret_basic for this client at the provider"
    )]
    NoMethod(String),
    /// The client secret can not be read.
    #[error("the client secret can not be read: {0}")]
    Secret(String),
}

/// Whether a good part of `secret` stands in `text`, which may have been cut or escaped.
fn repeats(text: &str, secret: &str) -> bool {
    /// A shorter secret is none, and may stand in any text by chance.
    const SHORTEST: usize = 8;
    /// Fewer bytes in common are chance.
    const PART: usize = 12;
    let mut parts = secret.as_bytes().windows(secret.len().clamp(SHORTEST, PART));
    parts.any(|part| memchr::memmem::find(text.as_bytes(), part).is_some())
}

fn advice(code: &str) -> &'static str {
    match code {
        "invalid_client" => {
            ": the client id or secret is not what the provider has, or it wants another way of client authentication \
             (clientAuthentication, --client-authentication)"
        }
        "invalid_scope" => {
            ": the provider does not know a scope that was asked for: set scope (--scope) to those that it has"
        }
        "unauthorized_client" => {
            ": allow the authorization code flow for this client at the provider"
        }
        "invalid_grant" => {
            ": the code or refresh token is used up, expired, or belongs to another redirect URL or client"
        }
        _ => "",
    }
}

impl TokenError {
    /// Whether the grant itself is dead, so that trying again is useless. Nothing else is (RFC 6749 section 5.2).
    pub(crate) fn is_invalid_grant(&self) -> bool {
        matches!(self, Self::Refused { status: 200..=499, code, .. } if code == "invalid_grant")
    }

    /// Whether the provider did not take us for the client, and so did not look at the grant (RFC 6749 section 5.2).
    pub(super) fn is_about_the_client(&self) -> bool {
        match self {
            Self::Refused { code, .. } if code == "invalid_client" => true,
            Self::Refused { status: 401, code, .. } => code.is_empty(),
            _ => false,
        }
    }

    /// The same without the texts of a provider that repeats what it was `sent`: they go into logs and onto pages.
    pub(super) fn without(self, sent: &[&str]) -> Self {
        let repeats = |text: &str| sent.iter().any(|secret| repeats(text, secret));
        match self {
            Self::Refused { status, code, description }
                if repeats(&code) || repeats(&description) =>
            {
                Self::Refused {
                    status,
                    code: if repeats(&code) { String::new() } else { code },
                    description: " (its text repeats what was sent, and is left out)".to_owned(),
                }
            }
            other => other,
        }
    }

    /// Whether the provider did not answer or is in trouble itself.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Http(_) => true,
            Self::Refused { status, code, .. } => {
                *status >= 500
                    || *status == 429
                    || code == "temporarily_unavailable"
                    || code == "server_error"
            }
            Self::Malformed(_) | Self::NoMethod(_) | Self::Secret(_) => false,
        }
    }

    /// Whether what answered may be no token endpoint, or no longer.
    pub(crate) fn is_elsewhere(&self) -> bool {
        match self {
            Self::Malformed(_) => true,
            Self::Refused { status, .. } => matches!(status, 404 | 405 | 410),
            Self::Http(_) | Self::NoMethod(_) | Self::Secret(_) => false,
        }
    }
}
