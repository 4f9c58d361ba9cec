//! The files that a configuration refers to.

use crate::{Config, Secret, Store};
use std::path::PathBuf;

impl Config {
    /// All of them, in no order.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = self.mounted_files();
        files.extend(self.session.keys.iter().filter_map(Secret::file).cloned());
        files
    }

    /// Those that a pod has if its specification names them, and not otherwise: all but the keys, which come and go with the
    /// entries of one Secret.
    #[must_use]
    pub fn mounted_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for provider in &self.providers {
            files.extend(provider.secret_files());
            files.extend(provider.tls.ca_files.iter().cloned());
        }
        if let Store::Redis(redis) = &self.session.store {
            files.extend(redis.url.file().cloned());
            files.extend(redis.password.as_ref().and_then(Secret::file).cloned());
            files.extend(redis.ca_file.clone());
        }
        if let Some(https) = &self.listeners.https {
            files.push(https.certificate_file.clone());
            files.extend(https.key.file().cloned());
        }
        files.extend(self.access.emails_file.clone());
        files
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
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let mut expected = BTreeSet::new();
            written(&serde_json::from_slice(&bytes).unwrap(), false, &mut expected);
            let config = Config::parse(&bytes).unwrap();
            let named: BTreeSet<_> = config.files().into_iter().collect();
            assert_eq!(named, expected, "{}", path.display());
            let mounted: BTreeSet<_> = config.mounted_files().into_iter().collect();
            let keys = config.session.keys.iter().filter_map(Secret::file).cloned();
            assert!(mounted.is_disjoint(&keys.collect()), "{}", path.display());
            count += expected.len();
        }
        assert!(count > 20, "{count} files");
    }
}
