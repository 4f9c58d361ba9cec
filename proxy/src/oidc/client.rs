//! A client that is registered at an issuer: who it is there, what it asks for, and how its calls went.

mod calls;
mod credentials;
mod turns;

pub(super) use credentials::{Credentials, Ring};
pub(crate) use turns::Network;

use super::discovery::Metadata;
use super::http::Http;
use super::issuer::{self, Live};
use super::login_parameters::LoginParameters;
use super::outcome::Outcomes;
use super::token::{self, TokenError};
use super::verify::Audience;
use crate::clock::Clock;
use calls::Calls;
pub(super) use calls::TOO_MANY;
use proxy_config::{PkceMethod, Provider as Config};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use url::Url;

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// What a client is started with; with the same it goes on across reloads.
#[derive(Clone, PartialEq)]
pub(crate) struct ClientSettings {
    /// The configuration, with secrets by value: a file that is emptied later changes nothing until a reload finds it good.
    pub(crate) config: Config,
    /// Some group is needed to pass, so the default scope asks for groups.
    pub(crate) groups_required: bool,
    /// There are other providers, with which this one's responses could be mixed up.
    pub(crate) among_others: bool,
    /// Names of the claims that are looked for, beside those of the identity.
    pub(crate) claims: Vec<String>,
}

/// What the calls of a client share.
pub(super) struct Client {
    pub(super) config: Config,
    pub(super) groups_required: bool,
    pub(super) among_others: bool,
    /// Names of the claims that are captured.
    pub(super) claims: Vec<String>,
    pub(super) issuer: Arc<Live>,
    /// The issuer's, so that connections are shared. What needs no more than a URL goes by it.
    pub(super) http: Arc<Http>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) login_parameters: LoginParameters,
    pub(super) ring: Ring,
    /// The way of client authentication that was found to work; providers have it for each client.
    learnt: token::Learnt,
    pub(super) outcomes: Outcomes,
    /// No two clients of this process have the same.
    pub(super) serial: u64,
    pub(super) calls: Calls,
}

impl Client {
    /// A client of `issuer`, which must be the one of its settings. `known` are others that there are.
    pub(super) fn new<'a>(
        settings: ClientSettings,
        issuer: Arc<Live>,
        mut known: impl Iterator<Item = &'a Self>,
    ) -> Self {
        let ClientSettings { config, groups_required, among_others, claims } = settings;
        let same = known.find(|client| {
            client.config.client_id == config.client_id && Arc::ptr_eq(&client.issuer, &issuer)
        });
        Self {
            learnt: same.map(|client| client.learnt.clone()).unwrap_or_default(),
            outcomes: Outcomes::default(),
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            calls: Calls::default(),
            groups_required,
            among_others,
            claims,
            ring: Ring::of(&config),
            login_parameters: LoginParameters::compile(&config.login_parameters),
            http: Arc::clone(&issuer.http),
            clock: Arc::clone(&issuer.clock),
            issuer,
            config,
        }
    }

    /// Whether it was made from these.
    pub(super) fn has(&self, settings: &ClientSettings) -> bool {
        let ClientSettings { config, groups_required, among_others, claims } = settings;
        self.config == *config
            && self.groups_required == *groups_required
            && self.among_others == *among_others
            && self.claims == *claims
    }

    /// Whose tokens are accepted.
    pub(super) fn trusts(&self) -> &issuer::IssuerSettings {
        &self.issuer.settings
    }

    /// For whom a token must be that somebody brings.
    pub(super) fn bearer_audience(&self) -> Audience<'_> {
        let clients = self.ring.iter().map(|credentials| credentials.id.as_str()).collect();
        Audience { clients, claims: &self.config.claims }
    }

    /// As it was when its credentials were of this generation.
    pub(super) fn acting(&self, generation: u32) -> Acting<'_> {
        Acting { client: self, credentials: self.ring.of_generation(generation) }
    }

    /// As configured, else the best that the provider offers.
    pub(super) fn pkce(&self, metadata: &Metadata) -> PkceMethod {
        self.config.code_challenge_method.unwrap_or(metadata.pkce)
    }

    /// Passes on what the token endpoint answered, and takes note of it.
    pub(super) fn noted<T>(&self, result: Result<T, TokenError>) -> Result<T, TokenError> {
        self.outcomes.token(self.clock.now(), result.as_ref().err());
        if result.as_ref().is_err_and(|error| error.is_outage() || error.is_elsewhere()) {
            self.issuer.suspect_change();
        }
        result
    }
}

/// A client under the credentials that something was begun with.
#[derive(Clone, Copy)]
pub(super) struct Acting<'a> {
    client: &'a Client,
    pub(super) credentials: &'a Credentials,
}

impl Deref for Acting<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
    }
}

impl<'a> Acting<'a> {
    /// For whom a token must be that was asked for so.
    pub(super) fn audience(&self) -> Audience<'a> {
        let claims = &self.client.config.claims;
        Audience { clients: vec![&self.credentials.id], claims }
    }

    /// The token endpoint at `url`, where the provider lists these `methods` of client authentication, if any.
    pub(super) fn token_endpoint(
        &self,
        url: &'a Url,
        methods: Option<&'a [String]>,
    ) -> token::TokenEndpoint<'a> {
        let Client { config, ring, http, learnt, .. } = self.client;
        let credentials = self.credentials;
        token::TokenEndpoint { config, ring, credentials, url, methods, http, learnt }
    }
}
