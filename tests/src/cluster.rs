//! A real cluster for the tests of one process, and the operator beside it as a process.
//!
//! Every test has a namespace of its own. When a test fails, the state of its namespace is printed.

mod account;

use crate::eventually::eventually;
use crate::process::{Process, free_port, program, root};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

/// A running cluster; removed when the last test that holds it has ended.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
}

impl Cluster {
    /// The cluster of this process, brought up if no test holds it.
    ///
    /// # Panics
    /// When it does not come up; the message says what is missing.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let cluster = Self::with_definition(&format!("t{}", std::process::id()));
        *shared = Arc::downgrade(&cluster);
        cluster
    }

    /// A cluster of this name with the definition of `OAuth2Proxy`.
    ///
    /// # Panics
    /// As [`Cluster::shared`].
    #[must_use]
    pub fn with_definition(name: &str) -> Arc<Self> {
        let cluster = Arc::new(Self::bare(name));
        cluster.install_crd();
        cluster
    }

    /// A cluster of this name as it comes: nothing of this project is in it.
    ///
    /// # Panics
    /// As [`Cluster::shared`].
    #[must_use]
    pub fn bare(name: &str) -> Self {
        Self::up(&["cluster", "up", "--name", name], name)
    }

    /// Only etcd and an API server, with the definition; it records what service accounts ask of it, and nothing runs pods.
    ///
    /// # Panics
    /// As [`Cluster::shared`].
    #[must_use]
    pub fn api_server(name: &str) -> Self {
        let cluster = Self::up(&["cluster", "up", "--api-only", "--name", name], name);
        cluster.install_crd();
        cluster
    }

    fn up(arguments: &[&str], name: &str) -> Self {
        let output = harness(arguments);
        let kubeconfig = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        Self { name: name.to_owned(), kubeconfig, kubectl: component("kubernetes").join("kubectl") }
    }

    fn install_crd(&self) {
        let crds = root().join("crds");
        self.ok(&["apply", "-f", &crds.display().to_string()], None);
        let established = ["wait", "--for=condition=Established", "--timeout=60s"];
        self.ok(&[&established[..], &["crd/oauth2proxies.oauth2proxy.dev"]].concat(), None);
    }

    /// Its name, for the harness.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs kubectl; `input` is its standard input.
    ///
    /// # Panics
    /// When kubectl can not be started.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub fn kubectl(&self, arguments: &[&str], input: Option<&str>) -> Output {
        let mut child = Command::new(&self.kubectl)
            .env("KUBECONFIG", &self.kubeconfig)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl is built");
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("kubectl reads");
        }
        child.wait_with_output().expect("kubectl ends")
    }

    /// As [`Cluster::kubectl`], and its standard output.
    ///
    /// # Panics
    /// When kubectl fails.
    #[expect(clippy::must_use_candidate, reason = "most calls are for what they do")]
    pub fn ok(&self, arguments: &[&str], input: Option<&str>) -> String {
        let output = self.kubectl(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {}: {error}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The events of the audit log so far, one JSON object each.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        let log = self.kubeconfig.with_file_name("log").join("audit.json");
        let text = std::fs::read_to_string(log).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Starts a replica of the operator, with `flags` added and the rights of the chart, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn operator(&self, replica: &str, flags: &[&str]) -> Operator {
        let port = free_port();
        let dir = crate::proxy::temp_dir();
        let mut command = Command::new(program("operator", "oauth2-proxy-operator"));
        command
            .env("KUBECONFIG", self.account(flags, dir.path()))
            .env("POD_NAME", replica)
            .env("POD_NAMESPACE", account::NAMESPACE);
        command.args(["run", "--proxy-image=example.com/oauth2-proxy:test", "--log-format=text"]);
        command.arg(format!("--admin-address=127.0.0.1:{port}")).args(flags);
        let log = dir.path().join("operator.log");
        let mut process = Process::start(command, log, "build it with: cargo build -p operator");
        let url = format!("http://127.0.0.1:{port}");
        eventually("the operator is ready", Duration::from_mins(1), || {
            let (ended, output, url) =
                (process.exit_code(), process.output(), format!("{url}/readyz"));
            async move {
                assert_eq!(ended, None, "the operator ended:\n{output}");
                match crate::client::get(&url).await {
                    Ok(answer) if answer.status().is_success() => Ok(()),
                    other => Err(format!("{other:?}\n{output}")),
                }
            }
        })
        .await;
        Operator { url, process, dir }
    }

    /// A namespace for one test.
    #[must_use]
    pub fn namespace(self: &Arc<Self>, name: &str) -> Namespace {
        self.ok(&["create", "namespace", name], None);
        Namespace { cluster: Arc::clone(self), name: name.to_owned() }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(harness(&["cluster", "down", "--name", &self.name]));
    }
}

/// The folder with the programs of a component, such as `kubernetes`, `helm3` or `helm4`; built if need be.
///
/// # Panics
/// When it does not build.
#[must_use]
#[expect(clippy::panic, reason = "the way a test fails")]
pub fn component(name: &str) -> PathBuf {
    static FOLDERS: OnceLock<String> = OnceLock::new();
    let folders = FOLDERS
        .get_or_init(|| String::from_utf8_lossy(&harness(&["components"]).stdout).into_owned());
    let is = |folder: &&str| {
        let last = Path::new(folder).file_name().and_then(|last| last.to_str());
        last.is_some_and(|last| last.starts_with(&format!("{name}-")))
    };
    folders
        .lines()
        .find(is)
        .map_or_else(|| panic!("no component {name} among:\n{folders}"), PathBuf::from)
}

/// Runs the harness, with `environment` beside what is set already.
///
/// # Panics
/// When it fails, unless the test has failed already.
#[expect(
    clippy::expect_used,
    clippy::must_use_candidate,
    reason = "the way a test fails; most calls are for what they do"
)]
pub fn harness_with(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let output = Command::new(program("harness", "harness"))
        .envs(environment.iter().copied())
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .expect("the harness starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || std::thread::panicking(),
        "harness {}: {error}",
        arguments.join(" ")
    );
    output
}

fn harness(arguments: &[&str]) -> Output {
    harness_with(&[], arguments)
}

/// A replica of the operator.
#[derive(Debug)]
pub struct Operator {
    /// Of its admin listener.
    pub url: String,
    /// The process, for its output, signals and exit code.
    pub process: Process,
    /// Holds its log.
    pub dir: tempfile::TempDir,
}

impl Operator {
    /// What Prometheus would read now; empty if there is no answer.
    pub async fn metrics(&self) -> String {
        match crate::client::get(&format!("{}/metrics", self.url)).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

/// A namespace that goes with its test.
#[derive(Debug)]
pub struct Namespace {
    /// The cluster that it is in.
    pub cluster: Arc<Cluster>,
    /// Its name.
    pub name: String,
}

impl Namespace {
    /// Runs kubectl in this namespace.
    ///
    /// # Panics
    /// When it fails.
    #[expect(clippy::must_use_candidate, reason = "most calls are for what they do")]
    pub fn ok(&self, arguments: &[&str], input: Option<&str>) -> String {
        self.cluster.ok(&[&["--namespace", &self.name], arguments].concat(), input)
    }

    /// Applies manifests.
    ///
    /// # Panics
    /// When the API server refuses them.
    pub fn apply(&self, manifests: &str) {
        self.ok(&["apply", "-f", "-"], Some(manifests));
    }

    /// What the API server says when it refuses manifests.
    ///
    /// # Panics
    /// When it takes them.
    #[must_use]
    pub fn refusal(&self, manifests: &str) -> String {
        let arguments = ["--namespace", &self.name, "apply", "-f", "-"];
        let output = self.cluster.kubectl(&arguments, Some(manifests));
        assert!(!output.status.success(), "taken:\n{manifests}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// An object as JSON; null if it does not exist.
    ///
    /// # Panics
    /// When kubectl prints something else.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub fn get(&self, object: &str) -> Value {
        let text = self.ok(&["get", object, "--ignore-not-found", "-o", "json"], None);
        if text.trim().is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).expect("kubectl prints JSON")
        }
    }

    /// Waits until `check` of an object holds, and gives the object back.
    ///
    /// # Panics
    /// When it does not within two minutes, which a busy machine may need for a rollout; the message holds the object.
    pub async fn until(&self, object: &str, what: &str, check: impl Fn(&Value) -> bool) -> Value {
        eventually(what, Duration::from_mins(2), || {
            let value = self.get(object);
            let holds = check(&value);
            async move { if holds { Ok(value) } else { Err(format!("{value:#}")) } }
        })
        .await
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let arguments =
                ["--namespace", &self.name, "get", "all,secrets,o2p,events", "-o", "wide"];
            let state = self.cluster.kubectl(&arguments, None);
            let _ = std::io::Write::write_all(&mut std::io::stderr(), &state.stdout);
        }
        let arguments = ["delete", "namespace", &self.name, "--wait=false"];
        drop(self.cluster.kubectl(&arguments, None));
    }
}

/// The status and reason of a condition of an object, such as `True Rendered`.
#[must_use]
pub fn condition(object: &Value, type_: &str) -> String {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.get("type").is_some_and(|t| t == type_));
    let text = |field: &str| {
        found.and_then(|c| c.get(field)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    format!("{} {}", text("status"), text("reason"))
}

/// The message of a condition of an object.
#[must_use]
pub fn message(object: &Value, type_: &str) -> String {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.get("type").is_some_and(|t| t == type_));
    found.and_then(|c| c.get("message")).and_then(Value::as_str).unwrap_or_default().to_owned()
}
