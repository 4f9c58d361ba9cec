//! What a person can choose about the demo, and what is remembered of it until it is removed.

use std::fs;
use std::path::PathBuf;

use launcher::choice::{Choice, KEYCLOAK_PORT, PORT};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::error::{Doing as _, Result};

/// The choices, as they are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) context: Option<String>,
    pub(crate) port: u16,
    pub(crate) keycloak_port: u16,
}

impl From<Choice> for Settings {
    fn from(Choice { context, port, keycloak_port }: Choice) -> Self {
        Self { context, port, keycloak_port }
    }
}

impl Settings {
    /// The text of a manifest with the chosen ports.
    pub(crate) fn with_ports(&self, manifest: &str) -> String {
        let local = |port: u16| format!("http://localhost:{port}");
        // By way of marks, so that swapped ports do not run into one another.
        manifest
            .replace(&local(PORT), "\u{1}")
            .replace(&local(KEYCLOAK_PORT), "\u{2}")
            .replace('\u{1}', &local(self.port))
            .replace('\u{2}', &local(self.keycloak_port))
    }
}

/// The demo's folder in the cache.
#[derive(Debug, Clone)]
pub(crate) struct State {
    dir: PathBuf,
}

impl State {
    pub(crate) fn in_cache(cache: &Cache) -> Self {
        Self { dir: cache.demo() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(name);
        fs::create_dir_all(&self.dir)
            .and_then(|()| fs::write(&path, content))
            .doing(|| format!("write {}", path.display()))
    }

    /// Keeps the settings for `demo-down`.
    pub(crate) fn remember(&self, settings: &Settings) -> Result<()> {
        let text = serde_json::to_vec_pretty(settings).map_err(std::io::Error::from);
        self.write("settings.json", text.doing(|| "describe the demo".to_owned())?)
    }

    /// The settings of the demo that is up, if one is.
    pub(crate) fn remembered(&self) -> Option<Settings> {
        serde_json::from_slice(&fs::read(self.path("settings.json")).ok()?).ok()
    }

    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).doing(|| format!("remove {}", self.dir.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(port: u16, keycloak_port: u16) -> Settings {
        Settings { context: None, port, keycloak_port }
    }

    #[test]
    fn chosen_ports_replace_the_usual_ones_even_when_swapped() {
        let text = "a: http://localhost:8400/x\nb: http://localhost:8401/y\nport: 8400\n";
        assert_eq!(
            settings(8401, 8400).with_ports(text),
            "a: http://localhost:8401/x\nb: http://localhost:8400/y\nport: 8400\n"
        );
        assert_eq!(settings(8400, 8401).with_ports(text), text);
    }

    #[test]
    fn files_of_the_demo_name_the_usual_ports() {
        let folder = crate::cache::repository().join("examples/demo");
        let all: String = fs::read_dir(folder)
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        for port in [PORT, KEYCLOAK_PORT] {
            assert!(all.contains(&format!("http://localhost:{port}")));
        }
        assert!(all.contains(&format!("image: {}", crate::image::keycloak::image_name())));
        assert!(
            all.contains(&format!("image: {}", crate::image::programs::image_name("sample-app")))
        );
    }
}
