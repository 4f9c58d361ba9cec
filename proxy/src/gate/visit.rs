//! One request as the gate sees it: what is known of it, and what its answer must carry.

use super::authenticate;
use super::claimant::Claimant;
use super::refusal::Refusal;
use super::target;
use super::told::Trust;
use crate::entry::Entry;
use crate::peer::Peer;
use crate::policy::{self, Asks, Pass, Restrictions};
use crate::request_id::RequestId;
use crate::routing::NormalPath;
use crate::site::Site;
use crate::worker::Worker;
use http::header::ACCEPT;
use http::{HeaderValue, Request};
use http_body::Body as _;
use hyper::body::Incoming;
use jiff::Timestamp;
use std::sync::Arc;

/// A request being answered.
pub(crate) struct Visit<'a> {
    /// Who sends it, with its head.
    pub(super) from: Claimant<'a>,
    /// Until somebody takes it.
    pub(super) body: Option<Incoming>,
    /// How this request is remembered.
    pub(super) entry: Box<Entry>,
    /// In what form refusals are given.
    pub(crate) manner: Manner,
    /// Where pages lead back to; the target of a login.
    pub(super) target: String,
    /// The answer must not be kept by anybody.
    pub(crate) no_cache: bool,
}

/// The form of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// For people.
    Page,
    /// For programs that asked for it.
    Json,
    /// For proxies.
    Plain,
}

impl<'a> Visit<'a> {
    /// Looks at a request for the first time.
    pub(super) fn of(
        site: &'a Site,
        worker: &'a Arc<Worker>,
        peer: &'a Arc<Peer>,
        request: Request<Incoming>,
        now: Timestamp,
    ) -> Self {
        let entry = Entry::begin(worker, peer, &request, &site.log, now);
        let (head, body) = request.into_parts();
        let request_id = RequestId::of(&head.headers, &site.prepared.request_id_header);
        let from = Claimant {
            site,
            worker,
            peer,
            now,
            head,
            trust: Trust::of(&site.config.http, peer),
            request_id,
            set_cookies: Vec::new(),
        };
        let mut visit = Self {
            from,
            body: Some(body),
            entry,
            manner: Manner::Page,
            target: String::new(),
            no_cache: false,
        };
        visit.introduce();
        visit
    }

    /// Whether anything follows the head that nobody has taken.
    pub(super) fn has_body(&self) -> bool {
        self.body.as_ref().is_some_and(|body| !body.is_end_stream())
    }

    /// Whether refusals are to be JSON: by configuration, for an API route, or for who accepts exactly `application/json`.
    pub(super) fn wants_json(&self, path: &NormalPath) -> bool {
        let asks = |value: &HeaderValue| {
            let json = b"application/json";
            value
                .as_bytes()
                .split(|b| *b == b',')
                .any(|t| t.trim_ascii().eq_ignore_ascii_case(json))
        };
        self.from.site.config.access.force_json_errors
            || self.from.head.headers.get_all(ACCEPT).iter().any(asks)
            || self.from.site.policy.api_routes.contain(path)
    }

    /// Who it is and whether they may: the person, of whom the entry is told, judged by what is asked.
    ///
    /// # Errors
    /// They may not pass, or nobody knows.
    pub(super) async fn decide(
        &mut self,
        asks: Asks,
        restrictions: &Restrictions<'_>,
    ) -> Result<Pass, Refusal> {
        let person = authenticate::person(&mut self.from, asks).await?;
        if let Some(person) = &person {
            self.entry.set_user(person.shown.clone());
        }
        self.from.carry_out(policy::decide(person, asks, restrictions)).await
    }

    /// Decides in which form a proxied request is refused.
    pub(super) fn settle_manner(&mut self, path: &NormalPath) {
        self.manner = if self.wants_json(path) { Manner::Json } else { Manner::Page };
    }

    /// Tells the log who asks.
    fn introduce(&mut self) {
        self.entry.set_request_id(self.from.request_id.clone());
        if let Some(client) = self.from.shown_ip() {
            self.entry.set_client(client);
        }
        if self.from.trust == Trust::Nothing {
            return;
        }
        if let Ok(host) = HeaderValue::from_str(self.from.host()) {
            self.entry.set_host(host);
        }
    }

    /// Where a request over plain HTTP is sent, if only HTTPS is served (`--force-https`).
    pub(super) fn https_location(&self) -> Option<String> {
        if !self.from.site.config.http.force_https
            || self.from.is_https()
            || self.from.host().is_empty()
        {
            return None;
        }
        let (host, port) = match self.from.host().rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, secure_port(self.from.site))
            }
            _ => (self.from.host(), None),
        };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!(
            "https://{host}{port}{}",
            self.from.head.uri.path_and_query().map_or("/", |target| target.as_str())
        ))
    }

    /// What the sign-in page says.
    pub(crate) fn banner(&self) -> &str {
        &self.from.site.prepared.banner
    }

    /// What its button says.
    pub(crate) fn provider_name(&self) -> &str {
        self.from.site.providers.standard().name()
    }

    /// Works out where a login leads back to; `asked` is what the parameters ask for, the best first.
    pub(super) fn aim(&mut self, path: &NormalPath, asked: &[Option<&str>]) {
        self.target = target::of(&self.from, path, asked);
    }

    /// The target, unless it is the sign-in page itself.
    pub(crate) fn shown_target(&self) -> &str {
        let sign_in = |target: &str| {
            target
                .strip_prefix(self.from.site.config.http.proxy_prefix.as_str())
                .is_some_and(|rest| rest == "/sign_in")
        };
        if self.target.is_empty() || sign_in(&self.target) { "/" } else { &self.target }
    }
}

/// The port of the TLS listener, unless that is the usual one.
fn secure_port(site: &Site) -> Option<u16> {
    match site.config.listeners.https.as_ref()?.address {
        proxy_config::Address::Tcp { host: _, port } => Some(port).filter(|port| *port != 443),
        proxy_config::Address::Unix(_) => None,
    }
}
