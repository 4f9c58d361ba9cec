//! Renewing sessions at the provider: one token call per expired session, however many requests carry it.
//!
//! - A session is due when it is older than the refresh interval; with no interval, never.
//! - Within the process the first request that needs it starts a flight on the control runtime, where no client that goes
//!   away can abort it; all others wait for it. Processes that share a Redis agree through a lease, and whoever gets it
//!   second finds the record renewed. In cookie mode a browser's requests already on their way still carry the old cookie,
//!   whose refresh token may be spent: for a minute they are given the outcome of the flight that used it.
//! - A refused refresh token (`invalid_grant`) or another subject ends the session, for all requests at once. Everything
//!   else (provider down, not yet discovered, wrong client secret, garbage) leaves it as it is until its own end: until
//!   then it says who somebody is, which an expired access token does not change. What an expired access token itself is
//!   worth is for the upstream that receives it to say. After a failure the same session is left alone for a while, and
//!   no request waits longer than [`PATIENCE`].
//! - A session without a refresh token is bound by its access token instead (see `session::lifetime`), and the provider is
//!   asked whether it still stands.
//! - Redis down is `Unavailable`. A session renewed at the provider whose record could not be written is kept here and
//!   written when Redis is back, because its old refresh token may be spent.

mod flights;
mod renewal;

pub(crate) use renewal::Renew;

use crate::clock::Clock;
use crate::cookie::{RequestCookies, SetCookie};
use crate::random;
use crate::session::Session;
use crate::store::{Found, Store};
use aws_lc_rs::hmac;
use flights::{Flights, Joined, Key};
use renewal::Flight;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Longest time that a request waits for a refresh before it goes on with the session as it is.
const PATIENCE: Duration = Duration::from_secs(10);
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
    /// The store does not answer: 503, and leave the cookie alone.
    Unavailable,
}

/// A session that is due, with what renewing it needs.
pub(crate) struct Due<P> {
    /// The store that it came from.
    pub(crate) store: Arc<Store>,
    /// The provider that vouched for it.
    pub(crate) provider: Arc<P>,
    /// The session.
    pub(crate) found: Found,
}

/// All refreshes of the process. Lives as long as the process, across reloads.
pub(crate) struct Refresher {
    flights: Arc<Flights>,
    /// Keys flights, so that what is remembered can not be searched for a cookie.
    digest: hmac::Key,
    control: Handle,
    clock: Arc<dyn Clock>,
}

impl Refresher {
    /// A refresher that works on the control runtime.
    pub(crate) fn new(control: Handle, clock: Arc<dyn Clock>) -> Self {
        let digest = hmac::Key::new(hmac::HMAC_SHA256, &random::array::<32>());
        Self { flights: Arc::default(), digest, control, clock }
    }

    /// The present form of a session that is due ([`Store::is_due`]), for a request that
    /// carries `cookies` and was sent to `host`.
    pub(crate) async fn current<P: Renew>(
        &self,
        due: Due<P>,
        cookies: &RequestCookies<'_>,
        host: &str,
    ) -> Refresh {
        let Due { store, provider, found: Found { session, ticket } } = due;
        let (mut session, mut newest) = (session, None);
        for _ in 0..GENERATIONS {
            let text = match (&ticket, &session.refresh_token, store.cookie().value(cookies)) {
                (Some(ticket), _, _) => ticket.id().to_owned(),
                // Not the cookie: each request that shares a refresh gets its own sealing of the same session. Not the token
                // alone: where tokens are not rotated, the renewed session has it too and is due again later.
                (None, Some(token), _) => {
                    format!("{} {}", session.created_at.as_millisecond(), token.as_str())
                }
                (None, None, Some(value)) => value.to_string(),
                (None, None, None) => break,
            };
            let flight = |session: &Arc<Session>| Flight {
                store: Arc::clone(&store),
                provider: Arc::clone(&provider),
                session: Arc::clone(session),
                ticket: ticket.clone(),
                clock: Arc::clone(&self.clock),
            };
            let (outcome, just_now) = self.outcome(&self.key(&text), || flight(&session)).await;
            match outcome {
                None | Some(Outcome::Kept) => break,
                Some(Outcome::Ended) => return Refresh::Ended,
                Some(Outcome::Unavailable) => return Refresh::Unavailable,
                Some(Outcome::Renewed(renewed)) => {
                    newest = Some(Arc::clone(&renewed));
                    let now = self.clock.now();
                    if just_now || !store.is_due(&renewed, now) {
                        break;
                    }
                    // The outcome of a while ago is due itself by now.
                    session = renewed;
                }
            }
        }
        let Some(session) = newest else { return Refresh::Unchanged };
        let set_cookies =
            store.cookies(&session, ticket.as_ref(), cookies, host).unwrap_or_else(|error| {
                tracing::error!(%error, "the renewed session does not reach the browser");
                Vec::new()
            });
        Refresh::Renewed { session, set_cookies }
    }

    /// How the flight of `key` ends, if it does in time, and whether it ended only now; `flight` starts it if there is none.
    async fn outcome<P: Renew>(
        &self,
        key: &Key,
        flight: impl FnOnce() -> Flight<P>,
    ) -> (Option<Outcome>, bool) {
        let mut outlook = match self.flights.join(key) {
            Joined::Running(outlook) => outlook,
            Joined::Full => return (None, true),
            Joined::Start(landing, outlook) => {
                self.control.spawn(flight().fly(landing));
                outlook
            }
        };
        let just_now = outlook.borrow().is_none();
        let settled = tokio::time::timeout(PATIENCE, outlook.wait_for(Option::is_some)).await;
        let outcome = match settled {
            Ok(Ok(settled)) => settled.clone(),
            Ok(Err(_)) | Err(_) => None,
        };
        (outcome, just_now)
    }

    fn key(&self, text: &str) -> Key {
        let tag = hmac::sign(&self.digest, text.as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
    }
}

/// The end of a flight, shared by everybody who waited for it.
#[derive(Clone)]
enum Outcome {
    Renewed(Arc<Session>),
    Kept,
    Ended,
    Unavailable,
}

#[cfg(test)]
mod tests;
