//! Who is it: a bearer token, or else the session that the cookie carries, renewed if it is due.
//!
//! Nothing here decides whether somebody may pass; [`crate::policy`] does.

use super::bearer;
use super::cache;
use super::claimant::Claimant;
use super::refusal::Refusal;
use crate::metrics::Event;
use crate::policy::{Asks, Person, Term};
use crate::refresh::{Due, Need, Refresh};
use crate::session::{RecordError, SealError, Session};
use crate::store::{Found, LoadError, Outage, Unfit};
use crate::telemetry::Sparing;
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;

/// How long a request that needs no session waits for a store.
const EXEMPT_PATIENCE: Duration = Duration::from_millis(100);

thread_local! {
    static REFUSED: Sparing = const { Sparing::new() };
    static EARLY: Sparing = const { Sparing::new() };
}

/// The person behind a request; `None` without a session. Where nobody is needed, nobody is found: a request that passes anyway
/// does not fail for a session.
///
/// # Errors
/// The store does not answer, or the request has a bearer token that is not accepted where that is refused.
pub(super) async fn person(
    claimant: &mut Claimant<'_>,
    asks: Asks,
) -> Result<Option<Arc<Person>>, Refusal> {
    let need = if asks.are_open() {
        Need::Nothing
    } else if claimant.site.policy.gives_tokens() {
        Need::Tokens
    } else {
        Need::Person
    };
    let person = somebody(claimant, need).await;
    if asks.are_open() { Ok(person.unwrap_or_default()) } else { person }
}

async fn somebody(claimant: &mut Claimant<'_>, need: Need) -> Result<Option<Arc<Person>>, Refusal> {
    if let Some(settings) = &claimant.site.config.access.bearer {
        match bearer::authenticate(claimant, settings).await {
            Ok(None) => {}
            Ok(person) => return Ok(person),
            Err(outage @ Refusal::Unchecked(_)) if settings.login_fallback => {
                return Box::pin(stored_or(claimant, need, outage)).await;
            }
            Err(refusal) => return Err(refusal),
        }
    }
    stored(claimant, need).await
}

/// A bearer token that can not be checked now, perhaps the application's own, is no reason to turn away somebody whose
/// session needs no provider.
async fn stored_or(
    claimant: &mut Claimant<'_>,
    need: Need,
    outage: Refusal,
) -> Result<Option<Arc<Person>>, Refusal> {
    stored(claimant, need).await?.map(Some).ok_or(outage)
}

/// The person behind the session that the cookie carries or names.
async fn stored(claimant: &mut Claimant<'_>, need: Need) -> Result<Option<Arc<Person>>, Refusal> {
    let at = (claimant.site.epoch, claimant.now);
    cache::forget(claimant.site.context.refresher.signed_out());
    // Equal bytes were read and opened before. A session in Redis is asked for each time.
    let raw = claimant.site.store.cookie().raw(&claimant.cookies());
    if let Some(person) = raw.and_then(|raw| cache::get_cookie(raw, at)) {
        claimant.worker.shard.count(Event::SessionCached);
        return Ok(Some(person));
    }
    Box::pin(opened(claimant, need)).await
}

/// The same for a cookie that is not known as it stands, or comes in parts.
async fn opened(claimant: &mut Claimant<'_>, need: Need) -> Result<Option<Arc<Person>>, Refusal> {
    let epoch = claimant.site.epoch;
    let Some(value) = claimant.site.store.cookie().value(&claimant.cookies()) else {
        // Parts without their beginning may be there all the same.
        claimant.forget_session();
        return Ok(None);
    };
    let value = (!claimant.site.store.has_records()).then(|| value.into_owned());
    let at = (epoch, claimant.now);
    let known = value.as_ref().and_then(|value| cache::get_cookie(value.as_bytes(), at));
    if let Some(person) = known {
        claimant.worker.shard.count(Event::SessionCached);
        return Ok(Some(person));
    }
    let Some((session, term)) = load(claimant, need).await? else { return Ok(None) };
    claimant.worker.shard.count(Event::SessionOpened);
    let person = Arc::new(Person::of(&session, &claimant.site.policy, term));
    if let Some(value) = value {
        cache::put_cookie(value.as_bytes(), epoch, &person);
    }
    Ok(Some(person))
}

/// The session of the cookie in its present form, and how long it may be used without asking again.
async fn load(
    claimant: &mut Claimant<'_>,
    need: Need,
) -> Result<Option<(Arc<Session>, Term)>, Refusal> {
    let store = Arc::clone(&claimant.site.store);
    let loading = async { store.load(&claimant.cookies(), claimant.now).await };
    let loaded = match need {
        Need::Nothing => tokio::time::timeout(EXEMPT_PATIENCE, loading).await,
        Need::Person | Need::Tokens => Ok(loading.await),
    };
    let found = match loaded.unwrap_or_else(|_| Err(Outage::Slow.into())) {
        Ok(found) => found,
        Err(LoadError::Invalid(reason)) => {
            claimant.worker.shard.count(refused_as(reason));
            REFUSED.with(|place| {
                let message = format!("a session cookie is refused and cleared: {reason}");
                claimant.note_sparingly(place, &message);
            });
            claimant.forget_session();
            return Ok(None);
        }
        Err(LoadError::Early(early)) => {
            EARLY.with(|place| claimant.note_sparingly(place, &early.to_string()));
            return Ok(None);
        }
        Err(LoadError::Unavailable(outage)) => return Err(Refusal::NoStore(outage)),
    };
    let Some(found) = found else { return Ok(None) };
    let signed_out = claimant.site.context.refresher.signed_out();
    if found.family().is_some_and(|family| signed_out.contains(&family)) {
        // The cookie is a copy, or its record could not be removed then.
        if let Err(error) = store.remove(found.ticket.as_ref()).await {
            tracing::warn!(%error, "the record of a session that was signed out is not removed yet");
        }
        claimant.note(found.session.identity.shown(), "this session was signed out");
        claimant.forget_session();
        return Ok(None);
    }
    let (lifetime, term) = (store.lifetime(), Term::starting(claimant.now));
    if !store.is_due(&found.session, claimant.now) {
        claimant.site.context.refresher.seen(&found);
        let ends = lifetime.ends_at(&found.session);
        let term = term.ending(ends).ending(lifetime.refresh_due_at(&found.session));
        return Ok(Some((found.session, term)));
    }
    // The browser gets another cookie, or its next request tries again.
    let term = term.lasting(SignedDuration::ZERO);
    Ok(renew(claimant, found, need).await?.map(|session| (session, term)))
}

/// What a cookie that is of no use counts as: a session that is over, one that the configuration has left behind, or something
/// that nobody should have brought.
fn refused_as(reason: Unfit) -> Event {
    match reason {
        Unfit::Expired => Event::SessionExpired,
        Unfit::Gone => Event::SessionGone,
        Unfit::Sealed(SealError::UnknownKey) => Event::SessionOfOtherKey,
        Unfit::Sealed(SealError::Forged) => Event::SessionForged,
        Unfit::Sealed(SealError::TooLong | SealError::Format)
        | Unfit::Record(RecordError::Version | RecordError::Malformed)
        | Unfit::Ticket
        | Unfit::LongRecord
        | Unfit::OtherRecord => Event::SessionMalformed,
        Unfit::OtherTicket | Unfit::OtherIssuer | Unfit::NoProvider => {
            Event::SessionOfOtherProvider
        }
        Unfit::Lacking => Event::SessionLacking,
    }
}

async fn renew(
    claimant: &mut Claimant<'_>,
    found: Found,
    need: Need,
) -> Result<Option<Arc<Session>>, Refusal> {
    // The store of the same site found it.
    let Some(provider) = claimant.site.providers.at(found.provider) else { return Ok(None) };
    let present = Arc::clone(&found.session);
    let due = Due {
        store: Arc::clone(&claimant.site.store),
        provider: Arc::clone(provider),
        found,
        need,
    };
    match claimant.site.context.refresher.current(due, &claimant.cookies(), claimant.host()).await {
        Refresh::Unchanged => Ok(Some(present)),
        Refresh::Renewed { session, set_cookies } => {
            claimant.set_cookies.extend(set_cookies);
            Ok(Some(session))
        }
        Refresh::Ended => {
            claimant.note(present.identity.shown(), "the provider has ended the session");
            claimant.forget_session();
            Ok(None)
        }
        Refresh::Absent => Ok(None),
        Refresh::Overdue { retry_after } => Err(Refusal::Overdue(retry_after)),
        Refresh::Unavailable(outage) => Err(Refusal::NoStore(outage)),
    }
}
