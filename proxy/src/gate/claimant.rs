//! Whoever sends a request, as far as it matters who that is: what they show, whether that is enough, and what they are to be
//! given. It knows nothing of what answers the request, so a gateway that tells of one can be answered from the same code.

use super::refusal::Refusal;
use super::told::{self, Trust};
use crate::cookie::{RequestCookies, SetCookie};
use crate::metrics::Event;
use crate::peer::Peer;
use crate::policy::{Decision, Pass, Person};
use crate::request_id::RequestId;
use crate::site::Site;
use crate::telemetry::{AUTH, Sparing};
use crate::worker::Worker;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// Somebody who may turn out to be a person.
pub(super) struct Claimant<'a> {
    pub(super) site: &'a Site,
    pub(super) worker: &'a Arc<Worker>,
    pub(super) peer: &'a Arc<Peer>,
    pub(super) now: Timestamp,
    /// The request's.
    pub(super) head: Parts,
    pub(super) trust: Trust,
    pub(super) request_id: RequestId,
    /// Go out with the answer, whatever it is.
    pub(super) set_cookies: Vec<SetCookie>,
}

impl Claimant<'_> {
    /// The cookies that they show.
    pub(super) fn cookies(&self) -> RequestCookies<'_> {
        RequestCookies::of(&self.head.headers)
    }

    /// The lines of `Authorization` that they show.
    pub(super) fn authorization(&self) -> impl Iterator<Item = &HeaderValue> {
        let lines = self.head.headers.iter().filter(|(name, _)| **name == AUTHORIZATION);
        lines.map(|(_, value)| value)
    }

    /// The host that they asked for.
    pub(super) fn host(&self) -> &str {
        told::host(&self.head.headers, self.trust)
    }

    /// Whether they speak HTTPS, with us or with a proxy in front.
    pub(super) fn is_https(&self) -> bool {
        match told::scheme(&self.head.headers, self.trust) {
            Some(scheme) => scheme.eq_ignore_ascii_case("https"),
            None => self.peer.tls,
        }
    }

    /// Their address as far as decisions may use it.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        told::client_ip(&self.site.config.http, self.peer, &self.head.headers, self.trust)
    }

    /// Their address for the log.
    pub(super) fn shown_ip(&self) -> Option<IpAddr> {
        told::shown_ip(&self.site.config.http, self.peer, &self.head.headers, self.trust)
    }

    /// Whether a page of another site asks for this without being left: an image, a frame, a script. A link and a form leave it.
    pub(super) fn is_embedded_elsewhere(&self) -> bool {
        let headers = &self.head.headers;
        let elsewhere =
            headers.get_all("sec-fetch-site").iter().any(|site| site.as_bytes() == b"cross-site");
        elsewhere && told::once(headers, "sec-fetch-dest").is_none_or(|dest| dest != "document")
    }

    /// What a decision means for them. This is the one place where one becomes a refusal.
    ///
    /// # Errors
    /// They may not pass.
    pub(super) async fn carry_out(&mut self, decision: Decision) -> Result<Pass, Refusal> {
        match decision {
            Decision::Pass(pass) => Ok(pass),
            Decision::LogIn => Err(Refusal::SignIn),
            // Boxed, because it is rare, and every request's future would have room for it.
            Decision::Deny(person) => Err(Box::pin(self.deny(&person)).await),
            Decision::Restrict => Err(Refusal::Restricted),
        }
    }

    /// Refuses somebody who may not pass, and takes their session so that they can sign in as somebody else. It is not
    /// remembered as ended: every request is judged anew, and the rules may change in their favour. Where they have just
    /// changed, they may do so in a moment, and the session stays.
    async fn deny(&mut self, person: &Person) -> Refusal {
        self.log_failure(person.identity.shown(), person.verdict.reason());
        self.worker.shard.count(Event::AccessDenied);
        if self.site.policy.has_settled(self.now)
            && let Err(refusal) = self.drop_session().await
        {
            tracing::warn!(%refusal, "the session of somebody who may not pass stays until it expires");
        }
        Refusal::Denied(person.verdict)
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
        removed.map_err(Refusal::NoStore)
    }

    /// Clears the cookie that turned out to be of no use.
    pub(super) fn forget_session(&mut self) {
        let lines = self.site.store.cookie().clear(&self.cookies(), self.host());
        self.set_cookies.extend(lines);
    }

    /// Notes in the authentication log that somebody has signed in.
    pub(super) fn log_success(&self, user: &str, message: &str) {
        let (client, request_id) = self.log_fields();
        tracing::info!(target: AUTH, client, request_id, user, status = "AuthSuccess", "{message}");
    }

    /// Notes in the authentication log that somebody was refused.
    pub(super) fn log_failure(&self, user: &str, message: &str) {
        let (client, request_id) = self.log_fields();
        tracing::info!(target: AUTH, client, request_id, user, status = "AuthFailure", "{message}");
    }

    /// Notes in the standard log what came of a request. The authentication log is for those who count and ban: it has
    /// what oauth2-proxy writes there, and nothing else.
    pub(super) fn note(&self, user: &str, message: &str) {
        let (client, request_id) = self.log_fields();
        tracing::info!(client, request_id, user, "{message}");
    }

    /// The same for what anybody can cause with every request: one line a second for each `place` and worker.
    pub(super) fn note_sparingly(&self, place: &Sparing, message: &str) {
        let Some(left_out) = place.admit() else { return };
        let (client, request_id) = self.log_fields();
        let left_out = (left_out > 0).then_some(left_out);
        tracing::info!(client, request_id, left_out, "{message}");
    }

    /// What each line of a log says of them: address and request.
    fn log_fields(&self) -> (String, String) {
        let shown = self.shown_ip().map(|ip| ip.to_string());
        let client = shown.or_else(|| self.peer.address.map(|address| address.to_string()));
        (client.unwrap_or_else(|| "@".to_owned()), self.request_id.to_string())
    }
}
