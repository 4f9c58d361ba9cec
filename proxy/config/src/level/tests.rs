//! The registry against the schema and the committed lists, and what each level is given.

use super::*;
use std::collections::BTreeSet;

fn list(level: u32) -> BTreeSet<String> {
    let file = format!("{}/levels/{level}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.lines().map(str::to_owned).collect()
}

/// All members that the schema has, and the values where these are listed.
fn members(schema: &Value, node: &Value, above: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = node["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        members(schema, &schema["$defs"][name], above, found);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for node in node[key].as_array().into_iter().flatten() {
            members(schema, node, above, found);
        }
    }
    let values = node["enum"].as_array().into_iter().flatten().chain(node.get("const"));
    found.extend(values.map(|value| format!("{above}={}", value.as_str().unwrap())));
    for (name, node) in node["properties"].as_object().into_iter().flatten() {
        let member = format!("{above}.{name}");
        members(schema, node, &member, found);
        found.insert(member);
    }
    if let Some(node) = node.get("items") {
        members(schema, node, above, found);
    }
    assert!(!node["additionalProperties"].is_object(), "{above}: maps have no names to list");
}

#[test]
fn a_member_of_the_file_is_on_the_list_of_one_level() {
    let schema: Value = serde_json::from_str(&Config::schema_json()).unwrap();
    let mut found = BTreeSet::new();
    members(&schema, &schema, "", &mut found);
    let mut listed = BTreeSet::new();
    for level in 1..=NEWEST {
        for member in list(level) {
            assert!(listed.insert(member.clone()), "{member} is on two lists");
        }
    }
    let (new, gone) = (&found - &listed, &listed - &found);
    assert!(
        new.is_empty(),
        "new in the file: {new:#?}\nif level {NEWEST} is released, raise `NEWEST` and begin `levels/{}.txt`; list them there, and in \
         `ADDED` with what it means to leave them out",
        NEWEST + 1
    );
    assert!(gone.is_empty(), "a file of before may say it: {gone:#?}");
}

#[test]
fn a_level_of_the_registry_is_that_of_the_list() {
    let covers = |added: &Added, member: &str| {
        let rest = member.strip_prefix(added.member);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '=']))
    };
    for level in 1..=NEWEST {
        for member in list(level) {
            let levels = ADDED.iter().filter(|added| covers(added, &member));
            let levels: Vec<_> = levels.map(|added| added.level).collect();
            let expected = if level == 1 { vec![] } else { vec![level] };
            assert_eq!(levels, expected, "{member} of level {level}");
        }
    }
    for added in &ADDED {
        assert!(list(added.level).contains(added.member), "{} is on no list", added.member);
    }
}

fn config(change: &[(&str, Value)]) -> Config {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/sidecar.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    for (pointer, change) in change {
        let (above, name) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(above).unwrap()[name] = change.clone();
    }
    Config::parse(value.to_string().as_bytes()).unwrap()
}

#[test]
fn what_the_first_release_knows_is_the_same_at_every_level() {
    let config = config(&[]);
    assert_eq!(config.level().unwrap(), 1);
    assert_eq!(config.at(1).unwrap(), Some(config.clone()));
    assert_eq!(config.at(NEWEST).unwrap(), Some(config));
}

#[test]
fn what_makes_nothing_weaker_is_left_out_for_older_proxies() {
    let earlier = serde_json::json!([
        {"clientId": "shop", "clientSecret": {"file": "/etc/oauth2-proxy/previous-client-secret"}}
    ]);
    let asked = config(&[
        ("/providers/0/credentialsGeneration", 1.into()),
        ("/providers/0/previousCredentials", earlier),
        ("/session/replicas", 3.into()),
    ]);
    assert_eq!(asked.level().unwrap(), 2);
    assert_eq!(asked.at(1).unwrap(), Some(config(&[])));
    assert_eq!(asked.at(2).unwrap(), Some(asked));
}

#[test]
fn what_an_older_proxy_can_not_enforce_does_not_vanish() {
    for (pointer, value) in [
        ("/session/absolute", "8h".into()),
        ("/session/refreshGrace", "1m".into()),
        ("/application", serde_json::json!({"reuseAfterBody": false})),
        ("/upstreams/0/reuseAfterBody", false.into()),
        ("/requestHeaders/0/values/0/claim", serde_json::json!({"other": "department"})),
    ] {
        let asked = config(&[(pointer, value)]);
        assert_eq!(asked.at(1).unwrap(), None, "{pointer}");
        assert_eq!(asked.at(2).unwrap(), Some(asked), "{pointer}");
    }
}

#[test]
fn a_newer_file_is_looked_for_beside_the_one_of_the_first_level_only() {
    assert_eq!(file_name(1), "config.v1.json");
    assert_eq!(
        newer_than(Path::new("/etc/oauth2-proxy/config.v1.json")),
        [Path::new("/etc/oauth2-proxy/config.v1.2.json")]
    );
    assert!(newer_than(Path::new("/etc/oauth2-proxy/mine.json")).is_empty());
    for (name, is) in [
        ("config.v1.json", true),
        ("config.v1.17.json", true),
        ("config.v1..json", false),
        ("key-1", false),
    ] {
        assert_eq!(is_file_name(name), is, "{name}");
    }
}
