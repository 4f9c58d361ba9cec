//! Renewing sessions at the provider: one token call per expired session, however many requests carry it.
//!
//! - A session is due when it is older than the refresh interval; with no interval, never.
//! - Within the process the first request that needs it starts a flight on the control runtime, where no client that goes
//!   away can abort it; all others wait for it. Processes that share a Redis agree through a lease, and whoever gets it
//!   second finds the record renewed. In cookie mode a browser's requests already on their way still carry the old cookie,
//!   whose refresh token may be spent: until a minute after the new cookie has been seen they are given the outcome of the
//!   flight that used it.
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
mod errands;
mod flights;
mod renewal;
mod renewed;
mod signed_out;

pub(crate) use renewal::Renew;
pub(crate) use signed_out::SignedOut;

use crate::clock::Clock;
use crate::cookie::{RequestCookies, SetCookie};
use crate::session::Session;
use crate::store::{Found, Outage, Store, Ticket};
use breaker::{Admission, Breakers, Prospect};
use errands::Errands;
use flights::{Flights, Joined, Key, Running};
use renewal::Flight;
use renewed::Renewed;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    Unavailable(Outage),
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
    errands: Arc<Errands>,
    /// The process is about to end.
    leaving: AtomicBool,
    control: Handle,
    clock: Arc<dyn Clock>,
}

impl Refresher {
    /// A refresher that works on the control runtime.
    pub(crate) fn new(control: Handle, clock: Arc<dyn Clock>) -> Self {
        let (flights, breakers, signed_out, leaving) = Default::default();
        let errands = Errands::new(control.clone());
        Self { flights, breakers, signed_out, errands, leaving, control, clock }
    }

    /// The process is about to end. A cookie that is renewed from here on may not reach its browser any more: no refresh of
    /// one begins that its request can do without, and whoever finds one under way waits for it.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Waits until everything is in the store that is to be there.
    pub(crate) async fn finish(&self) {
        self.errands.done().await;
    }

    /// Removes the record of a session that has ended, when its store does not do it now.
    pub(crate) fn remove_later(&self, store: &Arc<Store>, ticket: Ticket) {
        self.errands.remove(Arc::clone(store), ticket);
    }

    /// A request came with this session, so its browser has it, and needs no longer be given it in place of an older one.
    pub(crate) fn seen(&self, found: &Found) {
        if found.ticket.is_none() {
            self.flights.seen(&found.session);
        }
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
        self.seen(&due.found);
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
            let text = match (&ticket, flights::name(&session), store.cookie().value(cookies)) {
                (Some(ticket), _, _) => ticket.id().to_owned(),
                (None, Some(name), _) => name,
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
                errands: Arc::clone(&self.errands),
            };
            let wait = self.wait(&store, &session, need);
            let (outcome, just_now) = self.outcome(&self.flights.key(&text), wait, flight).await;
            let overdue = || store.lifetime().is_overdue(&session, self.clock.now());
            match outcome {
                Some(Outcome::Unavailable(reason)) if overdue() => {
                    return Refresh::Unavailable(reason);
                }
                None | Some(Outcome::Kept) if overdue() => {
                    let retry_after = self.breakers.pause(&session.provider);
                    return Refresh::Overdue { retry_after };
                }
                Some(Outcome::Contested) if self.has_expired_token(&session) => {
                    return Refresh::Absent;
                }
                None
                | Some(
                    Outcome::Kept | Outcome::Unavailable(_) | Outcome::Stands | Outcome::Contested,
                ) => break,
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

    /// How a request takes part in the refresh of `session`.
    fn wait(&self, store: &Store, session: &Session, need: Need) -> Wait {
        let indispensable = need != Need::Nothing
            && (store.lacks(session)
                || store.lifetime().is_overdue(session, self.clock.now())
                || need == Need::Tokens && self.has_expired_token(session));
        let leaving = !store.has_records() && self.leaving.load(Ordering::Relaxed);
        let patience = match self.breakers.prospect(&session.provider) {
            Prospect::Away => Duration::ZERO,
            _ if need == Need::Nothing => Duration::ZERO,
            _ if indispensable || leaving => PATIENCE,
            Prospect::Good => BRIEFLY,
            Prospect::Slow => Duration::ZERO,
        };
        Wait { patience, begins: indispensable || !leaving }
    }

    fn has_expired_token(&self, session: &Session) -> bool {
        session.expires_at.is_some_and(|expiry| expiry <= self.clock.now())
    }

    /// How the flight of `key` ends, if it does in time, and whether it ended only now; `flight` starts it if there is none.
    async fn outcome<P: Renew>(
        &self,
        key: &Key,
        Wait { patience, begins }: Wait,
        flight: impl FnOnce() -> Flight<P>,
    ) -> (Option<Outcome>, bool) {
        let flight = flight();
        let provider = flight.session.provider.clone();
        let in_store = flight.ticket.is_some();
        let admit = || if begins { self.breakers.admit(&provider) } else { Admission::No };
        let running = match self.flights.join(key, in_store, admit) {
            Joined::Running(running) => running,
            Joined::Not => return (None, true),
            Joined::Start(landing, running) => {
                if in_store {
                    self.errands.run(flight.fly(landing));
                } else {
                    // At the end there is nobody to give it to.
                    self.control.spawn(flight.fly(landing));
                }
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
}

/// How a request takes part in a refresh.
#[derive(Clone, Copy)]
struct Wait {
    /// How long it may wait, counted from its beginning.
    patience: Duration,
    /// Whether it begins it, if nobody has.
    begins: bool,
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
    Unavailable(Outage),
    /// The provider refuses it, perhaps because another process was faster.
    Contested,
    Ended,
}

#[cfg(test)]
mod tests;
