//! Session records in Redis: one key per session, sealed under its ticket's secret, kept as long as a session may live.

mod endpoint;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod guard;
mod links;
mod readiness;
mod settings;

pub(crate) use links::Links;
pub(crate) use settings::{RedisSettings, SettingsError};

use super::{LoadError, Outage, StoreError, Ticket, Unfit};
use crate::session::{self, Opened, Session};
use jiff::SignedDuration;
use links::is_too_long;
use readiness::Readiness;
use redis::{Cmd, RedisError, cmd};
use std::sync::Arc;

/// Longest record that is read, in bytes. What is longer was not written by us, and is not even taken in.
const MAX_RECORD: usize = 1 << 20;

/// The records of one server.
pub(super) struct Records {
    settings: RedisSettings,
    links: Arc<Links>,
    readiness: Arc<Readiness>,
}

impl Records {
    /// Connects when first used; takes over the connections of `previous` if its settings are the same.
    pub(super) fn new(
        settings: RedisSettings,
        previous: Option<&Self>,
    ) -> Result<Self, SettingsError> {
        let (links, readiness) = match previous {
            Some(previous) if previous.settings == settings => {
                (Arc::clone(&previous.links), Arc::clone(&previous.readiness))
            }
            _ => (Arc::new(Links::new(settings.endpoint()?)), Arc::default()),
        };
        Ok(Self { settings, links, readiness })
    }

    pub(super) fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// The session of a ticket.
    pub(super) async fn read(&self, ticket: &Ticket) -> Result<Session, LoadError> {
        let command = cmd("GET").arg(ticket.id()).take();
        opened(ticket, self.links.run(&command).await)
    }

    /// Writes a new record.
    pub(super) async fn create(
        &self,
        ticket: &Ticket,
        record: &Opened,
        kept_for: Option<SignedDuration>,
    ) -> Result<(), StoreError> {
        let command = set(ticket, record, kept_for)?;
        Ok(self.links.run::<()>(&command).await.map_err(|error| unavailable(&error))?)
    }

    /// Writes over a record that is still there; `false` if it is not.
    pub(super) async fn replace(
        &self,
        ticket: &Ticket,
        record: &Opened,
        kept_for: Option<SignedDuration>,
    ) -> Result<bool, StoreError> {
        let command = set(ticket, record, kept_for)?.arg("XX").take();
        let reply: Option<String> =
            self.links.run(&command).await.map_err(|error| unavailable(&error))?;
        Ok(reply.is_some())
    }

    pub(super) async fn delete(&self, ticket: &Ticket) -> Result<(), Outage> {
        let command = cmd("DEL").arg(ticket.id()).take();
        self.links.run::<()>(&command).await.map_err(|error| unavailable(&error))
    }

    /// Whether records can be written, read and removed, and with `leases` also shared among processes.
    pub(super) async fn ready(&self, prefix: &str, leases: bool) -> Result<(), Outage> {
        self.readiness.check(&self.links, prefix, leases).await
    }
}

/// What the answer to a `GET` says.
fn opened(
    ticket: &Ticket,
    reply: Result<Option<Vec<u8>>, RedisError>,
) -> Result<Session, LoadError> {
    let bytes = match reply {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) if is_too_long(&error) => return Err(Unfit::LongRecord.into()),
        Err(error) if error.code() == Some("WRONGTYPE") => {
            return Err(Unfit::OtherRecord.into());
        }
        Err(error) => return Err(unavailable(&error).into()),
    };
    if bytes.is_empty() {
        return Err(Unfit::Gone.into());
    }
    let plain = session::open_record(ticket.secret(), ticket.id(), &bytes).map_err(Unfit::from)?;
    Ok(session::decode(&plain).map_err(Unfit::from)?)
}

/// What could not be read again is not written: the person would sign in once more and be no further.
fn set(
    ticket: &Ticket,
    record: &Opened,
    kept_for: Option<SignedDuration>,
) -> Result<Cmd, StoreError> {
    let sealed = session::seal_record(ticket.secret(), ticket.id(), record);
    if sealed.len() > MAX_RECORD {
        return Err(StoreError::TooLarge(sealed.len()));
    }
    let mut command = cmd("SET").arg(ticket.id()).arg(sealed).take();
    if let Some(time) = kept_for {
        command.arg("PX").arg(u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1));
    }
    Ok(command)
}

pub(super) fn unavailable(error: &RedisError) -> Outage {
    Outage::Redis(error.to_string())
}

#[cfg(test)]
mod tests;
