//! Which entries of the config Secret hold the configuration for which proxies. Pure.
//!
//! A pod takes the newest entry that its proxy knows and whose files it has. The entry of the first level is the one that every
//! proxy reads, those of before levels too, so it never says what one of them could not read or find.

use crate::proxy_controller::ring::hash;
use proxy_config::{Config, level};
use std::collections::{BTreeMap, BTreeSet};

/// The entries, and what pods say that have one in force.
#[derive(Debug)]
pub(super) struct Entries {
    /// By name.
    pub(super) texts: BTreeMap<String, String>,
    /// Hash of the whole configuration.
    pub(super) newest: String,
    /// Hashes of the entries that say something else.
    pub(super) kept: BTreeSet<String>,
}

/// Decides them. `stored` are those that are there now.
///
/// An entry that can not say what is asked without being weaker stays as it was, but for the keys. Where none was, no proxy has
/// started from it: it says everything, and a proxy that does not know all of it refuses it by name. What an entry says already its
/// readers know: so what an operator of before levels has written for them goes on.
///
/// # Errors
/// The configuration can not be written.
pub(super) fn decide(
    config: &Config,
    stored: &BTreeMap<String, Config>,
) -> Result<Entries, serde_json::Error> {
    let newest = config.to_json()?;
    let mut texts = BTreeMap::new();
    let mut below = None;
    for number in 1..level::NEWEST {
        let name = level::file_name(number);
        let before = stored.get(&name);
        let known = before.map_or(Ok(1), Config::level)?.max(number);
        let text = match (config.at(known)?, before) {
            (Some(config), _) => Some(config.to_json()?),
            (None, Some(before)) => Some(with_keys_of(config, before).to_json()?),
            (None, None) => (number == 1).then(|| newest.clone()),
        };
        if let Some(text) = text.filter(|text| below.as_ref() != Some(text)) {
            texts.insert(name, text.clone());
            below = Some(text);
        }
    }
    let kept =
        texts.values().filter(|text| **text != newest).map(|text| hash(text.as_bytes())).collect();
    if below.as_ref() != Some(&newest) {
        texts.insert(level::file_name(level::NEWEST), newest.clone());
    }
    Ok(Entries { texts, newest: hash(newest.as_bytes()), kept })
}

/// Keys are no matter of levels: one that is taken away must open nothing, and a file that is gone stops whoever names it.
fn with_keys_of(config: &Config, before: &Config) -> Config {
    let mut kept = before.clone();
    kept.session.keys.clone_from(&config.session.keys);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "config.v1.json";
    const SECOND: &str = "config.v1.2.json";

    fn config(domain: &str, session: &str) -> Config {
        let text = format!(
            r#"{{"version": "v1", "listeners": {{"http": {{"address": ":4180"}}}},
                "providers": [{{"id": "oidc", "clientId": "shop", "issuerUrl": "https://id.example.com"}}],
                "session": {{"keys": [{{"file": "/etc/oauth2-proxy/key-1"}}]{session}}},
                "access": {{"emailDomains": ["{domain}"]}}}}"#
        );
        Config::parse(text.as_bytes()).unwrap()
    }

    /// The entries that follow, as a reader has them.
    fn after(config: &Config, stored: &BTreeMap<String, Config>) -> BTreeMap<String, Config> {
        let entries = decide(config, stored).unwrap();
        assert_eq!(entries.newest, hash(config.to_json().unwrap().as_bytes()));
        let different =
            entries.texts.values().filter(|text| hash(text.as_bytes()) != entries.newest);
        assert_eq!(different.count(), entries.kept.len());
        let read = |(name, text): (String, String)| (name, Config::parse(text.as_bytes()).unwrap());
        entries.texts.into_iter().map(read).collect()
    }

    fn all(entries: &[(&str, &Config)]) -> BTreeMap<String, Config> {
        entries.iter().map(|(name, config)| ((*name).to_owned(), (*config).clone())).collect()
    }

    const ABSOLUTE: &str = r#", "absolute": "8h""#;

    #[test]
    fn what_every_proxy_knows_is_one_entry() {
        let plain = config("a.example", "");
        assert_eq!(after(&plain, &all(&[])), all(&[(BASE, &plain)]));
        assert_eq!(
            after(&plain, &all(&[(BASE, &config("b.example", ""))])),
            all(&[(BASE, &plain)])
        );
    }

    #[test]
    fn what_older_proxies_need_not_know_is_left_out_for_them() {
        let asked = config("a.example", r#", "replicas": 3"#);
        let stored = all(&[(BASE, &config("b.example", ""))]);
        let plain = config("a.example", "");
        assert_eq!(after(&asked, &stored), all(&[(BASE, &plain), (SECOND, &asked)]));
    }

    #[test]
    fn a_restriction_that_older_proxies_can_not_enforce_reaches_them_by_nothing_that_lacks_it() {
        let before = config("a.example", "");
        let asked = config("b.example", ABSOLUTE);
        let stored = after(&asked, &all(&[(BASE, &before)]));
        assert_eq!(stored, all(&[(BASE, &before), (SECOND, &asked)]));
        // The next change too, until it can be said again.
        let asked = config("c.example", ABSOLUTE);
        let stored = after(&asked, &stored);
        assert_eq!(stored, all(&[(BASE, &before), (SECOND, &asked)]));
        let plain = config("c.example", "");
        assert_eq!(after(&plain, &stored), all(&[(BASE, &plain)]));
    }

    #[test]
    fn keys_that_are_taken_away_go_from_every_entry() {
        let mut before = config("a.example", "");
        before.session.keys.push(proxy_config::Secret::File("/etc/oauth2-proxy/key-0".into()));
        let asked = config("b.example", ABSOLUTE);
        let stored = after(&asked, &all(&[(BASE, &before)]));
        assert_eq!(stored, all(&[(BASE, &config("a.example", "")), (SECOND, &asked)]));
    }

    #[test]
    fn what_an_operator_of_before_levels_wrote_goes_on_without_a_change() {
        let there = config("a.example", ABSOLUTE);
        assert_eq!(after(&there, &all(&[(BASE, &there)])), all(&[(BASE, &there)]));
        let asked = config("b.example", ABSOLUTE);
        assert_eq!(after(&asked, &all(&[(BASE, &there)])), all(&[(BASE, &asked)]));
    }

    #[test]
    fn without_an_earlier_configuration_everything_is_said_and_refused_by_name() {
        let asked = config("a.example", ABSOLUTE);
        assert_eq!(after(&asked, &all(&[])), all(&[(BASE, &asked)]));
    }
}
