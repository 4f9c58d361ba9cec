//! Decisions on access: what a request asks of its sender, who may pass, where a person may be sent, and which headers speak
//! for somebody. Compiled once; pure and synchronous, so that whoever asks (a request, a proxy in front) gets the same answer.
//!
//! It knows no HTTP but methods and header values, and asks nobody anything. Typed rules belong here.

mod decision;
mod email;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod identity_headers;
mod person;
mod redirect;
mod requirement;
mod restrictions;
mod rules;
mod term;

pub(crate) use decision::{Asked, Decision, Pass, decide};
pub(crate) use identity_headers::{add_to, single};
pub(crate) use person::{Person, Verdict};
pub(crate) use redirect::{Whitelist, location};
pub(crate) use requirement::Asks;
pub(crate) use restrictions::Restrictions;
pub(crate) use term::Term;

use crate::identity::Identity;
use crate::routing::RouteTable;
use email::EmailRules;
use identity_headers::HeaderRules;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use proxy_config::{Config, Problems};
use rules::{ApiRoutes, PathRules};

/// How long rules on who may pass must have been in force before they cost somebody their session. A file that is being written,
/// or a slip that is being mended, refuses people meanwhile, and that is all.
const SETTLING: SignedDuration = SignedDuration::from_mins(1);

/// The rules of one configuration.
pub(crate) struct Policy {
    /// What requests ask of their sender.
    rules: PathRules,
    /// Which upstream answers which path, by place in the configuration.
    routes: RouteTable,
    /// Genuine pre-flights need none.
    skip_preflight: bool,
    /// Whoever is there needs none.
    trusted_clients: Vec<IpNet>,
    /// Paths without a login page.
    pub(crate) api_routes: ApiRoutes,
    /// Who may pass, by address.
    emails: EmailRules,
    /// Who may pass, by group; empty: everybody.
    groups: Vec<String>,
    /// When a reload last changed these two.
    changed: Option<Timestamp>,
    /// Where redirects may lead.
    pub(crate) whitelist: Whitelist,
    /// Headers for upstreams.
    request_headers: HeaderRules,
    /// Headers for answers.
    response_headers: HeaderRules,
}

impl Policy {
    /// Compiles the rules; what is wrong is noted.
    pub(crate) fn compile(config: &Config, problems: &mut Problems) -> Self {
        let access = &config.access;
        Self {
            rules: PathRules::compile("access.skipAuth", &access.skip_auth, problems),
            routes: RouteTable::compile(&config.upstreams, problems),
            skip_preflight: access.skip_auth_preflight,
            trusted_clients: access.trusted_ips.clone(),
            api_routes: ApiRoutes::compile("access.apiRoutes", &access.api_routes, problems),
            emails: EmailRules::compile(access, problems),
            groups: access.allowed_groups.clone(),
            changed: None,
            whitelist: Whitelist::new(&config.http.whitelist_domains),
            request_headers: HeaderRules::new(&config.request_headers),
            response_headers: HeaderRules::new(&config.response_headers),
        }
    }

    /// The same rules, in force from `now` on in the place of `before`.
    pub(crate) fn after(mut self, before: &Self, now: Timestamp) -> Self {
        let same = self.emails == before.emails && self.groups == before.groups;
        self.changed = if same { before.changed } else { Some(now) };
        self
    }

    /// Whether a refusal by these rules is one for good, so that the session may go with it.
    pub(crate) fn has_settled(&self, now: Timestamp) -> bool {
        self.changed.is_none_or(|changed| now.duration_since(changed) >= SETTLING)
    }

    /// Whether others are given tokens of sessions, which expire.
    pub(crate) fn gives_tokens(&self) -> bool {
        self.request_headers.give_tokens() || self.response_headers.give_tokens()
    }

    /// Whether somebody may pass.
    pub(crate) fn verdict(&self, identity: &Identity) -> Verdict {
        if !self.emails.allow(identity.email.as_deref().filter(|email| !email.is_empty())) {
            Verdict::EmailNotAllowed
        } else if !self.groups.is_empty()
            && !identity.groups.iter().any(|group| self.groups.contains(group))
        {
            Verdict::NotInGroup
        } else {
            Verdict::Allowed
        }
    }
}

#[cfg(test)]
mod tests;
