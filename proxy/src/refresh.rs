//! Renewing sessions at the provider: one token call per expired session, however many requests carry it.
//!
//! - A session is due when it is older than the refresh interval; with no interval, never.
//! - Within the process the first request that needs it starts a flight on the control runtime, where no client that goes
//!   away can abort it; all others wait for it. Processes that share a Redis agree through a lease, and whoever gets it
//!   second finds the record renewed. In cookie mode a browser's requests already on their way still carry the old cookie,
//!   whose refresh token may be spent: for a minute they are given the outcome of the flight that used it.
//! - Another subject ends the session, for all requests at once, and so does a refused refresh token (`invalid_grant`), a
//!   minute after the first refusal: it may have been used by another process a moment ago, whose cookie is on its way, or
//!   which has lost its lease or its way to Redis. Until then cookie and record are left alone and the record is looked at
//!   again, and the session counts as long as its access token lives.
//! - Everything else (provider down, not yet discovered, wrong client secret, garbage) leaves the session as it is for the
//!   time of grace that the configuration gives, at most to its own end: until then it says who somebody is, which an expired
//!   access token does not change. After that it is [`Refresh::Overdue`]. After a failure the same session is left alone for
//!   a while.
//! - Whoever has a session that is alive waits [`BRIEFLY`] for its renewal, and then gets it with a later request. Only who
//!   can not do without it waits for [`PATIENCE`]: past the time of grace, or where the upstream is given a token that has
//!   expired. Nobody waits for a provider that is known to be away (`breaker`), and requests that pass without a session
//!   never wait.
//! - A session that was ended here is not brought back by a refresh that was under way, nor by an old cookie (`signed_out`).
//! - A session without a refresh token is bound by its access token instead (see `session::lifetime`), and the provider is
//!   asked whether it still stands.
//! - A request whose record was read goes on with that session if Redis does not take a lease or a write, until the session
//!   is overdue: then it is [`Refresh::Unavailable`]. A session renewed at the provider whose record could not be written is
//!   used from here and written when Redis is back, because its old refresh token may be spent. For a minute the same is
//!   kept of one that was written: a Redis that takes another's place may lack the last writes.

mod breaker;
mod flights;
mod renewal;
mod renewed;
mod signed_out;

pub(crate) use renewal::Renew;
pub(crate) use signed_out::SignedOut;

use crate::clock::Clock;
use crate::cookie::{RequestCookies, SetCookie};
use crate::random;
use crate::session::Session;
use crate::store::{Found, Store};
use aws_lc_rs::hmac;
use breaker::{Breakers, Prospect};
use flights::{Flights, Joined, Key, Running};
use renewal::Flight;
use renewed::Renewed;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Longest time that a request waits which can not go on without a refresh.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a request waits that can: most answers come in this time, and then the browser gets its new cookie at once.
const BRIEFLY: Duration = Duration::from_millis(300);
/// How often a session may have been renewed while a request with its old cookie was on its way.
const GENERATIONS: usize = 32;

/// What became of a session that was due.
pub(crate) enum Refresh {
    /// Nothing could be done now: go on with the session that the request came with.
    Unchanged,
    /// There is a newer one.
    Renewed {
        /// The session to go on with.
        session: Arc<Session>,
        /// The lines that give it to the browser.
        set_cookies: Vec<SetCookie>,
    },
    /// It is over: clear the cookie and go on without a session.
    Ended,
    /// Go on without a session, and leave the cookie alone: another process may have renewed it.
    Absent,
    /// It went too long without a refresh: 503, and leave the cookie alone.
    Overdue {
        /// When to try again.
        retry_after: Duration,
    },
    /// The same, because the store does not do its part: why.
    Unavailable(String),
}

/// What a request needs of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: it passes without one.
    Nothing,
    /// To know who it is.
    Person,
    /// To give its tokens to others, who look whether they are valid.
    Tokens,
}

/// A session that is due, with what renewing it needs.
pub(crate) struct Due<P> {
    /// The store that it came from.
    pub(crate) store: Arc<Store>,
    /// The provider that vouched for it.
    pub(crate) provider: Arc<P>,
    /// The session.
    pub(crate) found: Found,
    /// What for.
    pub(crate) need: Need,
}

/// All refreshes of the process. Lives as long as the process, across reloads.
pub(crate) struct Refresher {
    flights: Arc<Flights>,
    breakers: Arc<Breakers>,
    signed_out: Arc<SignedOut>,
    /// Keys flights, so that what is remembered can not be searched for a cookie.
    digest: hmac::Key,
    control: Handle,
    clock: Arc<dyn Clock>,
}

impl Refresher {
    /// A refresher that works on the control runtime.
    pub(crate) fn new(control: Handle, clock: Arc<dyn Clock>) -> Self {
        let digest = hmac::Key::new(hmac::HMAC_SHA256, &random::array::<32>());
        let (flights, breakers, signed_out) = Default::default();
        Self { flights, breakers, signed_out, digest, control, clock }
    }

    /// The sessions that were ended in this process.
    pub(crate) fn signed_out(&self) -> &SignedOut {
        &self.signed_out
    }

    /// The present form of a session that is due ([`Store::is_due`]), for a request that
    /// carries `cookies` and was sent to `host`.
    pub(crate) async fn current<P: Renew>(
        &self,
        due: Due<P>,
        cookies: &RequestCookies<'_>,
        host: &str,
    ) -> Refresh {
        let family = due.found.family();
        let refresh = self.look(due, cookies, host).await;
        // The sign-out of a moment ago wins, whoever was faster.
        if family.is_some_and(|family| self.signed_out.contains(&family)) {
            return Refresh::Ended;
        }
        refresh
    }

    async fn look<P: Renew>(
        &self,
        due: Due<P>,
        cookies: &RequestCookies<'_>,
        host: &str,
    ) -> Refresh {
        let Due { store, provider, found: Found { session, ticket, provider: _ }, need } = due;
        let (mut session, mut newest) = (session, None);
        for _ in 0..GENERATIONS {
            let text = match (&ticket, &session.refresh_token, store.cookie().value(cookies)) {
                (Some(ticket), _, _) => ticket.id().to_owned(),
                // Not the cookie: one session may have been sealed more than once. Not the token
                // alone: where tokens are not rotated, the renewed session has it too and is due again later.
                (None, Some(token), _) => {
                    format!("{} {}", session.created_at.as_millisecond(), token.as_str())
                }
                (None, None, Some(value)) => value.to_string(),
                (None, None, None) => break,
            };
            let flight = || Flight {
                store: Arc::clone(&store),
                provider: Arc::clone(&provider),
                session: Arc::clone(&session),
                ticket: ticket.clone(),
                clock: Arc::clone(&self.clock),
                breakers: Arc::clone(&self.breakers),
                signed_out: Arc::clone(&self.signed_out),
            };
            let patience = self.patience(&store, &session, need);
            let (outcome, just_now) = self.outcome(&self.key(&text), patience, flight).await;
            let overdue = || store.lifetime().is_overdue(&session, self.clock.now());
            match outcome {
                Some(Outcome::Unavailable(reason)) if overdue() => {
                    return Refresh::Unavailable(reason);
                }
                None | Some(Outcome::Kept) if overdue() => {
                    let retry_after = self.breakers.pause(&session.provider);
                    return Refresh::Overdue { retry_after };
                }
                None | Some(Outcome::Kept | Outcome::Unavailable(_)) => break,
                Some(Outcome::Contested) if self.has_expired_token(&session) => {
                    return Refresh::Absent;
                }
                Some(Outcome::Stands | Outcome::Contested) => break,
                Some(Outcome::Ended) => return Refresh::Ended,
                Some(Outcome::Renewed(renewed)) => {
                    newest = Some(Arc::clone(&renewed));
                    let now = self.clock.now();
                    if just_now || ticket.is_some() || !store.is_due(&renewed.session, now) {
                        break;
                    }
                    // The outcome of a while ago is due itself by now. (One that waits for its store waits with it.)
                    session = Arc::clone(&renewed.session);
                }
            }
        }
        let Some(renewed) = newest else { return Refresh::Unchanged };
        let value = renewed.sealed(&store, ticket.as_ref());
        let kept_for = store.lifetime().kept_for(&renewed.session, self.clock.now());
        let set = store.cookie().set(&value, cookies, host, kept_for);
        let set_cookies = set.unwrap_or_else(|error| {
            tracing::error!(%error, "the renewed session does not reach the browser");
            Vec::new()
        });
        Refresh::Renewed { session: Arc::clone(&renewed.session), set_cookies }
    }

    /// How long a request may wait for the refresh of `session`, counted from its beginning.
    fn patience(&self, store: &Store, session: &Session, need: Need) -> Duration {
        let prospect = self.breakers.prospect(&session.provider);
        if need == Need::Nothing || prospect == Prospect::Away {
            return Duration::ZERO;
        }
        let indispensable = store.lacks(session)
            || store.lifetime().is_overdue(session, self.clock.now())
            || need == Need::Tokens && self.has_expired_token(session);
        match prospect {
            _ if indispensable => PATIENCE,
            Prospect::Good => BRIEFLY,
            Prospect::Slow | Prospect::Away => Duration::ZERO,
        }
    }

    fn has_expired_token(&self, session: &Session) -> bool {
        session.expires_at.is_some_and(|expiry| expiry <= self.clock.now())
    }

    /// How the flight of `key` ends, if it does in time, and whether it ended only now; `flight` starts it if there is none.
    async fn outcome<P: Renew>(
        &self,
        key: &Key,
        patience: Duration,
        flight: impl FnOnce() -> Flight<P>,
    ) -> (Option<Outcome>, bool) {
        let flight = flight();
        let provider = flight.session.provider.clone();
        let in_store = flight.ticket.is_some();
        let running = match self.flights.join(key, in_store, || self.breakers.admit(&provider)) {
            Joined::Running(running) => running,
            Joined::Not => return (None, true),
            Joined::Start(landing, running) => {
                self.control.spawn(flight.fly(landing));
                running
            }
        };
        let Running { mut outlook, since } = running;
        let just_now = outlook.borrow().is_none();
        let settled =
            tokio::time::timeout_at(since + patience, outlook.wait_for(Option::is_some)).await;
        match settled {
            Ok(Ok(settled)) => (settled.clone(), just_now),
            Ok(Err(_)) => (None, just_now),
            Err(_) => {
                if patience == BRIEFLY {
                    self.breakers.kept_waiting(&provider);
                }
                (None, just_now)
            }
        }
    }

    fn key(&self, text: &str) -> Key {
        let tag = hmac::sign(&self.digest, text.as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
    }
}

/// The end of a flight, shared by everybody who waited for it.
#[derive(Clone)]
enum Outcome {
    Renewed(Arc<Renewed>),
    /// It needs no refresh: the provider says that it still stands.
    Stands,
    /// The provider could not be asked.
    Kept,
    /// The same, because of the store.
    Unavailable(String),
    /// The provider refuses it, perhaps because another process was faster.
    Contested,
    Ended,
}

#[cfg(test)]
mod tests;
