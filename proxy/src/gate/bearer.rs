//! Bearer tokens (RFC 6750; a token as name or password of `Basic` counts too, as in oauth2-proxy).

use super::cache::{self, Digest};
use super::claimant::Claimant;
use super::refusal::Refusal;
use crate::metrics::Event;
use crate::policy::{Person, Term};
use crate::telemetry::Sparing;
use base64_simd::STANDARD;
use jiff::SignedDuration;
use proxy_config::Bearer;
use std::borrow::Cow;
use std::sync::Arc;

/// How long a token is not verified again, though its keys stay. A withdrawn key is noticed when the keys are next fetched
/// (`oidc/issuer/upkeep.rs`), and then at once.
const VERIFIED_FOR: SignedDuration = SignedDuration::from_secs(60);

thread_local! {
    static REFUSED: Sparing = const { Sparing::new() };
}

/// The person whose token the request carries; `None` if there is none, or a bad one where that leads to the login.
///
/// # Errors
/// A token, or another `Authorization` header, that is not accepted where that is refused.
pub(super) async fn authenticate(
    claimant: &Claimant<'_>,
    settings: &Bearer,
) -> Result<Option<Arc<Person>>, Refusal> {
    let mut values = claimant.authorization();
    let Some(value) = values.next().filter(|value| !value.is_empty()) else { return Ok(None) };
    // Of two, the application could read the other.
    let only = values.next().is_none().then_some(value);
    // Equal bytes were read and verified before.
    let raw = only.and_then(|value| bearer_of(value.as_bytes()));
    if let Some(person) = raw.and_then(|token| known(claimant, token)) {
        return Ok(Some(person));
    }
    let Some(token) = only.and_then(|value| value.to_str().ok()).and_then(token_of) else {
        return refused(settings);
    };
    if raw.is_none()
        && let Some(person) = known(claimant, token.as_bytes())
    {
        return Ok(Some(person));
    }
    Box::pin(verified(claimant, &token, settings)).await
}

/// The person of a token that was verified before.
fn known(claimant: &Claimant<'_>, token: &[u8]) -> Option<Arc<Person>> {
    let at = (claimant.site.epoch, claimant.now);
    let mut providers = claimant.site.providers.iter();
    let person =
        providers.find_map(|provider| cache::get_bearer(token, provider.bearer_epoch(), at))?;
    claimant.worker.shard.count(Event::SessionCached);
    Some(person)
}

/// The same for a token that was not verified before. Each provider that may have made it judges it by its own keys and for its
/// own audience.
async fn verified(
    claimant: &Claimant<'_>,
    token: &str,
    settings: &Bearer,
) -> Result<Option<Arc<Person>>, Refusal> {
    let mut outage = None;
    let mut reason = Some("it is of none of the configured issuers".to_owned());
    for provider in claimant.site.providers.of_bearer(token) {
        // The keys that judge it, whatever comes meanwhile.
        let of = provider.bearer_epoch();
        let digest = Digest::of_bearer(token, of);
        if cache::was_refused(digest, claimant.now) {
            reason = None;
            continue;
        }
        match provider.bearer(token).await {
            Ok(session) => {
                let term = Term::starting(claimant.now).lasting(VERIFIED_FOR);
                let term = term.ending(session.expires_at);
                let person = Arc::new(Person::of(&session, &claimant.site.policy, term));
                cache::put_bearer(token.as_bytes(), of, claimant.site.epoch, &person);
                claimant.worker.shard.count(Event::SessionOpened);
                return Ok(Some(person));
            }
            Err(error) if error.is_outage() => outage = Some(error),
            Err(error) => {
                cache::refuse(digest, claimant.now);
                reason = Some(error.to_string());
            }
        }
    }
    if let Some(error) = outage {
        return Err(Refusal::Unchecked(error));
    }
    if let Some(reason) = reason {
        REFUSED.with(|place| {
            claimant.note_sparingly(place, &format!("a bearer token is refused: {reason}"));
        });
    }
    refused(settings)
}

fn refused(settings: &Bearer) -> Result<Option<Arc<Person>>, Refusal> {
    if settings.login_fallback { Ok(None) } else { Err(Refusal::BadBearer) }
}

/// What stands behind `Bearer`: nothing says that it is a token.
fn bearer_of(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// The token of `Bearer <token>`, or of `Basic` with a token as user (and no password or `x-oauth-basic`) or as password.
fn token_of(header: &str) -> Option<Cow<'_, str>> {
    // Names of schemes have no case (RFC 9110 section 11.1).
    match header.split_once(' ')? {
        (scheme, token) if scheme.eq_ignore_ascii_case("bearer") => {
            is_token(token).then_some(Cow::Borrowed(token))
        }
        (scheme, encoded) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = String::from_utf8(STANDARD.decode_to_vec(encoded).ok()?).ok()?;
            let (user, password) = pair.split_once(':')?;
            if is_token(user) && matches!(password, "" | "x-oauth-basic") {
                Some(Cow::Owned(user.to_owned()))
            } else {
                is_token(password).then(|| Cow::Owned(password.to_owned()))
            }
        }
        _ => None,
    }
}

/// The compact form of a signed JWT: two JSON objects and a signature, in base64url.
fn is_token(text: &str) -> bool {
    let usual = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
    // Counted without an early end, so that many bytes are looked at at once: tokens are long.
    let base64url = |part: &str| part.bytes().filter(usual).count() == part.len();
    let mut parts = text.split('.');
    let (header, claims, signature) = (parts.next(), parts.next(), parts.next());
    let object =
        |part: Option<&str>| part.is_some_and(|part| part.starts_with("ey") && base64url(part));
    parts.next().is_none()
        && object(header)
        && object(claims)
        && signature.is_some_and(|part| !part.is_empty() && base64url(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_headers_carry_a_token() {
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode_to_string(pair));
        for header in [
            "Bearer eyA.eyB.c".to_owned(),
            "bearer eyA.eyB.c".to_owned(),
            "BEARER eyA.eyB.c".to_owned(),
            basic("eyA.eyB.c:").replace("Basic", "basic"),
            basic("eyA.eyB.c:"),
            basic("eyA.eyB.c:x-oauth-basic"),
            basic("u:eyA.eyB.c"),
        ] {
            assert_eq!(token_of(&header).as_deref(), Some("eyA.eyB.c"), "{header}");
        }
        for header in [
            "bearer:eyA.eyB.c",
            "Bearer  eyA.eyB.c",
            "Bearer eyA.eyB.",
            "Bearer eyA.eyB.c.d",
            "Bearer eyA.eyB",
            "Bearer x.y.z",
            "eyA.eyB.c",
            "Bearer",
            "Bearer eyA.eyB.c=",
            "Basic !",
            "",
        ] {
            assert_eq!(token_of(header), None, "{header}");
        }
        assert_eq!(token_of(&basic("eyA.eyB.c:secret")), None);
    }
}
