//! Which entries of the config Secret hold the configuration for which proxies. Pure.
//!
//! A pod takes the newest entry that its proxy knows and whose files it has. The entry of the first level is the one that every
//! proxy reads, those of before levels too, so it never says what one of them could not read or find.

use crate::pod::mounted::Files;
use crate::proxy_controller::ring::hash;
use crate::report::FleetReport;
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

/// Decides them. `stored` are those that are there now, `report` tells what pods mount.
///
/// The first also stays as it was while a pod that starts may lack a file that it would name and did not: it would not start.
/// Proxies that know levels see for themselves what they have.
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
    report: &FleetReport,
) -> Result<Entries, serde_json::Error> {
    let newest = config.to_json()?;
    let mut texts = BTreeMap::new();
    let mut below = None;
    for number in 1..level::NEWEST {
        let name = level::file_name(number);
        let before = stored.get(&name);
        let known = before.map_or(Ok(1), Config::level)?.max(number);
        let said = config.at(known)?.filter(|said| {
            let new = before.map(|before| new_files(said, before)).unwrap_or_default();
            number > 1 || new.is_empty() || report.all_have(&new)
        });
        let text = match (said, before) {
            (Some(said), _) => Some(said.to_json()?),
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

/// Names of the files that a pod has to have for one configuration and not for the one before.
fn new_files(config: &Config, before: &Config) -> Files {
    let names = |config: &Config| -> Files {
        let names = config.mounted_files().into_iter();
        names.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect()
    };
    &names(config) - &names(before)
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
        with(config, stored, &FleetReport::default())
    }

    fn with(
        config: &Config,
        stored: &BTreeMap<String, Config>,
        report: &FleetReport,
    ) -> BTreeMap<String, Config> {
        let entries = decide(config, stored, report).unwrap();
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

    #[test]
    fn a_file_that_a_pod_may_lack_is_named_to_it_once_every_pod_and_template_has_it() {
        let before = config("a.example", "");
        let mut asked = config("b.example", "");
        asked.access.emails_file = Some("/etc/oauth2-proxy/emails".into());
        let stored = all(&[(BASE, &before)]);
        let held = all(&[(BASE, &before), (SECOND, &asked)]);
        let has =
            |files: &[&str]| -> Files { files.iter().map(|file| (*file).to_owned()).collect() };
        let report = |templates: Vec<Files>| FleetReport {
            templates,
            complete: true,
            ..FleetReport::default()
        };
        assert_eq!(after(&asked, &stored), held, "nobody knows yet");
        let (old, new) = (has(&["client-secret"]), has(&["client-secret", "emails"]));
        assert_eq!(with(&asked, &stored, &report(vec![new.clone(), old])), held);
        let everywhere = report(vec![new]);
        assert_eq!(with(&asked, &stored, &everywhere), all(&[(BASE, &asked)]));
        assert_eq!(with(&asked, &held, &everywhere), all(&[(BASE, &asked)]));
        // What needs no other files waits for nobody, and what is named already is there.
        assert_eq!(after(&before, &held), all(&[(BASE, &before)]));
        assert_eq!(after(&asked, &all(&[(BASE, &asked)])), all(&[(BASE, &asked)]));
    }
}
