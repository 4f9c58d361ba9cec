//! A session that was renewed, and the one sealed text in which all who waited for it give it to their browsers.

use crate::session::Session;
use crate::store::{Store, Ticket};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// See the module's text.
pub(super) struct Renewed {
    pub(super) session: Arc<Session>,
    /// By whom, because a later configuration may have other keys.
    sealed: Mutex<Option<(Weak<Store>, Arc<str>)>>,
}

impl Renewed {
    pub(super) fn new(session: Arc<Session>) -> Arc<Self> {
        Arc::new(Self { session, sealed: Mutex::default() })
    }

    /// Whether it was made after `other`, as far as a record tells.
    pub(super) fn is_newer(&self, other: &Session) -> bool {
        self.session.created_at.as_millisecond() > other.created_at.as_millisecond()
    }

    /// What a cookie of `store` holds of it. Sealing is not repeated: keys wear.
    pub(super) fn sealed(&self, store: &Arc<Store>, ticket: Option<&Ticket>) -> Arc<str> {
        let mut sealed = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((by, text)) = &*sealed
            && std::ptr::eq(by.as_ptr(), Arc::as_ptr(store))
        {
            return Arc::clone(text);
        }
        let text = Arc::<str>::from(store.seal(&self.session, ticket));
        *sealed = Some((Arc::downgrade(store), Arc::clone(&text)));
        text
    }
}
