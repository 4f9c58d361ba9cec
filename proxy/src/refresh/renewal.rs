//! One flight: agree with the other processes, look again, ask the provider once, write the result.

use super::breaker::{Admission, Breakers};
use super::errands::{self, Errands};
use super::flights::Landing;
use super::renewed::Renewed;
use super::{Outcome, SignedOut};
use crate::clock::Clock;
use crate::oidc::{Ending, NotNow, Provider, Renewal, Slow};
use crate::session::Session;
use crate::store::{LoadError, Outage, Store, StoreError, Ticket, family};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long another process may hold the lease: longer than a token call takes.
const LEASE_WAIT: Duration = Duration::from_secs(90);

/// Something that renews sessions: an identity provider.
pub(crate) trait Renew: Send + Sync + 'static {
    /// Asks once. Bounded in time; never ends a session because the provider is away or does not know us. `slow` is told if
    /// the answer takes so long that the provider must be taken for away; it is waited for all the same.
    fn renew(&self, session: &Session, slow: Slow) -> impl Future<Output = Renewal> + Send;
}

impl Renew for Provider {
    async fn renew(&self, session: &Session, slow: Slow) -> Renewal {
        self.refresh(session, slow).await
    }
}

/// What a call tells of its provider, at most once for the worse.
struct Health {
    breakers: Arc<Breakers>,
    provider: String,
    admission: Admission,
    said: AtomicBool,
}

impl Health {
    fn of<P>(flight: &Flight<P>, landing: &Landing) -> Arc<Self> {
        Arc::new(Self {
            breakers: Arc::clone(&flight.breakers),
            provider: flight.session.provider.clone(),
            admission: landing.admission(),
            said: AtomicBool::new(false),
        })
    }

    fn away(&self) {
        if !self.said.swap(true, Ordering::Relaxed) {
            self.breakers.away(&self.provider, self.admission);
        }
    }

    fn answered(&self) {
        self.breakers.answered(&self.provider);
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
    pub(super) errands: Arc<Errands>,
}

impl<P: Renew> Flight<P> {
    /// To the end, whoever is still waiting. A session that could not be written is tried again until it is, so that no
    /// other process tries its spent refresh token because nobody came by here.
    pub(super) async fn fly(self, landing: Landing) {
        let (key, flights) = (*landing.key(), Arc::clone(landing.flights()));
        self.once(landing).await;
        if !flights.tend(&key) {
            return;
        }
        let began = Instant::now();
        while let Some(renewed) = flights.rescued(&key) {
            tokio::time::sleep(errands::pause(began)).await;
            if self.is_written(&renewed).await {
                flights.settled(&key);
            }
        }
    }

    async fn once(&self, landing: Landing) {
        let mut outcome = match &self.ticket {
            None => self.ask(Arc::clone(&self.session), &landing).await,
            Some(ticket) => self.with_lease(ticket, &landing).await,
        };
        if self.is_signed_out() {
            self.remove().await;
            landing.settled();
            outcome = Outcome::Ended;
        }
        if landing.has_asked_nothing() {
            self.breakers.unasked(&self.session.provider, landing.admission());
        }
        landing.land(outcome, self.ticket.is_some());
    }

    fn is_signed_out(&self) -> bool {
        family(&self.session, self.ticket.as_ref())
            .is_some_and(|family| self.signed_out.contains(&family))
    }

    /// Takes the record away. Whoever signed out may have found the store away.
    async fn remove(&self) {
        let Some(ticket) = &self.ticket else { return };
        if let Err(error) = self.store.remove(Some(ticket)).await {
            tracing::warn!(%error, "the record of an ended session is not removed; it is tried again");
            self.errands.remove(Arc::clone(&self.store), ticket.clone());
        }
    }

    async fn with_lease(&self, ticket: &Ticket, landing: &Landing) -> Outcome {
        let lease = match self.store.lease(Some(ticket), Instant::now() + LEASE_WAIT).await {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                tracing::warn!(
                    "another process holds the lease on a session refresh; the session is left as it is"
                );
                return landing.newer(&self.session).map_or(Outcome::Kept, Outcome::Renewed);
            }
            Err(outage) => return self.without_store(landing, outage),
        };
        let outcome = lease.hold(self.look_again(ticket, landing)).await;
        // With Redis away that takes its time, and requests are waiting.
        let is_away = matches!(outcome, Outcome::Unavailable(_))
            || landing.flights().rescued(landing.key()).is_some();
        if is_away {
            tokio::spawn(lease.release());
        } else {
            lease.release().await;
        }
        outcome
    }

    /// The record was read when the request came, so its session is alive; a newer one that is known here is as good.
    fn without_store(&self, landing: &Landing, outage: Outage) -> Outcome {
        if let Some(newest) = landing.newer(&self.session) {
            return Outcome::Renewed(newest);
        }
        tracing::warn!(reason = %outage, user = self.session.identity.shown(), "session not refreshed");
        Outcome::Unavailable(outage)
    }

    /// Under the lease: another process may have been faster, or signed the person out; and a Redis that took another's
    /// place may have lost what was written here.
    async fn look_again(&self, ticket: &Ticket, landing: &Landing) -> Outcome {
        let now = self.clock.now();
        let record = match self.store.reload(ticket, now).await {
            Ok(record) => record,
            Err(LoadError::Invalid(_)) => {
                landing.settled();
                return Outcome::Ended;
            }
            Err(LoadError::Early(early)) => return self.without_store(landing, early.into()),
            Err(LoadError::Unavailable(outage)) => return self.without_store(landing, outage),
        };
        if let Some(newest) = landing.newer(&record) {
            return self.write(newest, landing).await;
        }
        landing.settled();
        if !self.store.is_due(&record, now) {
            return Outcome::Renewed(Renewed::new(Arc::new(record)));
        }
        if landing.awaits_another(&record) {
            return Outcome::Contested;
        }
        self.ask(Arc::new(record), landing).await
    }

    async fn ask(&self, session: Arc<Session>, landing: &Landing) -> Outcome {
        let health = Health::of(self, landing);
        let told = Arc::clone(&health);
        let renewal = self.provider.renew(&session, Box::new(move || told.away())).await;
        match &renewal {
            Renewal::Kept(NotNow::Busy) => {}
            Renewal::Kept(NotNow::Away(_)) => {
                health.away();
                landing.asked();
            }
            Renewal::Renewed(_)
            | Renewal::Stands
            | Renewal::Kept(NotNow::Unusable(_))
            | Renewal::Ended(_) => {
                health.answered();
                landing.asked();
            }
        }
        let user = session.identity.shown();
        match renewal {
            Renewal::Renewed(mut renewed) => {
                renewed.created_at = self.clock.now();
                self.write(Renewed::new(Arc::new(*renewed)), landing).await
            }
            Renewal::Stands => Outcome::Stands,
            Renewal::Kept(reason) => {
                tracing::warn!(%reason, user, "session not refreshed; it stays as it is");
                Outcome::Kept
            }
            // A lease can run out while it is used, and what was written be lost: it says nothing for certain.
            Renewal::Ended(reason @ Ending::Grant(_)) if landing.is_contested(&session) => {
                tracing::info!(%reason, user, "session not refreshed; another process may have renewed it");
                Outcome::Contested
            }
            Renewal::Ended(reason) => self.end(&session, &reason).await,
        }
    }

    /// Writes a renewed session over its record. A record that is gone was signed out meanwhile: it is not brought back. One
    /// that can not be written now is as good as one that was, and is written later.
    async fn write(&self, renewed: Arc<Renewed>, landing: &Landing) -> Outcome {
        match self.store.renew(&renewed.session, self.ticket.as_ref()).await {
            Ok(true) => {
                landing.settled();
                Outcome::Renewed(renewed)
            }
            Ok(false) => {
                landing.settled();
                Outcome::Ended
            }
            Err(error @ StoreError::TooLarge(_)) => {
                tracing::error!(%error, "renewed session not written; the old one stays");
                landing.settled();
                Outcome::Kept
            }
            Err(error) => {
                tracing::warn!(%error, "renewed session not written; it is tried again");
                landing.rescue(&renewed);
                Outcome::Renewed(renewed)
            }
        }
    }

    /// Whether nothing is left to write of a session that could not be written before.
    async fn is_written(&self, renewed: &Renewed) -> bool {
        let Some(ticket) = &self.ticket else { return true };
        if self.is_signed_out() {
            self.remove().await;
            return true;
        }
        let deadline = Instant::now() + LEASE_WAIT;
        let Ok(Some(lease)) = self.store.lease(Some(ticket), deadline).await else { return false };
        let work = async {
            match self.store.reload(ticket, self.clock.now()).await {
                Ok(record) if renewed.is_newer(&record) => {
                    self.store.renew(&renewed.session, Some(ticket)).await.is_ok()
                }
                Ok(_) | Err(LoadError::Invalid(_)) => true,
                Err(LoadError::Early(_) | LoadError::Unavailable(_)) => false,
            }
        };
        let written = lease.hold(work).await;
        lease.release().await;
        written
    }

    /// Ends the session, unless its record shows that somebody renewed it all the same.
    async fn end(&self, refused: &Session, reason: &Ending) -> Outcome {
        if let Some(ticket) = &self.ticket
            && let Ok(present) = self.store.reload(ticket, self.clock.now()).await
            && present.refresh_token != refused.refresh_token
        {
            return Outcome::Renewed(Renewed::new(Arc::new(present)));
        }
        tracing::info!(%reason, user = refused.identity.shown(), "session ended by its provider");
        self.remove().await;
        Outcome::Ended
    }
}
