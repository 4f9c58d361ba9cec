//! A client that is registered at an issuer: who it is there, what it asks for, and how its calls went.

mod calls;

use super::discovery::Metadata;
use super::issuer::{Live, Settings};
use super::login_parameters::LoginParameters;
use super::outcome::Outcomes;
use super::token::{self, TokenError, Tokens};
use super::verify::Audience;
use calls::Calls;
use proxy_config::{PkceMethod, Provider as Config};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// What the calls of a client share.
pub(super) struct Client {
    pub(super) config: Config,
    pub(super) issuer: Arc<Live>,
    /// Some group is needed to pass, so the default scope asks for groups.
    pub(super) groups_required: bool,
    pub(super) login_parameters: Arc<LoginParameters>,
    /// The way of client authentication that was found to work; providers have it for each client.
    learnt: token::Learnt,
    pub(super) outcomes: Outcomes,
    /// No two clients of this process have the same.
    pub(super) serial: u64,
    pub(super) calls: Calls,
}

impl Client {
    /// A client of `issuer`, which must have the settings of `config`. `previous` is the one in force.
    pub(super) fn new(
        config: Config,
        groups_required: bool,
        issuer: Arc<Live>,
        previous: Option<&Self>,
    ) -> Self {
        let previous = previous.filter(|previous| {
            previous.config.client_id == config.client_id
                && previous.issuer.settings == issuer.settings
        });
        Self {
            learnt: previous.map(|client| client.learnt.clone()).unwrap_or_default(),
            outcomes: Outcomes::default(),
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            calls: Calls::default(),
            groups_required,
            login_parameters: Arc::new(LoginParameters::compile(&config.login_parameters)),
            issuer,
            config,
        }
    }

    /// Whose tokens are accepted.
    pub(super) fn trusts(&self) -> &Settings {
        &self.issuer.settings
    }

    /// For whom a token must be.
    pub(super) fn audience(&self) -> Audience<'_> {
        Audience { client: &self.config.client_id, claims: &self.config.claims }
    }

    /// As configured, else the best that the provider offers.
    pub(super) fn pkce(&self, metadata: &Metadata) -> PkceMethod {
        self.config.code_challenge_method.unwrap_or(metadata.pkce)
    }

    /// The token endpoint.
    pub(super) fn token_endpoint<'a>(&'a self, metadata: &'a Metadata) -> token::Endpoint<'a> {
        token::Endpoint {
            config: &self.config,
            metadata,
            http: &self.issuer.http,
            learnt: &self.learnt,
        }
    }

    /// Passes on what the token endpoint answered, and takes note of it.
    pub(super) fn noted(&self, result: Result<Tokens, TokenError>) -> Result<Tokens, TokenError> {
        self.outcomes.token(self.issuer.clock.now(), result.as_ref().err());
        if result.as_ref().is_err_and(TokenError::is_outage) {
            self.issuer.suspect_change();
        }
        result
    }
}
