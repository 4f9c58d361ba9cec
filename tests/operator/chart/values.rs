//! That there is no value without an effect.

use super::{CHART, HELMS, VERSION, combinations, run, said};
use serde_yaml_ng::Value;
use std::collections::BTreeSet;
use tests::cluster::Cluster;
use tests::process::root;

/// The paths of everything that can be set: texts, numbers, lists, and maps that are empty.
fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(map) if !map.is_empty() => {
            for (name, value) in map {
                leaves(value, &format!("{path}/{}", name.as_str().unwrap_or_default()), found);
            }
        }
        _ => drop(found.insert(path.to_owned())),
    }
}

/// Takes a value away, so that its default counts.
fn without(values: &mut Value, path: &str) {
    if let Some((parent, name)) = path.rsplit_once('/') {
        let mut steps = parent.split('/').filter(|step| !step.is_empty());
        let parent = steps.try_fold(values, |value, step| value.get_mut(step));
        if let Some(Value::Mapping(map)) = parent {
            map.remove(name);
        }
    }
}

fn rendered(version: &str, values: &Value) -> String {
    let folder = tests::proxy::temp_dir();
    let file = folder.path().join("values.yaml");
    let text = serde_yaml_ng::to_string(values).expect("YAML that can be written");
    std::fs::write(&file, text).expect("the folder is there");
    let file = format!("--values={}", file.display());
    // A refusal is an effect as well.
    said(&run(version, &["template", "operator", CHART, VERSION, &file]))
}

#[tokio::test]
async fn every_value_has_an_effect_in_one_of_the_combinations() {
    let _cluster = Cluster::shared();
    let read = |path: &std::path::Path| -> Value {
        let text = std::fs::read_to_string(path).expect("the file is there");
        let mut values: Value = serde_yaml_ng::from_str(&text).expect("YAML that can be read");
        values.apply_merge().expect("no merge keys");
        values
    };
    let mut all = BTreeSet::new();
    leaves(&read(&root().join(CHART).join("values.yaml")), "", &mut all);
    assert!(all.len() > 100, "only {} values", all.len());
    for version in HELMS {
        let mut idle = all.clone();
        for file in combinations() {
            let values = read(&file);
            let with = rendered(version, &values);
            idle.retain(|path| {
                let mut less = values.clone();
                without(&mut less, path);
                less == values || rendered(version, &less) == with
            });
        }
        assert!(idle.is_empty(), "{version}: of no effect in any file of ci: {idle:#?}");
    }
}
