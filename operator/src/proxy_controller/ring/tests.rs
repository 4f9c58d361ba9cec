use super::*;
use crate::proxy_controller::tests::{client_secret, secret, valid};
use crate::report::PodReport;
use serde_json::json;

const LONG: &str = "0123456789abcdef0123456789abcdef";

/// A stored configuration whose ring is `names`.
fn config_text(names: &[&str]) -> String {
    let keys: Vec<_> =
        names.iter().map(|name| json!({"file": format!("/etc/oauth2-proxy/{name}")})).collect();
    json!({
        "version": "v1", "listeners": {}, "session": {"keys": keys},
        "providers": [{"id": "oidc", "clientId": "shop", "issuerUrl": "https://id.example.com"}],
    })
    .to_string()
}

fn pods(hashes: &[Option<&str>]) -> FleetReport {
    let pods = hashes.iter().enumerate().map(|(i, hash)| PodReport {
        name: format!("pod-{i}"),
        runs: true,
        config_hash: hash.map(str::to_owned),
        reload_error: None,
        issuer: None,
        files: None,
    });
    FleetReport { pods: pods.collect(), complete: true, ..FleetReport::default() }
}

fn ring(keys: &[&str], stored: Option<&str>, report: &FleetReport) -> Vec<String> {
    let entries: Vec<_> = keys.iter().map(|key| (*key, LONG)).collect();
    let mut secrets = vec![client_secret(), secret("main-cookie", &entries)];
    secrets.extend(stored.map(|text| secret("main-config", &[("config.v1.json", text)])));
    decide(&valid(json!({})), &Found::of(secrets), None, report).unwrap().names().to_vec()
}

#[test]
fn a_new_key_only_opens_until_every_pod_knows_it() {
    let before = config_text(&["key-1"]);
    let everywhere = pods(&[Some(&hash(before.as_bytes()))]);
    assert_eq!(ring(&["key-1", "key-2"], Some(&before), &everywhere), ["key-1", "key-2"]);
}

#[test]
fn a_key_that_every_pod_knows_seals() {
    let joined = config_text(&["key-1", "key-2"]);
    let running = hash(joined.as_bytes());
    assert_eq!(
        ring(&["key-1", "key-2"], Some(&joined), &pods(&[Some(&running)])),
        ["key-2", "key-1"]
    );
    assert_eq!(ring(&["key-1", "key-2"], Some(&joined), &pods(&[])), ["key-2", "key-1"]);
}

#[test]
fn one_pod_that_does_not_know_the_key_or_has_not_answered_holds_it_back() {
    let joined = config_text(&["key-1", "key-2"]);
    let running = hash(joined.as_bytes());
    for other in [None, Some("older")] {
        assert_eq!(
            ring(&["key-1", "key-2"], Some(&joined), &pods(&[Some(&running), other])),
            ["key-1", "key-2"]
        );
    }
    let mut unknown = pods(&[Some(&running)]);
    unknown.complete = false;
    assert_eq!(ring(&["key-1", "key-2"], Some(&joined), &unknown), ["key-1", "key-2"]);
}

#[test]
fn pods_that_have_not_started_or_end_hold_no_key_back() {
    let joined = config_text(&["key-1", "key-2"]);
    let running = hash(joined.as_bytes());
    let mut report = pods(&[Some(&running), None]);
    report.pods[1].runs = false;
    assert_eq!(ring(&["key-1", "key-2"], Some(&joined), &report), ["key-2", "key-1"]);
    report.late = true;
    assert_eq!(ring(&["key-1", "key-2"], Some(&joined), &report), ["key-1", "key-2"]);
}

#[test]
fn the_key_that_seals_stays_when_an_older_one_is_taken_away() {
    let stored = config_text(&["key-2", "key-1"]);
    assert_eq!(ring(&["key-2"], Some(&stored), &pods(&[Some("older")])), ["key-2"]);
}

#[test]
fn when_the_sealing_key_is_gone_one_that_pods_know_takes_over() {
    let stored = config_text(&["key-2", "key-1"]);
    assert_eq!(
        ring(&["key-1", "key-3"], Some(&stored), &pods(&[Some("older")])),
        ["key-1", "key-3"]
    );
}

#[test]
fn keys_are_ordered_by_number() {
    assert_eq!(ring(&["key-1", "key-10", "key-9"], None, &pods(&[])), ["key-10", "key-9", "key-1"]);
}

#[test]
fn the_recorded_key_seals_when_the_configuration_was_lost() {
    let status =
        OAuth2ProxyStatus { sealing_key: Some("key-1".to_owned()), ..OAuth2ProxyStatus::default() };
    let found = Found::of(vec![secret("main-cookie", &[("key-1", LONG), ("key-2", LONG)])]);
    let ring = decide(&valid(json!({})), &found, Some(&status), &pods(&[])).unwrap();
    assert_eq!(ring.sealing(), Some("key-1"));
}

#[test]
fn a_cookie_secret_without_usable_keys_is_named_and_never_made_anew() {
    for (entries, expected) in [
        (vec![], "no entry named key-"),
        (vec![("other", LONG)], "no entry named key-"),
        (vec![("key-1", "")], "entry \"key-1\" is empty"),
        (vec![("key-1", "short\n")], "entry \"key-1\" has 5 bytes"),
        (vec![("key-1", LONG), ("key-2", "x")], "entry \"key-2\" has 1 bytes"),
    ] {
        let found = Found::of(vec![secret("main-cookie", &entries)]);
        let finding = decide(&valid(json!({})), &found, None, &pods(&[])).unwrap_err();
        assert_eq!(finding.reason, Reason::KeyRingInvalid);
        assert!(finding.message.contains(expected), "{finding}");
    }
}

#[test]
fn keys_that_are_gone_are_not_made_anew() {
    let with_config = |annotations: serde_json::Value| {
        let (name, config) = secret("main-config", &[("config.v1.json", &config_text(&["key-1"]))]);
        let mut config = config.unwrap();
        config.metadata.annotations = serde_json::from_value(annotations).unwrap();
        Found::of(vec![(name, Some(config))])
    };
    let sealed =
        OAuth2ProxyStatus { sealing_key: Some("key-1".to_owned()), ..OAuth2ProxyStatus::default() };
    let own = json!({KEYS_IN: "main-cookie"});
    for (found, status) in [
        (with_config(own.clone()), None),
        (with_config(own.clone()), Some(&sealed)),
        // Written by an earlier version, and gone too.
        (with_config(json!({})), Some(&sealed)),
        (Found::of(vec![]), Some(&sealed)),
    ] {
        let finding = decide(&valid(json!({})), &found, status, &pods(&[])).unwrap_err();
        assert_eq!(finding.reason, Reason::KeyRingLost);
        assert!(
            finding.message.contains(
                "kubectl -n shop create secret generic main-cookie --from-literal=key-1="
            ),
            "{finding}"
        );
    }
    let first =
        |found: &Found, status| decide(&valid(json!({})), found, status, &pods(&[])).unwrap();
    assert_eq!(first(&Found::of(vec![]), None).names(), [FIRST]);
    // The keys were the user's, whose field was removed: there never were others.
    assert_eq!(first(&with_config(json!({KEYS_IN: "mine"})), Some(&sealed)).names(), [FIRST]);
    let of_user = valid(json!({"session": {"cookie": {"secretRef": {"name": "mine"}}}}));
    assert!(decide(&of_user, &with_config(own), Some(&sealed), &pods(&[])).is_ok());
}
