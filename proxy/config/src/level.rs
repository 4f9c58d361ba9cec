//! Levels of the file: which of its members came after the first release, and what a proxy of before is given in their place.
//!
//! A proxy refuses members that it does not know, so each level has a file of its own, and a proxy reads the newest that it knows.
//! The lists in `proxy/config/levels/` name the members of each level and are never edited once they are released.

use crate::{Config, Version};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The newest level, which this version reads and writes.
pub const NEWEST: u32 = 2;

/// A member that the first release does not know; those below it came with it.
struct Added {
    level: u32,
    /// Names from the top, each behind a dot, without the numbers of list entries; `=text` at the end for a new value.
    member: &'static str,
    without: Without,
}

/// What it means to an older proxy that the member is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    /// Nobody gets in or stays in who would not with it.
    Harmless,
    /// It may let more through. Whatever is in doubt belongs here.
    Weaker,
}

/// In the order of the lists in `proxy/config/levels/`.
const ADDED: [Added; 12] = [
    weaker(2, ".application"),
    // Such a client gets no answer.
    harmless(2, ".listeners.http.h2c"),
    // What was begun with the earlier credentials does not go on.
    harmless(2, ".providers.credentialsGeneration"),
    // The values are fixed.
    harmless(2, ".providers.loginParameters.allow"),
    harmless(2, ".providers.previousCredentials"),
    // Without the rule the client's own header of that name goes to the application.
    weaker(2, ".requestHeaders.values.claim.other"),
    weaker(2, ".responseHeaders.values.claim.other"),
    weaker(2, ".session.absolute"),
    // The first release knows the first format only.
    harmless(2, ".session.format"),
    weaker(2, ".session.refreshGrace"),
    // It decides about a warning.
    harmless(2, ".session.replicas"),
    weaker(2, ".upstreams.reuseAfterBody"),
];

const fn weaker(level: u32, member: &'static str) -> Added {
    Added { level, member, without: Without::Weaker }
}

const fn harmless(level: u32, member: &'static str) -> Added {
    Added { level, member, without: Without::Harmless }
}

/// The name of the file for a level. That of the first is the one that pods are told by their command line, for ever.
#[must_use]
pub fn file_name(level: u32) -> String {
    match level {
        0 | 1 => Version::V1.file_name().to_owned(),
        _ => format!("config.v1.{level}.json"),
    }
}

/// Whether a file has the name of any level, those to come among them.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let level = name.strip_prefix("config.v1.").and_then(|rest| rest.strip_suffix(".json"));
    name == Version::V1.file_name()
        || level.is_some_and(|level| !level.is_empty() && level.bytes().all(|c| c.is_ascii_digit()))
}

/// Where a proxy that is told to read `path` looks first, the newest level first: beside it, if it has the name of the first
/// level's file. A file of another name is somebody's own.
#[must_use]
pub fn newer_than(path: &Path) -> Vec<PathBuf> {
    if path.file_name().is_none_or(|name| name != Version::V1.file_name()) {
        return Vec::new();
    }
    (2..=NEWEST).rev().map(|level| path.with_file_name(file_name(level))).collect()
}

impl Config {
    /// The lowest level whose proxies can read this configuration as it is.
    ///
    /// # Errors
    /// As [`Config::to_json`].
    pub fn level(&self) -> Result<u32, serde_json::Error> {
        let mut level = 1;
        visit(&mut self.value()?, "", &mut |added| {
            level = level.max(added.level);
            false
        });
        Ok(level)
    }

    /// This configuration for proxies that know no more than `level`; `None` if it can not be said to them, because without what
    /// they do not know it would be weaker, or no configuration.
    ///
    /// # Errors
    /// As [`Config::to_json`].
    pub fn at(&self, level: u32) -> Result<Option<Self>, serde_json::Error> {
        let mut value = self.value()?;
        let mut weaker = false;
        visit(&mut value, "", &mut |added| {
            weaker |= added.level > level && added.without == Without::Weaker;
            added.level > level
        });
        if weaker {
            return Ok(None);
        }
        let config: Self = serde_json::from_value(value)?;
        Ok((config.level()? <= level && config.problems().is_ok()).then_some(config))
    }

    fn value(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self)
    }
}

/// Shows each member that is on the list, and takes it out if `out` says so.
fn visit(value: &mut Value, above: &str, out: &mut impl FnMut(&Added) -> bool) {
    let mut stays = |member: &str, value: &mut Value| {
        if let Some(added) = added(member, value) {
            return !out(added);
        }
        visit(value, member, out);
        true
    };
    match value {
        Value::Object(members) => {
            members.retain(|name, value| stays(&format!("{above}.{name}"), value));
        }
        Value::Array(entries) => entries.retain_mut(|entry| stays(above, entry)),
        _ => {}
    }
}

fn added(member: &str, value: &Value) -> Option<&'static Added> {
    let said = value.as_str().map(|text| format!("{member}={text}"));
    ADDED.iter().find(|added| added.member == member || Some(added.member) == said.as_deref())
}

#[cfg(test)]
mod tests;
