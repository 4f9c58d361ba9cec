//! The files that a configuration refers to: which they are, so that they can be watched, and whether roots that are read only
//! when they are needed can be, so that a mistake is named at the start and not at the first login.

use crate::secrets::read_named;
use crate::trust::Roots;
use proxy_config::{Config, Problems, Secret, Store};
use std::path::PathBuf;

/// All files that `config` names, in no order.
pub(crate) fn named(config: &Config) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        config.session.keys.iter().filter_map(Secret::file).cloned().collect();
    for provider in &config.providers {
        files.extend(provider.secret_files());
        files.extend(provider.tls.ca_files.iter().cloned());
    }
    if let Store::Redis(redis) = &config.session.store {
        files.extend(redis.url.file().cloned());
        files.extend(redis.password.as_ref().and_then(Secret::file).cloned());
        files.extend(redis.ca_file.clone());
    }
    if let Some(https) = &config.listeners.https {
        files.push(https.certificate_file.clone());
        files.extend(https.key.file().cloned());
    }
    files.extend(config.access.emails_file.clone());
    files
}

/// Notes files of roots that are missing or hold none. All others are read where they are used.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    for (i, provider) in config.providers.iter().enumerate() {
        if provider.tls.insecure_skip_verify {
            continue;
        }
        for (j, path) in provider.tls.ca_files.iter().enumerate() {
            let text = read_named(path);
            if let Err(what) = text.and_then(|text| Roots::none().add_file(path, &text)) {
                problems.add(format!("providers[{i}].tls.caFiles[{j}]"), what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// What stands below names that end in `file` or `files`, as those of all files do.
    fn written(value: &Value, named: bool, files: &mut BTreeSet<PathBuf>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                let name = name.to_lowercase();
                written(value, name.ends_with("file") || name.ends_with("files"), files);
            }),
            Value::Array(values) => values.iter().for_each(|value| written(value, named, files)),
            Value::String(path) if named => drop(files.insert(path.into())),
            _ => {}
        }
    }

    #[test]
    fn every_file_that_a_configuration_names_is_watched() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/golden");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let mut expected = BTreeSet::new();
            written(&serde_json::from_slice(&bytes).unwrap(), false, &mut expected);
            let named: BTreeSet<_> = named(&Config::parse(&bytes).unwrap()).into_iter().collect();
            assert_eq!(named, expected, "{}", path.display());
            count += expected.len();
        }
        assert!(count > 20, "{count} files");
    }
}
