//! Sessions: where they are kept, under which keys, in which cookie, for how long.

use crate::{Duration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Session settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Session {
    /// Where sessions are kept.
    #[serde(default)]
    pub store: Store,
    /// The key ring: the first seals, all open. Each secret is a text of at least 16 bytes from which keys are derived.
    pub keys: Vec<Secret>,
    /// The session cookie.
    #[serde(default)]
    pub cookie: Cookie,
    /// Lifetime of a session and of its cookie; zero: until the browser closes, and no bound on our side.
    #[serde(default = "default_lifetime")]
    pub lifetime: Duration,
    /// Time after the login at which a session ends, however often it was refreshed; zero: never. It holds for sessions that
    /// are there already.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub absolute: Duration,
    /// Age after which a session is refreshed at the provider; zero: never.
    #[serde(default)]
    pub refresh: Duration,
    /// In which format sessions are written. All are read, always.
    #[serde(default, skip_serializing_if = "SessionFormat::is_default")]
    pub format: SessionFormat,
    /// How long a session that is due for a refresh may go on without one because the provider can not be asked; zero: not
    /// at all. After that requests get 503, and the cookie stays.
    #[serde(default = "default_refresh_grace", skip_serializing_if = "is_default_refresh_grace")]
    pub refresh_grace: Duration,
    /// How many processes use these sessions at the same time, as far as the writer of this file knows.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1))]
    pub replicas: u32,
}

fn default_refresh_grace() -> Duration {
    Duration::from_secs(3600)
}

fn is_default_refresh_grace(grace: &Duration) -> bool {
    *grace == default_refresh_grace()
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// Formats of stored sessions, tickets and logins in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionFormat {
    /// The first one, which programs read that know no other. It holds no issuer and no time of login.
    V1,
    /// The present one.
    #[default]
    V2,
}

impl SessionFormat {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(duration: &Duration) -> bool {
    duration.is_zero()
}

fn default_lifetime() -> Duration {
    Duration::from_secs(168 * 3600)
}

/// Session stores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Store {
    /// All of it in the browser's cookie.
    #[default]
    Cookie,
    /// In Redis; the cookie holds a ticket.
    Redis(Redis),
}

/// One Redis server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redis {
    /// `redis://`, `rediss://` or `unix://` URL; a secret because it may hold a password.
    pub url: Secret,
    /// Replaces the user of the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Replaces the password of the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// PEM file with roots trusted beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

/// Attributes of the session cookie (RFC 6265).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cookie {
    /// Cookie name; parts of a long session get `_0`, `_1`, ... appended.
    pub name: String,
    /// Candidates for the Domain attribute: the longest that is a suffix of the request's host wins.
    pub domains: Vec<String>,
    /// Path attribute; empty: none.
    pub path: String,
    /// Secure attribute. It also makes every computed redirect URL `https`.
    pub secure: bool,
    /// `HttpOnly` attribute.
    pub http_only: bool,
    /// `SameSite` attribute; absent: none is sent.
    pub same_site: Option<SameSite>,
    /// The cookie that carries a login in progress.
    pub csrf: CsrfCookie,
}

impl Default for Cookie {
    fn default() -> Self {
        Self {
            name: "_oauth2_proxy".to_owned(),
            domains: Vec::new(),
            path: "/".to_owned(),
            secure: true,
            http_only: true,
            same_site: None,
            csrf: CsrfCookie::default(),
        }
    }
}

/// `SameSite` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the attribute")]
pub enum SameSite {
    Lax,
    Strict,
    None,
}

/// The cookie of a login in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CsrfCookie {
    /// How long a login may take.
    pub lifetime: Duration,
    /// `SameSite`; absent: that of the session cookie.
    pub same_site: Option<SameSite>,
    /// A cookie for each login, so that several tabs can log in at once.
    pub per_request: bool,
    /// How many such cookies may exist; the oldest go first. Zero: the built-in bound of 20.
    pub limit: u32,
}

impl Default for CsrfCookie {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(15 * 60),
            same_site: None,
            per_request: false,
            limit: 0,
        }
    }
}
