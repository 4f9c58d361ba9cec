//! What a client says who it is with: its present credentials, and earlier ones, for what was begun with them. A code or a
//! refresh token belongs to a client id, so whoever was signed in under an old one is served under it to the end; secrets of
//! one id stand in for each other, because a provider that changes one does not do so when we do.

use proxy_config::{Provider as Config, Secret};
use std::sync::atomic::{AtomicUsize, Ordering};

const NONE: usize = usize::MAX;

/// Credentials of one generation.
pub(in crate::oidc) struct Credentials {
    /// What logins, sessions and tickets call them.
    pub(in crate::oidc) generation: u32,
    pub(in crate::oidc) id: String,
    /// None: a public client.
    pub(in crate::oidc) secret: Option<Secret>,
}

/// All that a client has.
pub(in crate::oidc) struct Ring {
    /// New logins are begun with these.
    newest: Credentials,
    /// The latest first.
    earlier: Vec<Credentials>,
    /// Place of those that worked last where others had been refused; [`NONE`]: that never was.
    working: AtomicUsize,
}

impl Ring {
    pub(super) fn of(config: &Config) -> Self {
        let earlier = config.previous_credentials.iter().map(|previous| Credentials {
            generation: previous.generation,
            id: previous.client_id.clone(),
            secret: previous.client_secret.clone(),
        });
        Self {
            newest: Credentials {
                generation: config.credentials_generation,
                id: config.client_id.clone(),
                secret: config.client_secret.clone(),
            },
            earlier: earlier.collect(),
            working: AtomicUsize::new(NONE),
        }
    }

    /// All of them, the latest first.
    pub(in crate::oidc) fn iter(&self) -> impl Iterator<Item = &Credentials> {
        std::iter::once(&self.newest).chain(&self.earlier)
    }

    /// Those for new logins.
    pub(in crate::oidc) fn newest(&self) -> &Credentials {
        &self.newest
    }

    /// Those of a generation, or the newest if they are gone.
    pub(in crate::oidc) fn of_generation(&self, generation: u32) -> &Credentials {
        self.iter().find(|found| found.generation == generation).unwrap_or(&self.newest)
    }

    /// The latest of the same client id: whatever was given to that id can go on under them.
    pub(in crate::oidc) fn latest_of<'a>(
        &'a self,
        credentials: &'a Credentials,
    ) -> &'a Credentials {
        self.iter().find(|found| found.id == credentials.id).unwrap_or(credentials)
    }

    /// With which to identify the client of `credentials`, in the order in which to try: what worked when it was last tried or
    /// these themselves, and then the others of the id.
    pub(in crate::oidc) fn ways<'a>(
        &'a self,
        credentials: &'a Credentials,
    ) -> (&'a Credentials, impl Iterator<Item = &'a Credentials>) {
        let same = |known: &&Credentials| known.id == credentials.id;
        let working = self.iter().nth(self.working.load(Ordering::Relaxed)).filter(same);
        let first = working.unwrap_or(credentials);
        let others = [credentials].into_iter().chain(self.iter().filter(same));
        let mut tried = vec![first.generation];
        let others = others.filter(move |other| {
            let fresh = !tried.contains(&other.generation);
            tried.push(other.generation);
            fresh
        });
        (first, others)
    }

    /// These worked where others had been refused.
    pub(in crate::oidc) fn worked(&self, credentials: &Credentials) {
        let place = self.iter().position(|known| known.generation == credentials.generation);
        self.working.store(place.unwrap_or(NONE), Ordering::Relaxed);
    }
}
