//! One request as the gate sees it: what is known of it, and what its answer must carry.

use super::claimant::Claimant;
use super::refusal::Refusal;
use super::target;
use super::told::{self, Trust};
use crate::cookie::{RequestCookies, SetCookie};
use crate::entry::Entry;
use crate::metrics::Event;
use crate::peer::Peer;
use crate::policy::Person;
use crate::request_id::RequestId;
use crate::routing::NormalPath;
use crate::site::Site;
use crate::telemetry::AUTH;
use crate::worker::Worker;
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderValue, Request};
use http_body::Body as _;
use hyper::body::Incoming;
use jiff::Timestamp;
use std::sync::Arc;

/// A request being answered.
pub(crate) struct Visit<'a> {
    pub(crate) site: &'a Site,
    pub(super) worker: &'a Arc<Worker>,
    pub(super) peer: &'a Arc<Peer>,
    pub(super) head: Parts,
    /// Until somebody takes it.
    pub(super) body: Option<Incoming>,
    /// How this request is remembered.
    pub(super) entry: Box<Entry>,
    pub(super) now: Timestamp,
    pub(super) trust: Trust,
    pub(crate) request_id: RequestId,
    /// In what form refusals are given.
    pub(crate) manner: Manner,
    /// Where pages lead back to; the target of a login.
    pub(super) target: String,
    /// Go out with the answer, whatever it is.
    pub(crate) set_cookies: Vec<SetCookie>,
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
        let mut visit = Self {
            site,
            worker,
            peer,
            now,
            trust: Trust::of(&site.config.http, peer),
            request_id,
            manner: Manner::Page,
            target: String::new(),
            set_cookies: Vec::new(),
            no_cache: false,
            head,
            body: Some(body),
            entry,
        };
        visit.introduce();
        visit
    }

    /// Whether anything follows the head that nobody has taken.
    pub(super) fn has_body(&self) -> bool {
        self.body.as_ref().is_some_and(|body| !body.is_end_stream())
    }

    /// The cookies of the request.
    pub(super) fn cookies(&self) -> RequestCookies<'_> {
        RequestCookies::of(&self.head.headers)
    }

    /// The host that the client asked for.
    pub(super) fn host(&self) -> &str {
        told::host(&self.head.headers, self.trust)
    }

    /// Whether the client speaks HTTPS, with us or with a proxy in front.
    pub(super) fn is_https(&self) -> bool {
        match told::scheme(&self.head.headers, self.trust) {
            Some(scheme) => scheme.eq_ignore_ascii_case("https"),
            None => self.peer.tls,
        }
    }

    /// Whether a page of another site asks for this without being left: an image, a frame, a script. A link and a form leave it.
    pub(super) fn is_embedded_elsewhere(&self) -> bool {
        let headers = &self.head.headers;
        let elsewhere =
            headers.get_all("sec-fetch-site").iter().any(|site| site.as_bytes() == b"cross-site");
        elsewhere && told::once(headers, "sec-fetch-dest").is_none_or(|dest| dest != "document")
    }

    /// Whether refusals are to be JSON (`reference/endpoints.md` section 14).
    pub(super) fn wants_json(&self, path: &NormalPath) -> bool {
        let asks = |value: &HeaderValue| {
            let json = b"application/json";
            value
                .as_bytes()
                .split(|b| *b == b',')
                .any(|t| t.trim_ascii().eq_ignore_ascii_case(json))
        };
        self.site.config.access.force_json_errors
            || self.head.headers.get_all(ACCEPT).iter().any(asks)
            || self.site.policy.api_routes.contain(path)
    }

    /// Decides in which form a proxied request is refused.
    pub(super) fn settle_manner(&mut self, path: &NormalPath) {
        self.manner = if self.wants_json(path) { Manner::Json } else { Manner::Page };
    }

    /// Tells the log who asks.
    fn introduce(&mut self) {
        self.entry.set_request_id(self.request_id.clone());
        if let Some(client) = self.claimant().shown_ip() {
            self.entry.set_client(client);
        }
        if self.trust == Trust::Nothing {
            return;
        }
        if let Ok(host) = HeaderValue::from_str(self.host()) {
            self.entry.set_host(host);
        }
    }

    /// Where a request over plain HTTP is sent, if only HTTPS is served (`reference/endpoints.md` section 6).
    pub(super) fn https_location(&self) -> Option<String> {
        if !self.site.config.http.force_https || self.is_https() || self.host().is_empty() {
            return None;
        }
        let (host, port) = match self.host().rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, secure_port(self.site))
            }
            _ => (self.host(), None),
        };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!(
            "https://{host}{port}{}",
            self.head.uri.path_and_query().map_or("/", |target| target.as_str())
        ))
    }

    /// Ends the session that the request carries, here at once and for whoever has it in renewal. The cookies are cleared
    /// whatever becomes of the record.
    ///
    /// # Errors
    /// The store did not remove the record. It is tried again, until the store does.
    pub(super) async fn clear_session(&mut self) -> Result<(), Refusal> {
        if let Some(family) = self.site.store.family(&self.cookies()) {
            self.site.context.refresher.signed_out().add(family);
        }
        let removed = self.drop_session().await;
        if removed.is_err()
            && let Some(ticket) = self.site.store.ticket(&self.cookies())
        {
            self.site.context.refresher.remove_later(&self.site.store, ticket);
        }
        removed
    }

    /// Takes the session from the browser and out of the store.
    async fn drop_session(&mut self) -> Result<(), Refusal> {
        let (lines, removed) = self.site.store.clear(&self.cookies(), self.host()).await;
        self.set_cookies.extend(lines);
        removed.map_err(|error| Refusal::NoStore(error.to_string()))
    }

    /// Refuses somebody who may not pass, and takes their session so that they can sign in as somebody else. It is not
    /// remembered as ended: every request is judged anew, and the rules may change in their favour. Where they have just
    /// changed, they may do so in a moment, and the session stays.
    pub(super) async fn deny(&mut self, person: &Person) -> Refusal {
        self.log_failure(person.identity.shown(), person.verdict.reason());
        self.worker.shard.count(Event::AccessDenied);
        if self.site.policy.has_settled(self.now)
            && let Err(refusal) = self.drop_session().await
        {
            tracing::warn!(%refusal, "the session of somebody who may not pass stays until it expires");
        }
        Refusal::Denied(person.verdict)
    }

    /// Its sender.
    pub(super) fn claimant(&self) -> Claimant<'_> {
        Claimant {
            site: self.site,
            worker: self.worker,
            peer: self.peer,
            now: self.now,
            headers: &self.head.headers,
            trust: self.trust,
            request_id: &self.request_id,
            set_cookies: Vec::new(),
        }
    }

    /// Notes in the authentication log that somebody has signed in.
    pub(super) fn log_success(&self, user: &str, message: &str) {
        let (client, request_id) = self.claimant().log_fields();
        tracing::info!(target: AUTH, client, request_id, user, status = "AuthSuccess", "{message}");
    }

    /// Notes in the authentication log that somebody was refused.
    pub(super) fn log_failure(&self, user: &str, message: &str) {
        let (client, request_id) = self.claimant().log_fields();
        tracing::info!(target: AUTH, client, request_id, user, status = "AuthFailure", "{message}");
    }

    /// What the sign-in page says.
    pub(crate) fn banner(&self) -> &str {
        &self.site.prepared.banner
    }

    /// What its button says.
    pub(crate) fn provider_name(&self) -> &str {
        self.site.providers.standard().name()
    }

    /// Works out where a login leads back to; `asked` is what the parameters ask for, the best first.
    pub(super) fn aim(&mut self, path: &NormalPath, asked: &[Option<&str>]) {
        self.target = target::of(self, path, asked);
    }

    /// The target, unless it is the sign-in page itself.
    pub(crate) fn shown_target(&self) -> &str {
        let sign_in = |target: &str| {
            target
                .strip_prefix(self.site.config.http.proxy_prefix.as_str())
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
