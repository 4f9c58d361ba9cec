//! Sessions: where they are kept, their cookie, how long they last.

use crate::schema::duration;
use crate::{SecretKeyRef, SecretRef};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Session settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.store == 'redis') == has(self.redis)")
    .message("session.redis belongs to session.store: redis; set both or neither"))]
#[x_kube(validation = Rule::new("duration(self.absolute) == duration('0s') || duration(self.cookie.refresh) < duration(self.absolute)")
    .message("session.cookie.refresh must be shorter than session.absolute, or 0s to switch it off"))]
#[x_kube(validation = Rule::new("duration(self.absolute) == duration('0s') || self.format != 'v1'")
    .message("session.format v1 does not hold when the login was: leave it out to use session.absolute"))]
pub struct Session {
    /// Where sessions are kept. `cookie`: encrypted in the browser, and nothing else is needed. `redis`: in a Redis server,
    /// with a ticket in the browser, for sessions that are too large for a cookie.
    #[serde(default)]
    pub store: Store,

    /// The Redis server, if `store` is `redis`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<Redis>,

    /// The session cookie.
    #[serde(default)]
    pub cookie: Cookie,

    /// Time after the login at which a session ends, however often it was renewed, such as `12h`. `0s`: never. A change
    /// holds for the sessions that are there.
    #[serde(default = "never")]
    #[schemars(schema_with = "duration")]
    pub absolute: String,

    /// The format in which sessions are written. All formats are read, always. `v1` is for the time of an upgrade from a
    /// version that knows no other: with it nobody has to sign in again while old and new pods answer side by side.
    #[serde(default)]
    pub format: SessionFormat,

    /// How long a session that is due for a renewal (`cookie.refresh`) goes on without one while the provider can not be
    /// asked, such as `1h`. After that requests get 503 and the session stays. `0s`: not at all.
    #[serde(default = "hour")]
    #[schemars(schema_with = "duration")]
    pub refresh_grace: String,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            store: Store::default(),
            redis: None,
            cookie: Cookie::default(),
            absolute: never(),
            format: SessionFormat::default(),
            refresh_grace: hour(),
        }
    }
}

fn hour() -> String {
    "1h".to_owned()
}

/// Formats of stored sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionFormat {
    /// The first one. It holds no issuer and no time of login.
    V1,
    /// The present one.
    #[default]
    V2,
}

/// Session stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// All of a session in the browser's cookie, encrypted. Nothing else is needed.
    #[default]
    Cookie,
    /// In Redis; the cookie holds a ticket. For sessions that are too large for a cookie.
    Redis,
}

/// A Redis server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// The Secret entry with the URL, such as `redis://:password@redis.shop.svc:6379/0` or `rediss://...` for TLS.
    pub url_secret_ref: SecretKeyRef,
    /// The Secret entry with PEM certificates that are trusted beside the usual authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
}

/// The session cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.refresh) == duration('0s') || duration(self.expire) == duration('0s') || duration(self.refresh) < duration(self.expire)")
    .message("session.cookie.refresh must be shorter than session.cookie.expire, or 0s to switch it off"))]
#[x_kube(validation = Rule::new("!has(self.sameSite) || self.sameSite != 'none' || self.secure")
    .message("browsers drop a cookie with sameSite none that is not secure: set session.cookie.secure to true"))]
#[x_kube(validation = Rule::new("!self.name.startsWith('__Host-') || (self.secure && self.path == '/' && (!has(self.domains) || size(self.domains) == 0))")
    .message("browsers drop a cookie named __Host-... unless it is secure, has path / and no domain"))]
#[x_kube(validation = Rule::new("!self.name.startsWith('__Secure-') || self.secure")
    .message("browsers drop a cookie named __Secure-... that is not secure: set session.cookie.secure to true"))]
pub struct Cookie {
    /// Name of the cookie. Two proxies on one host need different names.
    #[serde(default = "name")]
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))]
    pub name: String,

    /// Domains that the cookie may be set for; the longest that the request's host ends in is taken. Empty: the host alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub domains: Vec<String>,

    /// Path of the cookie.
    #[serde(default = "slash")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/[^;\s]*$"))]
    pub path: String,

    /// Send it over HTTPS only. Set this to false only where browsers reach the proxy over plain HTTP.
    #[serde(default = "yes")]
    pub secure: bool,

    /// `SameSite` attribute. Absent: none is sent, and browsers treat the cookie as `lax`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_site: Option<SameSite>,

    /// How long a session lasts, such as `168h`. `0s`: until the browser is closed.
    #[serde(default = "week")]
    #[schemars(schema_with = "duration")]
    pub expire: String,

    /// Age after which a session is renewed at the provider, such as `1h`. `0s`: never.
    #[serde(default = "never")]
    #[schemars(schema_with = "duration")]
    pub refresh: String,

    /// The cookie of a login in progress.
    #[serde(default)]
    pub csrf: CsrfCookie,

    /// A Secret of your own with the keys that seal sessions: every entry named `key-...` is one, of 16 bytes or more, and
    /// the last by number seals. Absent: the operator makes `<name>-cookie`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

impl Default for Cookie {
    fn default() -> Self {
        Self {
            name: name(),
            domains: Vec::new(),
            path: slash(),
            secure: true,
            same_site: None,
            expire: week(),
            refresh: never(),
            csrf: CsrfCookie::default(),
            secret_ref: None,
        }
    }
}

/// The cookie of a login in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CsrfCookie {
    /// How long a login may take.
    #[serde(default = "quarter")]
    #[schemars(schema_with = "duration")]
    pub expire: String,
    /// `SameSite` attribute. Absent: that of the session cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_site: Option<SameSite>,
    /// A cookie for each login, so that several tabs can log in at once.
    #[serde(default = "yes")]
    pub per_request: bool,
    /// How many logins may be in progress in one browser; the oldest is given up first.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = 20))]
    pub limit: u32,
}

impl Default for CsrfCookie {
    fn default() -> Self {
        Self { expire: quarter(), same_site: None, per_request: true, limit: limit() }
    }
}

fn name() -> String {
    "_oauth2_proxy".to_owned()
}

fn slash() -> String {
    "/".to_owned()
}

fn yes() -> bool {
    true
}

fn week() -> String {
    "168h".to_owned()
}

fn never() -> String {
    "0s".to_owned()
}

fn quarter() -> String {
    "15m".to_owned()
}

fn limit() -> u32 {
    20
}

/// `SameSite` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    /// Sent with navigation from other sites.
    Lax,
    /// Never sent from other sites.
    Strict,
    /// Always sent; needs `secure`.
    None,
}
