//! The chart, as far as its files have to agree with one another: values, schema, table of values, alerts, dashboard.

use crate::TOP;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn path(file: &str) -> PathBuf {
    Path::new(TOP).join("charts/oauth2-proxy-operator").join(file)
}

fn text(file: &str) -> String {
    fs::read_to_string(path(file)).expect(file)
}

fn yaml(text: &str) -> Value {
    serde_yaml_ng::from_str(text).expect("YAML that can be read")
}

fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                leaves(value, &format!("{path}/{name}"), found);
            }
        }
        _ => drop(found.insert(path.to_owned(), value.clone())),
    }
}

/// All values with their defaults, by JSON pointer.
fn defaults() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    leaves(&yaml(&text("values.yaml")), "", &mut found);
    assert!(found.len() > 100, "only {} values", found.len());
    found
}

#[test]
fn the_table_of_values_is_the_file_of_values() {
    let values = yaml(&text("values.yaml"));
    let readme = text("README.md");
    let mut rows = BTreeSet::new();
    for row in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split(" | ").collect();
        let cell = |number: usize| {
            let cell: &str = cells.get(number).unwrap_or_else(|| panic!("no cell {number}: {row}"));
            cell.trim_start_matches('|').trim().trim_matches('`').to_owned()
        };
        let pointer = format!("/{}", cell(0).replace('.', "/"));
        let value = values.pointer(&pointer).unwrap_or_else(|| panic!("no such value: {row}"));
        assert_eq!(yaml(&cell(1)), *value, "another default: {row}");
        assert!(rows.insert(pointer), "twice: {row}");
    }
    let told =
        |path: &String| rows.iter().any(|row| path == row || path.starts_with(&format!("{row}/")));
    let untold: Vec<_> = defaults().into_keys().filter(|path| !told(path)).collect();
    assert!(untold.is_empty(), "the table has no {untold:?}");
}

/// The schema itself and everything below it that describes a map.
fn maps<'a>(schema: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") || fields.get("type") == Some(&"object".into()) {
                found.push((path.to_owned(), schema));
            }
            for (name, value) in fields {
                maps(value, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(all) => {
            for (number, value) in all.iter().enumerate() {
                maps(value, &format!("{path}/{number}"), found);
            }
        }
        _ => {}
    }
}

/// Maps of which the API server knows more than the chart should.
const OPEN: [&str; 12] = [
    // Shared with charts that this one is a part of.
    "global",
    "podSelector",
    "namespaceSelector",
    "labelSelector",
    "to/items",
    "ports/items",
    "claims/items",
    "nodeAffinity",
    "podAffinity",
    "podAntiAffinity",
    "valueFrom",
    "extraVolumes/items",
];

#[test]
fn the_schema_is_closed_but_where_kubernetes_decides() {
    let schema: Value = serde_json::from_str(&text("values.schema.json")).expect("JSON");
    let mut found = Vec::new();
    maps(&schema, "", &mut found);
    assert!(found.len() > 40, "only {} maps", found.len());
    for (path, map) in found {
        if OPEN.iter().any(|open| path.ends_with(&format!("/{open}"))) {
            continue;
        }
        let more = map.get("additionalProperties");
        let closed = more == Some(&Value::Bool(false));
        let typed = map.get("properties").is_none() && more.is_some_and(Value::is_object);
        assert!(closed || typed, "{path:?} takes anything");
    }
}

/// Follows the references of a schema.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let inner = schema.pointer("/allOf/0").unwrap_or(schema);
    match inner.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let found = root.pointer(reference.trim_start_matches('#'));
            resolved(root, found.expect(reference))
        }
        None => inner,
    }
}

/// The values that the schema has, as far as the defaults go.
fn compared(root: &Value, schema: &Value, value: &Value, path: &str) {
    let schema = resolved(root, schema);
    let fields = schema.get("properties").and_then(Value::as_object);
    let (Some(fields), Value::Object(map)) = (fields, value) else { return };
    for name in map.keys() {
        assert!(fields.contains_key(name), "the schema has no {path}/{name}");
    }
    for (name, field) in fields {
        match map.get(name) {
            Some(value) => compared(root, field, value, &format!("{path}/{name}")),
            // Fields of Kubernetes that have no default here.
            None => assert!(
                path.contains("SecurityContext")
                    || ["/resources", "/strategy", "/affinity", "/dnsConfig"].contains(&path)
                    || path.contains("seccompProfile")
                    || (path.is_empty() && name == "enabled"),
                "values.yaml has no {path}/{name}"
            ),
        }
    }
}

#[test]
fn every_value_is_in_the_schema_and_the_other_way_round() {
    let schema: Value = serde_json::from_str(&text("values.schema.json")).expect("JSON");
    compared(&schema, &schema, &yaml(&text("values.yaml")), "");
}

/// The names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_name = |byte: char| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == '_';
    let words = text.split(|byte| !is_name(byte));
    let ours =
        words.filter(|word| word.starts_with("oauth2_proxy_") || word.starts_with("process_"));
    let family = |word: &str| {
        let ends = ["_bucket", "_count", "_sum"];
        ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
    };
    ours.map(family).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let page = fs::read_to_string(Path::new(TOP).join("docs/metrics.md")).expect("the page");
    for file in ["files/alerts.yaml", "files/dashboard.json"] {
        let asked = metrics(&text(file));
        assert!(asked.len() > 8, "{file}: only {asked:?}");
        let missing: Vec<_> =
            asked.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "{file}: docs/metrics.md does not describe {missing:?}");
    }
}

#[test]
fn every_alert_says_what_is_the_matter_and_is_in_the_page() {
    let page = fs::read_to_string(Path::new(TOP).join("docs/metrics.md")).expect("the page");
    let rules = yaml(&text("files/alerts.yaml"));
    let groups = rules.pointer("/groups").and_then(Value::as_array);
    let rules = groups.into_iter().flatten().filter_map(|group| group.get("rules")?.as_array());
    let mut names = BTreeSet::new();
    for rule in rules.flatten() {
        let name = rule.get("alert").and_then(Value::as_str).expect("a name");
        assert!(names.insert(name), "{name} twice");
        for field in
            ["/expr", "/labels/severity", "/annotations/summary", "/annotations/description"]
        {
            let text = rule.pointer(field).and_then(Value::as_str).unwrap_or_default();
            assert!(!text.is_empty(), "{name} has no {field}");
        }
        assert!(page.contains(&format!("`{name}`")), "docs/metrics.md does not name {name}");
    }
    assert!(names.len() >= 9, "only {names:?}");
}
