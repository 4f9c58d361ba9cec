//! The identity providers of a site. There is at least one, and each request finds the one that it is about: a session by the
//! store that read it, a login by its state, a bearer token by its issuer.

use super::Context;
use crate::oidc::{ClaimedIssuer, ClientSettings, LoginState, Provider};
use std::sync::Arc;

/// In the order of the configuration.
pub(crate) struct Providers {
    standard: Arc<Provider>,
    others: Vec<Arc<Provider>>,
}

impl Providers {
    /// Starts them, or takes over those of `previous` that are the same. What is known of an issuer is shared by all that are
    /// clients of it. `None`: there are none.
    pub(super) fn start(
        settings: Vec<ClientSettings>,
        context: &Context,
        previous: Option<&Self>,
    ) -> Option<Self> {
        let mut known: Vec<_> = previous.into_iter().flat_map(Self::iter).cloned().collect();
        let mut started = settings.into_iter().map(|settings| {
            let same = known.iter().find(|provider| provider.was_started_with(&settings)).cloned();
            let provider = same.unwrap_or_else(|| {
                let clock = Arc::clone(&context.clock);
                Provider::start(settings, (&context.control, clock), &known)
            });
            known.push(Arc::clone(&provider));
            provider
        });
        let standard = started.next()?;
        Some(Self { standard, others: started.collect() })
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        std::iter::once(&self.standard).chain(&self.others)
    }

    /// Where a login begins that names none.
    pub(crate) fn standard(&self) -> &Arc<Provider> {
        &self.standard
    }

    /// Where a login begins for which these issuers are named, all of them the same one in other words; with none named the
    /// standard one.
    pub(crate) fn of_issuers(&self, issuers: &[&str]) -> Option<&Arc<Provider>> {
        self.iter().find(|provider| issuers.iter().all(|issuer| provider.is_issuer(issuer)))
    }

    /// The one in this place of the configuration, of which a store says that it made a session.
    pub(crate) fn at(&self, place: usize) -> Option<&Arc<Provider>> {
        self.iter().nth(place)
    }

    /// The one at which a login was begun.
    pub(crate) fn of_login(&self, state: &LoginState) -> Option<&Arc<Provider>> {
        self.iter().find(|provider| provider.began(state))
    }

    /// Those that may have made a bearer token, going by what it says of itself: it is for each of them to verify it.
    pub(crate) fn of_bearer(&self, token: &str) -> impl Iterator<Item = &Arc<Provider>> {
        // One alone says why it refuses.
        let claimed = (!self.others.is_empty()).then(|| ClaimedIssuer::of(token));
        self.iter().filter(move |provider| {
            claimed.as_ref().is_none_or(|claimed| provider.may_have_made(claimed))
        })
    }

    /// Whether logins may work at one of them; see [`Provider::may_work`].
    pub(crate) async fn may_work(&self) -> bool {
        for provider in self.iter() {
            if provider.may_work().await {
                return true;
            }
        }
        false
    }
}
