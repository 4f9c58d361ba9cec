//! Which files a pod has by its own specification, whatever the object says by now. Pure.

use super::NAME;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Names of files.
pub(crate) type Files = BTreeSet<String>;

/// A volume, as far as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Volume {
    name: String,
    projected: Option<Projected>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Projected {
    sources: Vec<Source>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    secret: Entries,
    config_map: Entries,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entries {
    items: Vec<Item>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    path: String,
}

/// Those that the volume of the proxy has one by one. What is mounted with whatever entries it has is not among them.
pub(crate) fn files(volumes: &[Volume]) -> Files {
    let ours = volumes.iter().filter(|volume| volume.name == NAME);
    let sources = ours.filter_map(|volume| volume.projected.as_ref()).flat_map(|all| &all.sources);
    sources
        .flat_map(|source| source.secret.items.iter().chain(&source.config_map.items))
        .map(|item| item.path.clone())
        .collect()
}

/// Those of the pods that a workload makes from now on; none if they do not get the proxy.
pub(crate) fn files_of(workload: &Value) -> Option<Files> {
    let volumes = workload.pointer("/spec/template/spec/volumes")?;
    let volumes: Vec<Volume> = serde_json::from_value(volumes.clone()).ok()?;
    volumes.iter().any(|volume| volume.name == NAME).then(|| files(&volumes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_controller::tests::valid;
    use serde_json::json;

    #[test]
    fn the_files_of_a_volume_are_those_that_it_was_rendered_with() {
        let spec = valid(json!({
            "access": {"emailsFrom": {"configMapKeyRef": {"name": "people", "key": "list"}}},
        }));
        let template = json!({"spec": {"volumes": [
            {"name": "data", "projected": {"sources": [{"secret": {"name": "a", "items": [{"key": "a", "path": "a"}]}}]}},
            {"name": "cache", "emptyDir": {}},
            super::super::volumes::render(&spec),
        ]}});
        let workload = json!({"spec": {"template": template}});
        let expected = ["client-secret", "emails"].map(str::to_owned);
        assert_eq!(files_of(&workload), Some(expected.into()));
        let bare = json!({"spec": {"template": {"spec": {"volumes": [{"name": "cache"}]}}}});
        assert_eq!(files_of(&bare), None);
        assert_eq!(files_of(&json!({})), None);
    }
}
