//! What a person can choose about the demo, and what is remembered of it until it is removed.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::error::{Doing as _, Error, Result};

/// The ports that the files in `examples/demo` name.
const PORT: u16 = 8400;
const KEYCLOAK_PORT: u16 = 8401;

/// The choices, from the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    /// `DEMO_CONTEXT`: a context of the person's kubeconfig, instead of a cluster of our own.
    pub(crate) context: Option<String>,
    /// `DEMO_PORT`: where the sample app is on loopback.
    pub(crate) port: u16,
    /// `DEMO_KEYCLOAK_PORT`: where Keycloak is on loopback.
    pub(crate) keycloak_port: u16,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self> {
        Ok(Self {
            context: env::var("DEMO_CONTEXT").ok().filter(|context| !context.is_empty()),
            port: port("DEMO_PORT", PORT)?,
            keycloak_port: port("DEMO_KEYCLOAK_PORT", KEYCLOAK_PORT)?,
        })
    }

    /// Says so if one of the ports is in use.
    pub(crate) fn require_free_ports(&self) -> Result<()> {
        for (variable, port) in
            [("DEMO_PORT", self.port), ("DEMO_KEYCLOAK_PORT", self.keycloak_port)]
        {
            TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
                Error::Need(format!(
                    "port {port} on 127.0.0.1 cannot be used ({error}): end what listens there, or choose another with {variable}=<port> make demo"
                ))
            })?;
        }
        Ok(())
    }

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

fn port(variable: &str, default: u16) -> Result<u16> {
    let Ok(value) = env::var(variable) else {
        return Ok(default);
    };
    if value.is_empty() {
        return Ok(default);
    }
    value
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Error::Need(format!("{variable}={value}: use a port from 1 to 65535")))
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
    fn taken_port_is_an_error_that_names_the_variable() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        let error = settings(taken, 0).require_free_ports().unwrap_err().to_string();
        assert!(error.contains("DEMO_PORT=") && error.contains(&taken.to_string()), "{error}");
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
