//! Where sessions are: sealed in the browser's cookie, or in Redis with a sealed ticket in the cookie.
//!
//! A store that does not answer is `Unavailable`, never "no session": nobody is logged out, and nobody passes, because
//! Redis is down. What a cookie or a record holds is believed only once it has been opened.

mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod lease;
mod redis;
mod size;
mod ticket;
mod voucher;

#[cfg(test)]
pub(crate) use self::redis::fixture::RedisServer;
pub(crate) use self::redis::{RedisSettings, SettingsError};
pub(crate) use error::{Early, LoadError, Outage, StoreError, Unfit};
pub(crate) use lease::Lease;
pub(crate) use ticket::Ticket;
pub(crate) use voucher::Voucher;

use self::redis::Records;
use crate::cookie::{Attributes, MAX_VALUE, RequestCookies, SessionCookie, SetCookie};
use crate::session::{self, Family, KeyRing, Lifetime, Needs, Purpose, Session, Uses};
use jiff::Timestamp;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A session store with everything that it needs to read, write and age sessions.
pub(crate) struct Store {
    cookie: SessionCookie,
    ring: Arc<KeyRing>,
    lifetime: Lifetime,
    needs: Needs,
    /// Sessions of other providers are not believed: a provider that was removed vouches for nobody.
    providers: Vec<Voucher>,
    size: size::Watch,
    /// `None`: the cookie is the store.
    records: Option<Records>,
}

/// What a store is made of beside the session settings: secrets that were read and parts that others own.
pub(crate) struct Parts<'a> {
    /// The keys, shared with whoever seals a login.
    pub(crate) ring: Arc<KeyRing>,
    /// The configured providers.
    pub(crate) providers: Vec<Voucher>,
    /// What is kept of a session, whoever made it.
    pub(crate) needs: Needs,
    /// URL of the Redis server, if the settings ask for one.
    pub(crate) redis_url: Option<Zeroizing<String>>,
    /// Password that replaces the URL's.
    pub(crate) redis_password: Option<Zeroizing<String>>,
    /// The store in force, whose connection is kept if its settings are the same.
    pub(crate) previous: Option<&'a Store>,
}

/// A session that a request carries.
pub(crate) struct Found {
    /// The session: opened, of a known provider, and not past its end. Shared with a refresh that may outlive the request.
    pub(crate) session: Arc<Session>,
    /// Its ticket, if it is in Redis.
    pub(crate) ticket: Option<Ticket>,
    /// The place in the configuration of the provider that made it.
    pub(crate) provider: usize,
}

/// The family of a session, by the ticket of its record if it has one.
pub(crate) fn family(session: &Session, ticket: Option<&Ticket>) -> Option<Family> {
    ticket.map_or_else(|| Family::of(session), |ticket| Some(Family(*ticket.number())))
}

impl Found {
    /// What ends together with it.
    pub(crate) fn family(&self) -> Option<Family> {
        family(&self.session, self.ticket.as_ref())
    }
}

impl Store {
    /// The store that the settings ask for. Connects to nothing yet.
    ///
    /// # Errors
    /// A Redis URL or certificate file that can not be used.
    pub(crate) fn compile(
        config: &proxy_config::Session,
        parts: Parts<'_>,
    ) -> Result<Self, SettingsError> {
        let Parts { ring, providers, needs, redis_url, redis_password, previous } = parts;
        let lifetime = Lifetime::new(config);
        let records = match &config.store {
            proxy_config::Store::Cookie => None,
            proxy_config::Store::Redis(redis) => {
                let settings = RedisSettings::new(redis, redis_url, redis_password)?;
                Some(Records::new(settings, previous.and_then(|store| store.records.as_ref()))?)
            }
        };
        let cookie = SessionCookie::new(
            &config.cookie.name,
            Attributes::session(&config.cookie, config.lifetime),
        );
        Ok(Self { cookie, ring, lifetime, needs, providers, size: size::Watch::default(), records })
    }

    /// The cookie that holds the session or its ticket.
    pub(crate) fn cookie(&self) -> &SessionCookie {
        &self.cookie
    }

    /// When sessions end and are due.
    pub(crate) fn lifetime(&self) -> &Lifetime {
        &self.lifetime
    }

    /// Whether the session should be renewed before it is used: it is old, or was written without something that the
    /// configuration needs by now.
    pub(crate) fn is_due(&self, session: &Session, now: Timestamp) -> bool {
        self.lifetime.is_refresh_due(session, now)
            || self.needs.lacks(session) && self.can_refresh(session)
    }

    /// Whether it was written without something that the configuration needs by now.
    pub(crate) fn lacks(&self, session: &Session) -> bool {
        self.needs.lacks(session)
    }

    /// Whether sessions are in Redis.
    pub(crate) fn has_records(&self) -> bool {
        self.records.is_some()
    }

    /// The session that a request carries; `None` if it carries no session cookie at all.
    ///
    /// # Errors
    /// See [`LoadError`]: the two cases are answered differently.
    pub(crate) async fn load(
        &self,
        cookies: &RequestCookies<'_>,
        now: Timestamp,
    ) -> Result<Option<Found>, LoadError> {
        let Some(value) = self.cookie.value(cookies) else { return Ok(None) };
        let (session, ticket) = match &self.records {
            None => (self.open_session(&value)?, None),
            Some(records) => {
                let ticket = self.open_ticket(&value)?;
                let known = |issuer| self.providers.iter().any(|voucher| voucher.is_at(issuer));
                if !ticket.issuer().is_none_or(known) {
                    return Err(Unfit::OtherTicket.into());
                }
                (records.read(&ticket).await?, Some(ticket))
            }
        };
        let provider = self.accept(&session, now)?;
        Ok(Some(Found { session: Arc::new(session), ticket, provider }))
    }

    /// Reads the record of a ticket again.
    ///
    /// # Errors
    /// As [`Store::load`]; `Invalid` also if the record is gone.
    pub(crate) async fn reload(
        &self,
        ticket: &Ticket,
        now: Timestamp,
    ) -> Result<Session, LoadError> {
        let Some(records) = &self.records else {
            return Err(Unfit::Gone.into());
        };
        let session = records.read(ticket).await?;
        self.accept(&session, now)?;
        Ok(session)
    }

    /// Keeps the session of a new login. It always gets a new ticket, and the record of the ticket that the browser came
    /// with is removed, so that nobody who planted or kept the old ticket shares the new session.
    ///
    /// # Errors
    /// It does not fit, or Redis does not answer.
    pub(crate) async fn save(
        &self,
        session: &Session,
        cookies: &RequestCookies<'_>,
        host: &str,
    ) -> Result<Vec<SetCookie>, StoreError> {
        let kept_for = self.lifetime.kept_for(session, session.created_at);
        let Some(records) = &self.records else {
            return Ok(self.cookie.set(&self.seal(session, None), cookies, host, kept_for)?);
        };
        let ticket = Ticket::issue(self.cookie.name(), session);
        records.create(&ticket, &self.record(session), kept_for).await?;
        if let Some(old) =
            self.cookie.value(cookies).and_then(|value| self.open_ticket(&value).ok())
            && let Err(error) = records.delete(&old).await
        {
            tracing::warn!(%error, "the record of the previous session stays until it expires");
        }
        Ok(self.cookie.set(&self.seal(session, Some(&ticket)), cookies, host, kept_for)?)
    }

    /// Writes a refreshed session over its record; `false` if the record is gone, because of a sign-out meanwhile.
    /// With the cookie as the store there is nothing to do.
    ///
    /// # Errors
    /// Redis does not answer.
    pub(crate) async fn renew(
        &self,
        session: &Session,
        ticket: Option<&Ticket>,
    ) -> Result<bool, StoreError> {
        match (&self.records, ticket) {
            (Some(records), Some(ticket)) => {
                let kept_for = self.lifetime.kept_for(session, session.created_at);
                records.replace(ticket, &self.record(session), kept_for).await
            }
            _ => Ok(true),
        }
    }

    /// Removes the record of a ticket, if there is one.
    ///
    /// # Errors
    /// Redis does not answer.
    pub(crate) async fn remove(&self, ticket: Option<&Ticket>) -> Result<(), Outage> {
        match (&self.records, ticket) {
            (Some(records), Some(ticket)) => records.delete(ticket).await,
            _ => Ok(()),
        }
    }

    /// The right to refresh the session of `ticket`, waited for until `deadline`; `None` if somebody held it all the time,
    /// or if there is no store to agree through.
    ///
    /// # Errors
    /// Redis does not answer.
    pub(crate) async fn lease(
        &self,
        ticket: Option<&Ticket>,
        deadline: tokio::time::Instant,
    ) -> Result<Option<Lease>, Outage> {
        match (&self.records, ticket) {
            (Some(records), Some(ticket)) => {
                Lease::acquire(records.links(), ticket.id(), deadline).await
            }
            _ => Ok(None),
        }
    }

    /// This session or its ticket as its cookie holds it.
    pub(crate) fn seal(&self, session: &Session, ticket: Option<&Ticket>) -> String {
        match ticket {
            Some(ticket) => {
                let mut ticket = ticket.clone();
                ticket.bind(session);
                let bytes = ticket.to_bytes(self.needs.format());
                self.ring.seal(Purpose::Ticket, self.cookie.name(), &bytes)
            }
            None => self.ring.seal(Purpose::Session, self.cookie.name(), &self.record(session)),
        }
    }

    /// The ticket that a request carries, if sessions are in Redis.
    pub(crate) fn ticket(&self, cookies: &RequestCookies<'_>) -> Option<Ticket> {
        self.records.as_ref()?;
        self.cookie.value(cookies).and_then(|value| self.open_ticket(&value).ok())
    }

    /// The family of the session that a request carries, by its cookie alone.
    pub(crate) fn family(&self, cookies: &RequestCookies<'_>) -> Option<Family> {
        let value = self.cookie.value(cookies)?;
        if self.records.is_some() {
            return self.open_ticket(&value).ok().map(|ticket| Family(*ticket.number()));
        }
        self.open_session(&value).ok().and_then(|session| Family::of(&session))
    }

    /// Ends the session that a request carries: the lines that clear every part of its cookie, which are to be sent
    /// whatever became of the record, and whether the record is gone.
    pub(crate) async fn clear(
        &self,
        cookies: &RequestCookies<'_>,
        host: &str,
    ) -> (Vec<SetCookie>, Result<(), Outage>) {
        let ticket = self.ticket(cookies);
        let mut lines = self.cookie.clear(cookies, host);
        // A ticket is cleared unseen too, as by oauth2-proxy: it may be at another path than this request's.
        if self.records.is_some() && cookies.iter().all(|(name, _)| name != self.cookie.name()) {
            lines.push(self.cookie.clear_whole(host));
        }
        (lines, self.remove(ticket.as_ref()).await)
    }

    /// Whether the store answers. The cookie always does.
    ///
    /// # Errors
    /// Redis does not answer.
    pub(crate) async fn ready(&self) -> Result<(), Outage> {
        match &self.records {
            Some(records) => records.ready(self.cookie.name(), self.lifetime.refreshes()).await,
            None => Ok(()),
        }
    }

    /// A session as it is written: what the configuration and its own provider use of it.
    fn record(&self, session: &Session) -> session::Opened {
        let picked = self.needs.pick(session, self.uses(session));
        let bytes = session::encode(&picked, self.needs.format());
        self.size.look(&picked, bytes.len());
        bytes
    }

    /// What its own provider uses of a session; of one that none of these made, nothing, and it is not accepted either.
    fn uses(&self, session: &Session) -> Uses {
        voucher::maker(&self.providers, session).map(|voucher| voucher.uses).unwrap_or_default()
    }

    /// Whether what a session lacks can be had by a refresh.
    fn can_refresh(&self, session: &Session) -> bool {
        self.uses(session).can_refresh(session)
    }

    fn open_session(&self, value: &str) -> Result<Session, LoadError> {
        let bytes = self
            .ring
            .open(Purpose::Session, self.cookie.name(), value, MAX_VALUE)
            .map_err(Unfit::from)?;
        Ok(session::decode(&bytes).map_err(Unfit::from)?)
    }

    fn open_ticket(&self, value: &str) -> Result<Ticket, LoadError> {
        let bytes = self
            .ring
            .open(Purpose::Ticket, self.cookie.name(), value, Ticket::MAX_TEXT)
            .map_err(Unfit::from)?;
        Ok(Ticket::from_bytes(self.cookie.name(), &bytes).ok_or(Unfit::Ticket)?)
    }

    /// The place of the provider of a session that may be used.
    fn accept(&self, session: &Session, now: Timestamp) -> Result<usize, LoadError> {
        let provider = voucher::find(&self.providers, session)?;
        if let Some(ahead) = Lifetime::is_ahead_by(session, now) {
            return Err(Early(ahead.as_secs()).into());
        }
        if !self.lifetime.is_alive(session, now) {
            return Err(Unfit::Expired.into());
        }
        if self.needs.lacks(session) && !self.can_refresh(session) {
            return Err(Unfit::Lacking.into());
        }
        Ok(provider)
    }
}

#[cfg(test)]
pub(crate) mod tests;
