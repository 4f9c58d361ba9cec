//! Claims into an [`Identity`]: which claim, in which of the two sources, in which shape. Names, order
//! and shapes are those of oauth2-proxy v7.15.3; what differs is in `docs/differences.md`, "Logging in at the provider".
//!
//! Only claims whose origin was verified come in. The ID token wins over the userinfo answer, claim by claim.

use crate::identity::Identity;
use crate::oidc::jws::shown;
use crate::session::{Captured, Login};
use jiff::Timestamp;
use proxy_config::Claims as Config;
use serde_json::{Map, Value};

/// A JSON object of claims.
pub(super) type Object = Map<String, Value>;

/// Verified claims.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    /// Of the token.
    pub(super) token: &'a Object,
    /// Of the userinfo answer, if it was asked for.
    pub(super) userinfo: Option<&'a Object>,
}

/// Why an identity is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimsRefused {
    /// The address is not verified.
    #[error(
        "the provider says that the e-mail address of account {account} is not verified (claim email_verified): let it be \
         verified there, or set claims.insecureAllowUnverifiedEmail (--insecure-oidc-allow-unverified-email)"
    )]
    EmailNotVerified {
        /// The address, shortened and without control characters.
        account: String,
    },
    /// There is no address.
    #[error(
        "the provider gave no e-mail address for account {account} (claim {claim}): let it send the claim, or name another \
         one in claims.email (--oidc-email-claim)"
    )]
    NoEmail {
        /// The subject, shortened and without control characters.
        account: String,
        /// The claim looked for.
        claim: String,
    },
}

/// Whether a claim that is wanted is not in the token, so that userinfo is worth asking.
pub(super) fn incomplete(token: &Object, config: &Config, others: &[String]) -> bool {
    let mut wanted = vec![config.email.as_str(), config.groups.as_str(), "preferred_username"];
    if checks_verification(config) {
        wanted.push("email_verified");
    }
    wanted.extend(others.iter().map(String::as_str));
    wanted.iter().any(|name| lookup(token, name).is_none())
}

/// The identity of `subject`. The e-mail address may be absent.
///
/// # Errors
/// An address that the provider calls unverified.
pub(super) fn identity(
    subject: &str,
    sources: Sources<'_>,
    config: &Config,
) -> Result<Identity, ClaimsRefused> {
    let email = sources.get(&config.email).map(text).filter(|email| !email.is_empty());
    if checks_verification(config)
        && let Some(verified) = sources.get("email_verified")
        && !truthy(verified)
    {
        let account = shown(email.as_deref().unwrap_or(subject));
        return Err(ClaimsRefused::EmailNotVerified { account });
    }
    Ok(Identity {
        user: subject.to_owned(),
        email,
        groups: sources.get(&config.groups).map(list).unwrap_or_default(),
        preferred_username: sources.get("preferred_username").map(text),
    })
}

/// The claims of these names, as texts.
pub(super) fn captured(names: &[String], sources: Sources<'_>) -> Captured {
    let value = |name: &String| Some((name.clone(), list(sources.get(name)?)));
    Captured { asked: names.to_vec(), values: names.iter().filter_map(value).collect() }
}

/// What the ID token says of the login `at` this time. A claim of another type is as good as absent: what needs it says so.
pub(super) fn login(token: &Object, at: Timestamp) -> Login {
    let text = |name: &str| {
        let value = token.get(name).and_then(Value::as_str);
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let seconds = |name: &str| token.get(name).and_then(whole_seconds);
    Login {
        at,
        credentials: 0,
        subject: text("sub"),
        provider_session: text("sid"),
        issued_at: seconds("iat"),
        auth_time: seconds("auth_time"),
        acr: text("acr"),
        amr: token.get("amr").filter(|amr| amr.is_array()).map(list).unwrap_or_default(),
    }
}

/// A `NumericDate` (RFC 7519 section 2), which may have a fraction.
fn whole_seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let seconds = value.as_f64().filter(|seconds| seconds.abs() < 1e15)?;
        format!("{:.0}", seconds.floor()).parse().ok()
    })
}

/// Only the standard claim has a companion that says whether it is verified.
fn checks_verification(config: &Config) -> bool {
    config.email == "email" && !config.insecure_allow_unverified_email
}

impl<'a> Sources<'a> {
    fn get(self, name: &str) -> Option<&'a Value> {
        lookup(self.token, name).or_else(|| lookup(self.userinfo?, name))
    }
}

/// By the literal name, then as a dotted path through objects. `null` is as good as absent.
fn lookup<'a>(claims: &'a Object, name: &str) -> Option<&'a Value> {
    let value = claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, part| value.as_object()?.get(part))
    })?;
    (!value.is_null()).then_some(value)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter(|v| !v.is_null()).map(text).collect(),
        one => vec![text(one)],
    }
}

/// Numbers other than zero and the words that Go's `ParseBool` takes; anything else is false, the safe side.
fn truthy(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => ["1", "t", "T", "true", "TRUE", "True"].contains(&text.as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
