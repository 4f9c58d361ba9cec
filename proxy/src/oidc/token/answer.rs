//! The token endpoint's answer (RFC 6749 sections 5.1 and 5.2; tolerated as oauth2-proxy does: a form instead of
//! JSON, numbers as text).

use super::TokenError;
use crate::oidc::http::Answer;
use crate::oidc::jws::shown;
use crate::session::Token;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::time::Duration;
use zeroize::Zeroize as _;

/// No token lives longer; it keeps arithmetic with times in range.
const MAX_LIFETIME: u64 = 10 * 366 * 24 * 3600;

/// Types of tokens that are worth nothing without a proof at each use (RFC 9449, RFC 7800, draft-ietf-oauth-v2-http-mac).
const PROVEN: [&str; 3] = ["DPoP", "PoP", "mac"];

/// Tokens as received. Not verified.
pub(in crate::oidc) struct Tokens {
    pub(in crate::oidc) access: Token,
    /// Whether the provider says that whoever has the access token may use it; `None` if it says nothing. Otherwise nobody but
    /// the provider is sent it.
    pub(in crate::oidc) is_bearer: Option<bool>,
    pub(in crate::oidc) id: Option<Token>,
    pub(in crate::oidc) refresh: Option<Token>,
    /// Life of the access token; absent: not said.
    pub(in crate::oidc) expires_in: Option<Duration>,
}

/// What a refresh gave.
pub(in crate::oidc) enum Refreshed {
    /// What it should.
    Whole(Tokens),
    /// Of use is only the next refresh token. The one that was sent may be used up, so it is not thrown away with the rest.
    Rotated(Token, &'static str),
}

/// The same as [`read`], of the answer to a refresh.
pub(super) fn read_refreshed(answer: &Answer) -> Result<Refreshed, TokenError> {
    match read(answer) {
        Ok(tokens) => Ok(Refreshed::Whole(tokens)),
        // Nothing is malformed but an answer that gives something.
        Err(TokenError::Malformed(reason)) => {
            let members = members(answer)?;
            let refresh = text(&members, "refresh_token").ok().flatten().and_then(Token::optional);
            match refresh {
                Some(refresh) => Ok(Refreshed::Rotated(refresh, reason)),
                None => Err(TokenError::Malformed(reason)),
            }
        }
        Err(error) => Err(error),
    }
}

/// Takes the tokens out of an answer, or the error.
pub(super) fn read(answer: &Answer) -> Result<Tokens, TokenError> {
    let success = (200..300).contains(&answer.status);
    let members = match members(answer) {
        Ok(members) => members,
        Err(_) if !success => Members(Map::new()),
        Err(error) => return Err(error),
    };
    let code = members.get("error").and_then(Value::as_str).unwrap_or_default();
    if !success || !code.is_empty() {
        return Err(TokenError::Refused {
            status: answer.status,
            code: clean(code),
            description: members
                .get("error_description")
                .and_then(Value::as_str)
                .map(|text| format!(" ({})", shown(text)))
                .unwrap_or_default(),
        });
    }
    let kind = members.get("token_type").and_then(Value::as_str).unwrap_or_default();
    if PROVEN.iter().any(|name| kind.eq_ignore_ascii_case(name)) {
        return Err(TokenError::Malformed(
            "the token_type is one that needs proof of a key, which can not be given here: let the provider issue bearer \
             tokens to this client",
        ));
    }
    Ok(Tokens {
        access: text(&members, "access_token")?
            .and_then(Token::optional)
            .ok_or(TokenError::Malformed("there is no access_token"))?,
        is_bearer: (!kind.is_empty()).then(|| kind.eq_ignore_ascii_case("bearer")),
        id: text(&members, "id_token")?.and_then(Token::optional),
        refresh: text(&members, "refresh_token")?.and_then(Token::optional),
        expires_in: lifetime(members.get("expires_in"))?,
    })
}

/// The members of an answer; wiped, because tokens are among them.
struct Members(Map<String, Value>);

impl Members {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

fn members(answer: &Answer) -> Result<Members, TokenError> {
    let looks_like_json =
        answer.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let is_form =
        ["application/x-www-form-urlencoded", "text/plain"].contains(&answer.media_type.as_str());
    if is_form && !looks_like_json {
        let pairs = url::form_urlencoded::parse(&answer.body);
        let text = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
            (name.into_owned(), Value::String(value.into_owned()))
        };
        return Ok(Members(pairs.map(text).collect()));
    }
    serde_json::from_slice(&answer.body)
        .map(Members)
        .map_err(|_| TokenError::Malformed("it is no JSON object"))
}

/// An error code has no spaces and no quotes; anything else is not worth showing as it is.
fn clean(code: &str) -> String {
    let fits = code.len() <= 64
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte));
    if fits { code.to_owned() } else { shown(code) }
}

fn text<'a>(members: &'a Members, name: &'static str) -> Result<Option<&'a str>, TokenError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::Malformed("a token is not text")),
    }
}

/// A number or a numeric text, in seconds; zero and less count as not said.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float saturates"
)]
fn lifetime(value: Option<&Value>) -> Result<Option<Duration>, TokenError> {
    let seconds = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.trim().parse::<f64>().ok(),
        Some(_) => None,
    };
    let seconds = seconds
        .filter(|s| s.is_finite())
        .ok_or(TokenError::Malformed("expires_in is not a number"))?;
    let seconds = (seconds as u64).min(MAX_LIFETIME);
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}
