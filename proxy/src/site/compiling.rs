//! The parts of a site that need secrets or live on from the one before: keys, store, certificate, providers.

use super::{Context, Providers, Site, Tls};
use crate::oidc::{self, ClientSettings};
use crate::secrets::{SecretText, Secrets};
use crate::session::{KeyRing, KeyRingError, Needs, claims_named};
use crate::store::{self, SettingsError, Store};
use proxy_config::{Config, Problems};
use std::sync::Arc;

/// One compilation under way.
pub(super) struct Compiling<'a> {
    config: &'a Config,
    context: &'a Context,
    previous: Option<&'a Site>,
    /// What was found to be wrong, beside [`Config::problems`].
    pub(super) found: Problems,
}

impl<'a> Compiling<'a> {
    pub(super) fn new(
        config: &'a Config,
        context: &'a Context,
        previous: Option<&'a Site>,
    ) -> Self {
        Self { config, context, previous, found: Problems::default() }
    }

    pub(super) fn tls(&mut self, key: Option<SecretText>) -> Option<Tls> {
        let listener = self.config.listeners.https.as_ref()?;
        Tls::compile(
            listener,
            key,
            self.previous.and_then(|site| site.tls.as_ref()),
            &mut self.found,
        )
    }

    pub(super) fn ring(&mut self, secrets: &Secrets) -> Option<Arc<KeyRing>> {
        match KeyRing::new(&secrets.session_keys) {
            Ok(ring) => Some(Arc::new(ring.counted(&self.context.registry))),
            // Missing and unreadable keys are noted where they were read.
            Err(KeyRingError::Empty) => None,
            Err(KeyRingError::Short { index, length }) => {
                let message = format!(
                    "the secret has {length} bytes: at least {} are needed",
                    KeyRing::MIN_SECRET
                );
                self.found.add(format!("session.keys[{index}]"), message);
                None
            }
        }
    }

    pub(super) fn store(&mut self, ring: &Arc<KeyRing>, secrets: Secrets) -> Option<Arc<Store>> {
        if secrets.redis_url.as_ref().is_some_and(|url| url.contains(['?', '#'])) {
            let message = "options behind ? in the URL are not supported: leave them out";
            self.found.add("session.store.redis.url", message);
        }
        let voucher = |provider| store::Voucher::of(provider, oidc::uses(provider, self.config));
        let parts = store::Parts {
            ring: Arc::clone(ring),
            providers: self.config.providers.iter().map(voucher).collect(),
            needs: Needs::of(self.config),
            redis_url: secrets.redis_url,
            redis_password: secrets.redis_password,
            previous: self.previous.map(|site| &*site.store),
        };
        match Store::compile(&self.config.session, parts) {
            Ok(store) => Some(Arc::new(store)),
            Err(error) => {
                let field = match error {
                    SettingsError::NoUrl | SettingsError::Url(_) => "session.store.redis.url",
                    SettingsError::CaFile(_) => "session.store.redis.caFile",
                };
                self.found.add(field, error.to_string());
                None
            }
        }
    }

    /// If nothing is wrong, the providers: those in force whose settings are the same, and new ones. `problems` are those of
    /// the configuration itself.
    ///
    /// # Errors
    /// Everything that is wrong; of one field only what was said first.
    pub(super) fn finish(
        self,
        providers: Vec<proxy_config::Provider>,
        mut problems: Problems,
    ) -> Result<Providers, Problems> {
        // An empty path is said to be one, and then can not be read.
        let known: Vec<_> = problems.0.iter().map(|problem| problem.field.clone()).collect();
        problems
            .0
            .extend(self.found.0.into_iter().filter(|problem| !known.contains(&problem.field)));
        if !problems.0.is_empty() {
            return Err(problems);
        }
        let among_others = providers.len() > 1;
        let groups_required = !self.config.access.allowed_groups.is_empty();
        let claims = claims_named(self.config);
        let settings = |config| ClientSettings {
            config,
            groups_required,
            among_others,
            claims: claims.clone(),
        };
        let settings = providers.into_iter().map(settings).collect();
        let previous = self.previous.map(|site| &site.providers);
        // That there is one was asked for above.
        Providers::start(settings, self.context, previous).ok_or(problems)
    }
}
