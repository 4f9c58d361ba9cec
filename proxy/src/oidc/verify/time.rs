//! `exp`, `nbf` and `iat` against the clock.

use super::{Kind, TokenRefused};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// How far clocks may be apart, in seconds.
pub(in crate::oidc) struct Leeway;

impl Leeway {
    /// How long ago a token may have expired that comes straight from the token endpoint: it was made a moment ago, so this
    /// only forgives a clock. A token out of a session or of a client gets none.
    pub(in crate::oidc) const EXPIRED: i64 = 60;
    /// How far ahead `nbf` and `iat` may be; as in oauth2-proxy.
    pub(in crate::oidc) const EARLY: i64 = 300;
}

/// Checks the three claims; `exp` is required always, `iat` in ID tokens (Core section 2).
pub(super) fn check(
    claims: &Map<String, Value>,
    kind: Kind,
    now: Timestamp,
) -> Result<(), TokenRefused> {
    let now = now.as_second();
    let expires = seconds(claims, "exp")?.ok_or(TokenRefused::Missing("exp"))?;
    let leeway = if kind == Kind::Received { Leeway::EXPIRED } else { 0 };
    if expires.saturating_add(leeway) <= now {
        return Err(TokenRefused::Expired(now.saturating_sub(expires)));
    }
    let issued = seconds(claims, "iat")?;
    if issued.is_none() && kind != Kind::Bearer {
        return Err(TokenRefused::Missing("iat"));
    }
    for (claim, at) in [("nbf", seconds(claims, "nbf")?), ("iat", issued)] {
        if let Some(at) = at
            && at > now.saturating_add(Leeway::EARLY)
        {
            return Err(TokenRefused::TooEarly(at.saturating_sub(now), claim));
        }
    }
    Ok(())
}

/// Core section 3.1.3.7, point 13: how long ago the person logged in at the provider.
pub(super) fn check_login(
    claims: &Map<String, Value>,
    max_age: i64,
    now: Timestamp,
) -> Result<(), TokenRefused> {
    let at = seconds(claims, "auth_time")?.ok_or(TokenRefused::Missing("auth_time"))?;
    let age = now.as_second().saturating_sub(at);
    if age > max_age.saturating_add(Leeway::EXPIRED) {
        Err(TokenRefused::LoginTooOld(age))
    } else {
        Ok(())
    }
}

/// A `NumericDate` (RFC 7519 section 2), fractions cut off.
pub(in crate::oidc) fn seconds(
    claims: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<i64>, TokenRefused> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => whole(value).map(Some).ok_or(TokenRefused::WrongType(name)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked, and fractions are to go"
)]
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().filter(|s| s.abs() < 1e15).map(|s| s.trunc() as i64))
}
