//! One flight: agree with the other processes, look again, ask the provider once, write the result.

use super::breaker::{Admission, Breakers};
use super::flights::{Joined, Landing};
use super::renewed::Renewed;
use super::{Outcome, SignedOut};
use crate::clock::Clock;
use crate::oidc::{Provider, RefreshError, Validity};
use crate::session::Session;
use crate::store::{LoadError, Store, StoreError, Ticket, family};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long another process may hold the lease: longer than a token call takes.
const LEASE_WAIT: Duration = Duration::from_secs(20);
/// How long writing a renewed session is tried again while requests wait, and the pause between attempts.
const WRITE_AGAIN_FOR: Duration = Duration::from_secs(3);
const WRITE_AGAIN_AFTER: Duration = Duration::from_millis(300);
/// After that, a session that waits for its store is tried so often, whether or not there are requests.
const RESCUE_EVERY: Duration = Duration::from_secs(1);

/// What the provider made of a session.
pub(crate) enum Renewal {
    /// A newer one.
    Renewed(Box<Session>),
    /// It could not be renewed now, and stays as it is: the provider answers with something else than a new or no session.
    Kept(String),
    /// The same, because the provider does not answer.
    Away(String),
    /// It has no refresh token and still stands.
    NotRenewable,
    /// Its refresh token is not accepted: revoked, expired, or used before.
    Refused(String),
    /// It has become somebody else's, or may not pass any more.
    Ended(String),
}

/// Something that renews sessions: an identity provider.
pub(crate) trait Renew: Send + Sync + 'static {
    /// Asks once. Bounded in time; never ends a session because the provider is away or does not know us.
    fn renew(&self, session: &Session) -> impl Future<Output = Renewal> + Send;
}

impl Renew for Provider {
    async fn renew(&self, session: &Session) -> Renewal {
        match self.refresh(session).await {
            Ok(renewed) => match self.validate(&renewed, true).await {
                Validity::Invalid(reason) => Renewal::Ended(reason),
                Validity::Valid | Validity::Unavailable(_) => Renewal::Renewed(Box::new(renewed)),
            },
            Err(RefreshError::NoRefreshToken) => match self.validate(session, false).await {
                Validity::Valid => Renewal::NotRenewable,
                Validity::Invalid(reason) => Renewal::Ended(reason),
                Validity::Unavailable(reason) => Renewal::Away(reason),
            },
            Err(error @ RefreshError::InvalidGrant(_)) => Renewal::Refused(error.to_string()),
            Err(error @ RefreshError::Unavailable(_)) => Renewal::Away(error.to_string()),
            Err(error) if error.ends_session() => Renewal::Ended(error.to_string()),
            Err(error) => Renewal::Kept(error.to_string()),
        }
    }
}

/// Everything that a flight takes along.
pub(super) struct Flight<P> {
    pub(super) store: Arc<Store>,
    pub(super) provider: Arc<P>,
    pub(super) session: Arc<Session>,
    pub(super) ticket: Option<Ticket>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) breakers: Arc<Breakers>,
    pub(super) signed_out: Arc<SignedOut>,
}

impl<P: Renew> Flight<P> {
    /// To the end, whoever is still waiting. A session that could not be written is tried again until it is, so that no
    /// other process tries its spent refresh token because nobody came by here.
    pub(super) async fn fly(self, mut landing: Landing) {
        loop {
            let (key, flights) = (*landing.key(), Arc::clone(landing.flights()));
            self.once(landing).await;
            landing = loop {
                if flights.rescued(&key).is_none() {
                    return;
                }
                tokio::time::sleep(RESCUE_EVERY).await;
                if let Joined::Start(landing, _) = flights.join(&key, || Admission::Usual) {
                    break landing;
                }
            };
        }
    }

    async fn once(&self, landing: Landing) {
        let mut outcome = match &self.ticket {
            None => self.ask(Arc::clone(&self.session), &landing).await,
            Some(ticket) => self.with_lease(ticket, &landing).await,
        };
        let family = family(&self.session, self.ticket.as_ref());
        if family.is_some_and(|family| self.signed_out.contains(&family)) {
            // Whoever signed out may have found the store away.
            if let Err(error) = self.store.remove(self.ticket.as_ref()).await {
                tracing::warn!(%error, "the record of a session that was signed out stays until it expires");
            }
            landing.settled();
            outcome = Outcome::Ended;
        }
        landing.land(outcome, self.ticket.is_some());
    }

    async fn with_lease(&self, ticket: &Ticket, landing: &Landing) -> Outcome {
        let lease = match self.store.lease(Some(ticket), Instant::now() + LEASE_WAIT).await {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                tracing::warn!(
                    "another process holds the lease on a session refresh; the session is left as it is"
                );
                return Outcome::Kept;
            }
            Err(error) => {
                tracing::warn!(%error, "session not refreshed");
                return Outcome::Unavailable;
            }
        };
        let outcome = lease.hold(self.look_again(ticket, landing)).await;
        // With Redis away there is nobody to give it back to, and requests are waiting.
        if !matches!(outcome, Outcome::Unavailable) {
            lease.release().await;
        }
        outcome
    }

    /// Under the lease: another process may have been faster, or signed the person out.
    async fn look_again(&self, ticket: &Ticket, landing: &Landing) -> Outcome {
        let now = self.clock.now();
        match self.store.reload(ticket, now).await {
            Ok(session) if !self.store.is_due(&session, now) => {
                landing.settled();
                Outcome::Renewed(Renewed::new(Arc::new(session)))
            }
            Ok(session) => match landing.flights().rescued(landing.key()) {
                Some(renewed) => self.write(renewed, landing).await,
                None => self.ask(Arc::new(session), landing).await,
            },
            Err(LoadError::Invalid(_)) => {
                landing.settled();
                Outcome::Ended
            }
            Err(LoadError::Unavailable(_)) => Outcome::Unavailable,
        }
    }

    async fn ask(&self, session: Arc<Session>, landing: &Landing) -> Outcome {
        let renewal = self.provider.renew(&session).await;
        match &renewal {
            Renewal::Away(_) => self.breakers.away(&session.provider, landing.admission()),
            _ => self.breakers.answered(&session.provider),
        }
        match renewal {
            Renewal::Renewed(mut renewed) => {
                renewed.created_at = self.clock.now();
                self.write(Arc::new(*renewed), landing).await
            }
            Renewal::Kept(reason) | Renewal::Away(reason) => {
                tracing::warn!(
                    reason,
                    user = session.identity.shown(),
                    "session not refreshed; it stays as it is"
                );
                Outcome::Kept
            }
            Renewal::NotRenewable => Outcome::Stands,
            // In a store the lease says that nobody else used the token.
            Renewal::Refused(reason) if self.ticket.is_none() && landing.is_contested() => {
                tracing::info!(
                    reason,
                    user = session.identity.shown(),
                    "session not refreshed; another process may have renewed it"
                );
                Outcome::Contested
            }
            Renewal::Refused(reason) | Renewal::Ended(reason) => self.end(&session, &reason).await,
        }
    }

    /// Writes a renewed session over its record. A record that is gone was signed out meanwhile: it is not brought back.
    async fn write(&self, session: Arc<Session>, landing: &Landing) -> Outcome {
        let give_up_at = Instant::now() + WRITE_AGAIN_FOR;
        while Instant::now() < give_up_at {
            match self.store.renew(&session, self.ticket.as_ref()).await {
                Ok(true) => {
                    landing.settled();
                    return Outcome::Renewed(Renewed::new(session));
                }
                Ok(false) => {
                    landing.settled();
                    return Outcome::Ended;
                }
                Err(error @ StoreError::TooLarge(_)) => {
                    tracing::error!(%error, "renewed session not written; the old one stays");
                    return Outcome::Kept;
                }
                Err(error) => tracing::warn!(%error, "renewed session not written"),
            }
            tokio::time::sleep(WRITE_AGAIN_AFTER).await;
        }
        landing.rescue(session);
        Outcome::Unavailable
    }

    /// Ends the session, unless its record shows that somebody renewed it all the same, with a lease that we had lost.
    async fn end(&self, refused: &Session, reason: &str) -> Outcome {
        if let Some(ticket) = &self.ticket
            && let Ok(present) = self.store.reload(ticket, self.clock.now()).await
            && present.refresh_token != refused.refresh_token
        {
            return Outcome::Renewed(Renewed::new(Arc::new(present)));
        }
        tracing::info!(reason, user = refused.identity.shown(), "session ended by its provider");
        if let Err(error) = self.store.remove(self.ticket.as_ref()).await {
            tracing::warn!(%error, "the record of an ended session stays until it expires");
        }
        Outcome::Ended
    }
}
