//! When a session ends and when it is to be refreshed. Pure arithmetic on its times.
//!
//! - It ends `lifetime` after the login or its last refresh; never, for a lifetime of zero.
//! - It ends `absolute` after the login, whatever was refreshed; never, for zero. Ends are computed and not stored, so that
//!   a reload that changes these times changes them for the sessions that are there.
//! - With refreshing on, it is due once it is older than `refresh`. Until then it is used as it is, whatever became of its
//!   access token.
//! - With refreshing on and no refresh token it can not be renewed, so once it is due it ends with its access token.
//! - With refreshing off, the access token's expiry means nothing.

use super::Session;
use jiff::{SignedDuration, Timestamp};

/// A session from further in the future than this is not believed: clocks of two processes differ, but not by more.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The times configured for sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    since_refresh: Option<SignedDuration>,
    absolute: Option<SignedDuration>,
    refresh: Option<SignedDuration>,
    /// How long a session that is due may go on without a refresh.
    grace: SignedDuration,
}

impl Lifetime {
    /// From the configuration, where zero means never.
    pub(crate) fn new(config: &proxy_config::Session) -> Self {
        let positive = |value: proxy_config::Duration| {
            (!value.is_zero())
                .then(|| SignedDuration::try_from(value.get()).unwrap_or(SignedDuration::MAX))
        };
        Self {
            since_refresh: positive(config.lifetime),
            absolute: positive(config.absolute),
            refresh: positive(config.refresh),
            grace: positive(config.refresh_grace).unwrap_or(SignedDuration::ZERO),
        }
    }

    /// The instant from which the session is no longer one; `None`: never.
    pub(crate) fn ends_at(&self, session: &Session) -> Option<Timestamp> {
        let by_age = self.since_refresh.map(|lifetime| after(session.created_at, lifetime));
        let since_login = self.absolute.map(|absolute| after(session.login.at, absolute));
        let due = self.refresh_due_at(session).filter(|_| session.refresh_token.is_none());
        let by_token = due.and_then(|due| session.expires_at.map(|expiry| expiry.max(due)));
        by_age.into_iter().chain(since_login).chain(by_token).min()
    }

    /// The instant after which the session is to be refreshed; `None`: never.
    pub(crate) fn refresh_due_at(&self, session: &Session) -> Option<Timestamp> {
        self.refresh.map(|refresh| after(session.created_at, refresh))
    }

    /// Whether sessions are refreshed at all.
    pub(crate) fn refreshes(&self) -> bool {
        self.refresh.is_some()
    }

    /// By how much the session comes from further in the future than is believed.
    pub(crate) fn is_ahead_by(session: &Session, now: Timestamp) -> Option<SignedDuration> {
        let ahead = session.created_at.max(session.login.at).duration_since(now);
        (ahead > CLOCK_SKEW).then_some(ahead)
    }

    /// Whether the session may be used.
    pub(crate) fn is_alive(&self, session: &Session, now: Timestamp) -> bool {
        Self::is_ahead_by(session, now).is_none()
            && self.ends_at(session).is_none_or(|end| now < end)
    }

    /// Whether the session should be refreshed before it is used.
    pub(crate) fn is_refresh_due(&self, session: &Session, now: Timestamp) -> bool {
        self.refresh_due_at(session).is_some_and(|due| now > due)
    }

    /// Whether it went so long without a refresh that it may not be used without one.
    pub(crate) fn is_overdue(&self, session: &Session, now: Timestamp) -> bool {
        self.refresh_due_at(session).is_some_and(|due| now > after(due, self.grace))
    }

    /// Time that a store should keep a session that is written `now`; `None`: for ever.
    pub(crate) fn kept_for(&self, session: &Session, now: Timestamp) -> Option<SignedDuration> {
        // One that has ended meanwhile is kept no longer, and not for ever.
        let left = |absolute| {
            after(session.login.at, absolute).duration_since(now).max(SignedDuration::ZERO)
        };
        self.since_refresh.into_iter().chain(self.absolute.map(left)).min()
    }
}

fn after(start: Timestamp, by: SignedDuration) -> Timestamp {
    start.checked_add(by).unwrap_or(Timestamp::MAX)
}
