//! The parts of a site that need secrets or live on from the one before: keys, store, certificate, provider.

use super::{Context, Site, Tls};
use crate::oidc::Provider;
use crate::secrets::{SecretText, Secrets};
use crate::session::{KeyRing, KeyRingError, Needs};
use crate::store::{self, SettingsError, Store};
use proxy_config::{Config, Problems, Secret};
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
        let parts = store::Parts {
            ring: Arc::clone(ring),
            providers: self.config.providers.iter().map(store::Voucher::of).collect(),
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
                    SettingsError::CaFile { .. } | SettingsError::Certificates { .. } => {
                        "session.store.redis.caFile"
                    }
                };
                self.found.add(field, error.to_string());
                None
            }
        }
    }

    /// If nothing is wrong, the provider: the one in force if its settings are the same, or a new one.
    ///
    /// # Errors
    /// Everything that is wrong; of one field only what was said first.
    pub(super) fn finish(
        mut self,
        client_secret: Option<SecretText>,
    ) -> Result<(Arc<Provider>, ProviderSettings), Problems> {
        let mut problems = self.config.problems().err().unwrap_or_default();
        if let Some(provider) = self.config.providers.first() {
            Provider::check(provider, &mut self.found);
        }
        let known: Vec<_> = problems.0.iter().map(|problem| problem.field.clone()).collect();
        problems
            .0
            .extend(self.found.0.into_iter().filter(|problem| !known.contains(&problem.field)));
        let (Some(provider), []) = (self.config.providers.first(), &*problems.0) else {
            return Err(problems);
        };
        let settings = ProviderSettings {
            // By value: a file that is emptied later changes nothing until a reload finds it good.
            provider: proxy_config::Provider {
                client_secret: client_secret.map(Secret::Value),
                ..provider.clone()
            },
            groups_required: !self.config.access.allowed_groups.is_empty(),
        };
        if let Some(site) = self.previous.filter(|site| site.provider_settings == settings) {
            return Ok((Arc::clone(&site.provider), settings));
        }
        let Context { control, clock, refresher: _, registry: _ } = self.context;
        let provider = Provider::start(
            settings.provider.clone(),
            settings.groups_required,
            (control, Arc::clone(clock)),
            self.previous.map(|site| &*site.provider),
        );
        Ok((provider, settings))
    }
}

/// What a provider is started with; the same settings keep the same provider.
#[derive(PartialEq)]
pub(super) struct ProviderSettings {
    provider: proxy_config::Provider,
    groups_required: bool,
}
