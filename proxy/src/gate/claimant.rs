//! Whoever sends a request, as far as it matters who that is: what they show, and what they are to be given. It knows nothing of
//! what they ask for, so a gateway that tells of a request can be answered from the same code.

use super::told::{self, Trust};
use crate::cookie::{RequestCookies, SetCookie};
use crate::peer::Peer;
use crate::request_id::RequestId;
use crate::site::Site;
use crate::telemetry::Sparing;
use crate::worker::Worker;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use std::net::IpAddr;

/// Somebody who may turn out to be a person.
pub(super) struct Claimant<'a> {
    pub(super) site: &'a Site,
    pub(super) worker: &'a Worker,
    pub(super) peer: &'a Peer,
    pub(super) now: Timestamp,
    /// The request's.
    pub(super) headers: &'a HeaderMap,
    pub(super) trust: Trust,
    pub(super) request_id: &'a RequestId,
    /// Go out with the answer, whatever it is.
    pub(super) set_cookies: Vec<SetCookie>,
}

impl<'a> Claimant<'a> {
    /// The cookies that they show.
    pub(super) fn cookies(&self) -> RequestCookies<'a> {
        RequestCookies::of(self.headers)
    }

    /// The lines of `Authorization` that they show.
    pub(super) fn authorization(&self) -> impl Iterator<Item = &'a HeaderValue> + use<'a> {
        let lines = self.headers.iter().filter(|(name, _)| **name == AUTHORIZATION);
        lines.map(|(_, value)| value)
    }

    /// The host that they asked for.
    pub(super) fn host(&self) -> &'a str {
        told::host(self.headers, self.trust)
    }

    /// Their address for the log.
    pub(super) fn shown_ip(&self) -> Option<IpAddr> {
        told::shown_ip(&self.site.config.http, self.peer, self.headers, self.trust)
    }

    /// What each line of a log says of them: address and request.
    pub(super) fn log_fields(&self) -> (String, String) {
        let shown = self.shown_ip().map(|ip| ip.to_string());
        let client = shown.or_else(|| self.peer.address.map(|address| address.to_string()));
        (client.unwrap_or_else(|| "@".to_owned()), self.request_id.to_string())
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
}
