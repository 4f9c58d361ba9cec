//! The file as a product: its schema, and files that every later version must read.

use crate::Config;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_committed_schema_is_fresh() {
    let committed = std::fs::read_to_string(folder().join("schema.json")).unwrap_or_default();
    let hint = "schema.json is stale: run `cargo run -p proxy-config --example schema`";
    assert!(committed == Config::schema_json(), "{hint}");
}

/// Files in `golden/` are never edited: a proxy that outlives its operator, and the other way round, must read them.
#[test]
fn golden_files_are_read_as_ever_and_are_valid() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder().join("golden")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let config =
            Config::parse(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(config.problems(), Ok(()), "{}", path.display());
        let again = Config::parse(config.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(again, config, "{} does not survive a round trip", path.display());
        count += 1;
    }
    assert_eq!(count, 10);
}

/// The names of all members, each with those above it; of lists, those of all elements.
fn members(value: &Value, above: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(all) => {
            for (name, value) in all {
                let name = format!("{above}.{name}");
                members(value, &name, found);
                found.insert(name);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| members(value, above, found)),
        _ => {}
    }
}

/// Proxies that are older refuse what they do not know. So a new field is left out while it says nothing
/// (`skip_serializing_if`), or an updated operator would stop every sidecar that is not yet replaced.
#[test]
fn nothing_is_written_unasked_that_the_first_release_does_not_know() {
    let read = |name: &str| std::fs::read(folder().join("golden").join(name)).unwrap();
    let of = |value: &Value| {
        let mut found = BTreeSet::new();
        members(value, "", &mut found);
        found
    };
    let first = std::fs::read_to_string(folder().join("levels/1.txt")).unwrap();
    let first: BTreeSet<String> = first.lines().map(str::to_owned).collect();
    for entry in std::fs::read_dir(folder().join("golden")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let given = of(&serde_json::from_slice(&read(&name)).unwrap());
        let written = Config::parse(&read(&name)).unwrap().to_json().unwrap();
        let written = of(&serde_json::from_str(&written).unwrap());
        let added: Vec<_> =
            written.iter().filter(|m| !given.contains(*m) && !first.contains(*m)).collect();
        assert!(added.is_empty(), "{name}: written although nobody asked: {added:?}");
    }
}

#[test]
fn what_the_schema_does_not_know_is_refused_with_its_path() {
    for (change, path) in [
        (r#""session": {"keys": [], "colour": 1}"#, "session.colour"),
        (r#""session": {"keys": [{"value": "secret"}]}"#, "session.keys[0]"),
        (r#""session": {"keys": []}, "limits": {"drainTimeout": "5"}"#, "limits.drainTimeout"),
        (r#""session": {"keys": []}, "extra": 1"#, "extra"),
    ] {
        let text = format!(r#"{{"version": "v1", "listeners": {{}}, "providers": [], {change}}}"#);
        let error = Config::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(path), "{change}: {error}");
    }
    assert!(Config::parse(br#"{"version": "v2"}"#).unwrap_err().to_string().starts_with("version"));
}
