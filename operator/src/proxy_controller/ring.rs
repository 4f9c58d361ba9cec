//! The ring of keys: which entries of the cookie Secret open sessions, and which one seals new ones.
//!
//! A new key must never seal before every running proxy can open with it, or a user whose next request meets another pod is
//! logged out. So it joins in two steps: first it only opens; once every pod runs a configuration that names it, it
//! seals. The configuration that is stored in the cluster is the record of where we are. Pure.

use super::dereference::Found;
use crate::object::KEYS_IN;
use crate::report::FleetReport;
use crate::spec::Finding;
use crate::spec::ValidSpec;
use crate::spec::name;
use aws_lc_rs::digest;
use crds::{OAuth2ProxyStatus, Reason};
use kube::ResourceExt as _;
use proxy_config::{Config, level};
use std::fmt::Write as _;

/// Entries whose names begin like this are keys. Others are left alone.
pub(crate) const PREFIX: &str = "key-";
/// The entry that a new cookie Secret has.
pub(crate) const FIRST: &str = "key-1";
/// Bytes that a key has at least.
const SHORTEST: usize = 16;

/// Names of entries, the one that seals first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ring(Vec<String>);

impl Ring {
    /// The entries in the order of the configuration.
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether the newest entry seals, so that it waits for no pod.
    pub(crate) fn is_settled(&self) -> bool {
        self.0.first() == self.0.iter().max_by_key(|key| (number(key), *key))
    }

    /// The entry that seals.
    pub(crate) fn sealing(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

/// What the stored configuration says.
struct Stored {
    /// Its ring, the sealing entry first.
    ring: Vec<String>,
    /// Its hash, as pods report it.
    hash: String,
}

/// Decides the ring.
///
/// # Errors
/// The Secret exists and has no usable key, or one that is not usable, or it is gone. It is never made anew: that would log
/// everybody out.
pub(super) fn decide(
    spec: &ValidSpec,
    found: &Found,
    status: Option<&OAuth2ProxyStatus>,
    report: &FleetReport,
) -> Result<Ring, Finding> {
    let secret = name::cookie_secret(&spec.name, &spec.spec);
    if found.secret(&secret).is_none() {
        let own = spec.spec.session.cookie.secret_ref.is_none();
        return if own && had_keys(spec, found, status, &secret) {
            Err(lost(spec, &secret))
        } else {
            Ok(Ring(vec![FIRST.to_owned()]))
        };
    }
    let entries = usable(&secret, &found.entries(&secret))?;
    let stored = stored(spec, found);
    let recorded = status.and_then(|status| status.sealing_key.clone());
    Ok(Ring(ordered(entries, stored.as_ref(), recorded, report)))
}

/// Whether sessions were sealed with keys of this Secret: the stored configuration says where its keys are. One that an
/// earlier version wrote does not, and then the status says that there were some.
fn had_keys(
    spec: &ValidSpec,
    found: &Found,
    status: Option<&OAuth2ProxyStatus>,
    secret: &str,
) -> bool {
    let config = found.secret(&name::config_secret(&spec.name));
    match config.and_then(|config| config.annotations().get(KEYS_IN)) {
        Some(keys_in) => keys_in == secret,
        None => status.is_some_and(|status| status.sealing_key.is_some()),
    }
}

/// Pods that run go on with the keys that they have, new ones wait for the Secret.
fn lost(spec: &ValidSpec, secret: &str) -> Finding {
    let message = format!(
        "Secret {secret:?} with the keys of all sessions is gone. It is not made anew, because that logs everybody out: put it \
         back from a backup; or, for new keys and new logins, create it: kubectl -n {} create secret generic {secret} \
         --from-literal={FIRST}=\"$(openssl rand -base64 32)\". Until then pods that run go on with the keys that they \
         have, and new ones wait",
        spec.namespace
    );
    Finding::new(Reason::KeyRingLost, "spec.session.cookie", message)
}

/// The names of the keys, oldest first.
fn usable(secret: &str, entries: &[(&str, &[u8])]) -> Result<Vec<String>, Finding> {
    let mut keys: Vec<String> = Vec::new();
    let mut bad = Vec::new();
    for (key, value) in entries.iter().filter(|(key, _)| key.starts_with(PREFIX)) {
        match str::from_utf8(value).map(|text| text.trim_end_matches(['\r', '\n']).len()) {
            Err(_) => {
                bad.push(format!("entry {key:?} is not text: encode it, for instance in base64"));
            }
            Ok(0) => {
                bad.push(format!("entry {key:?} is empty: put a key there, or remove the entry"));
            }
            Ok(length) if length < SHORTEST => {
                bad.push(format!("entry {key:?} has {length} bytes: at least {SHORTEST} are needed, 32 are better"));
            }
            Ok(_) => keys.push((*key).to_owned()),
        }
    }
    if keys.is_empty() && bad.is_empty() {
        bad.push(format!("it has no entry named {PREFIX}...: put one there; it is not made anew, because that would log everybody out"));
    }
    if !bad.is_empty() {
        let message = format!("cookie Secret {secret:?}: {}", bad.join("; "));
        return Err(Finding::new(Reason::KeyRingInvalid, "spec.session.cookie", message));
    }
    keys.sort_by_key(|key| (number(key), key.clone()));
    Ok(keys)
}

/// The number at the end of a name, so that `key-10` comes after `key-9`.
fn number(key: &str) -> u64 {
    let digits = key.len() - key.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    key.get(key.len() - digits..).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn stored(spec: &ValidSpec, found: &Found) -> Option<Stored> {
    let entries = found.entries(&name::config_secret(&spec.name));
    let entry = |level| entries.iter().find(|(name, _)| *name == level::file_name(level));
    let (_, bytes) = (1..=level::NEWEST).rev().find_map(entry)?;
    let config = Config::parse(bytes).ok()?;
    let ring = config
        .session
        .keys
        .iter()
        .filter_map(|key| key.file()?.file_name()?.to_str().map(str::to_owned));
    Some(Stored { ring: ring.collect(), hash: hash(bytes) })
}

/// SHA-256 in lower-case hexadecimal: what pods report of the file in force.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest::digest(&digest::SHA256, bytes).as_ref() {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn ordered(
    entries: Vec<String>,
    stored: Option<&Stored>,
    recorded: Option<String>,
    report: &FleetReport,
) -> Vec<String> {
    let newest = entries.last().cloned();
    let known = |key: &String| stored.is_none_or(|stored| stored.ring.contains(key));
    let before = stored.and_then(|stored| stored.ring.first().cloned()).or(recorded);
    let everywhere = stored.is_some_and(|stored| report.all_run(&stored.hash));
    let sealing = match before.filter(|key| entries.contains(key)) {
        // A key that all pods can open takes over.
        Some(_) if everywhere && newest.as_ref().is_some_and(known) => newest,
        Some(before) => Some(before),
        // The key that sealed was taken away. Another that pods know already is better than one that they do not.
        None => entries.iter().rev().find(|key| known(key)).cloned().or(newest),
    };
    let rest = entries.into_iter().rev().filter(|key| Some(key) != sealing.as_ref());
    sealing.iter().cloned().chain(rest).collect()
}

#[cfg(test)]
mod tests;
