//! The demo, brought up with `DEMO_CONTEXT`.

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tests::cluster::{Cluster, component, harness_with};
use tests::process::{free_port, program, root};

const NAMESPACE: &str = "oauth2-proxy-demo";
/// The operator's namespace.
pub(crate) const OPERATOR: &str = "oauth2-proxy-demo-operator";

/// A running demo. A test that fails prints what the cluster shows, and takes the demo down with its cluster.
pub(crate) struct Demo {
    cluster: Cluster,
    /// A cache like the usual one, whose state of a demo is of its own: a person's demo goes on beside the test.
    cache: TempDir,
    port: u16,
    keycloak_port: u16,
}

impl Demo {
    /// Brings up a bare cluster, and the demo in it.
    pub(crate) fn up() -> Self {
        let demo = Self::bare("");
        demo.bring_up();
        demo
    }

    /// As [`Demo::up`], the demo of an earlier release, by the programs in this folder.
    pub(crate) fn of(programs: &Path, name: &str) -> Self {
        let demo = Self::bare(name);
        let mut harness = Command::new(programs.join("harness"));
        harness.envs(demo.environment()).args(["demo", "up", "--from"]).arg(programs);
        let output = harness.output().expect("the harness of that release starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the demo of that release: {error}");
        demo
    }

    fn bare(name: &str) -> Self {
        let cluster = Cluster::bare(&format!("d{}{name}", std::process::id()));
        let cache = cache_beside(cluster.kubeconfig());
        Self { cluster, cache, port: free_port(), keycloak_port: free_port() }
    }

    /// Brings it up, or up to date.
    pub(crate) fn bring_up(&self) {
        program("proxy", "oauth2-proxy");
        program("operator", "oauth2-proxy-operator");
        let programs = program("harness", "sample-app");
        let from = programs.parent().expect("a folder").display().to_string();
        let output = self.harness(&["demo", "up", "--from", &from]);
        let told = String::from_utf8_lossy(&output);
        for word in [&self.url(""), "alice", "wonderland", "bob", "gatecrasher"] {
            assert!(told.contains(word), "the demo does not tell {word}:\n{told}");
        }
    }

    /// Tries to bring it up with other choices, and returns what the harness says against that.
    pub(crate) fn refused(&self, choices: &[(&str, &str)]) -> String {
        let mut harness = Command::new(program("harness", "harness"));
        harness.envs(self.environment()).envs(choices.iter().copied());
        // Not to build anything where it is not refused at once.
        harness.args(["demo", "up", "--from", "/nonexistent"]);
        let output = harness.current_dir(root()).output().expect("the harness starts");
        assert!(!output.status.success(), "a demo came up with {choices:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// How often Helm wrote the operator's release.
    pub(crate) fn revisions(&self) -> usize {
        let get = ["get", "secrets", "-l", "owner=helm", "-o", "name"];
        let operator = ["--namespace", OPERATOR];
        self.cluster.ok(&[&operator[..], &get[..]].concat(), None).lines().count()
    }

    /// Removes it, and sees that nothing of it is left in the cluster.
    pub(crate) fn down(self) {
        self.harness(&["demo", "down"]);
        let left = |kind: &str| {
            let names = self.cluster.ok(&["get", kind, "-o", "name"], None);
            names
                .lines()
                .filter(|name| name.contains("oauth2"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for kind in ["namespaces", "crds", "clusterroles", "clusterrolebindings"] {
            assert_eq!(left(kind), [""; 0], "{kind} are left");
        }
        for port in [self.port, self.keycloak_port] {
            let answers = std::net::TcpStream::connect(("127.0.0.1", port));
            assert!(answers.is_err(), "something still listens on port {port}");
        }
    }

    /// The cluster that it is in.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A URL of the sample app.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Address of a Service of the demo.
    pub(crate) fn address(&self, service: &str) -> String {
        let address = self.ok(&["get", "service", service, "-o", "jsonpath={.spec.clusterIP}"]);
        format!("{address}:80")
    }

    /// kubectl in the demo's namespace.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.cluster.ok(&[&["--namespace", NAMESPACE], arguments].concat(), None)
    }

    /// The `OAuth2Proxy`.
    pub(crate) fn object(&self) -> Value {
        serde_json::from_str(&self.ok(&["get", "oauth2proxy", "main", "-o", "json"]))
            .unwrap_or_default()
    }

    /// Names of the app's running pods.
    pub(crate) fn pods(&self) -> Vec<String> {
        let get = ["get", "pods", "--selector=app.kubernetes.io/name=sample-app"];
        let running = ["--field-selector=status.phase=Running", "-o", "name"];
        let mut names: Vec<String> =
            self.ok(&[&get[..], &running[..]].concat()).lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The operator's chart.
    pub(crate) fn chart() -> String {
        root().join("charts/oauth2-proxy-operator").display().to_string()
    }

    /// Runs `helm3` or `helm4` in the operator's namespace.
    pub(crate) fn helm(&self, version: &str, arguments: &[&str]) {
        let mut helm = Command::new(component(version).join("helm"));
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(home, self.cache.path().join("helm"));
        }
        helm.env("KUBECONFIG", self.cluster.kubeconfig())
            .args(["--namespace", OPERATOR])
            .args(arguments);
        let output = helm.output().expect("helm is built");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{version} {}:\n{}{}",
            arguments.join(" "),
            text(&output.stdout),
            text(&output.stderr)
        );
    }

    fn harness(&self, arguments: &[&str]) -> Vec<u8> {
        let environment = self.environment();
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        harness_with(&environment, arguments).stdout
    }

    fn environment(&self) -> [(&'static str, String); 5] {
        let text = |path: &Path| path.display().to_string();
        [
            ("OAUTH2_PROXY_OPERATOR_CACHE", text(self.cache.path())),
            ("KUBECONFIG", text(self.cluster.kubeconfig())),
            ("DEMO_CONTEXT", self.cluster.name().to_owned()),
            ("DEMO_PORT", self.port.to_string()),
            ("DEMO_KEYCLOAK_PORT", self.keycloak_port.to_string()),
        ]
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let show =
                ["get", "pods,services,deployments,o2p,events", "--all-namespaces", "-o", "wide"];
            let state = self.cluster.kubectl(&show, None);
            let _ = std::io::Write::write_all(&mut std::io::stderr(), &state.stdout);
            let logs = [
                "logs",
                "--namespace",
                OPERATOR,
                "--prefix",
                "--tail=200",
                "--selector=app.kubernetes.io/component!=test",
            ];
            let logs = self.cluster.kubectl(&logs, None);
            let _ = std::io::Write::write_all(&mut std::io::stderr(), &logs.stdout);
            self.harness(&["demo", "down"]);
        }
    }
}

/// All but the demo's state is shared with the cache that the cluster is in.
fn cache_beside(kubeconfig: &Path) -> TempDir {
    let usual = kubeconfig.ancestors().nth(3).expect("the cache");
    let beside = tests::proxy::temp_dir();
    for folder in ["clusters", "components", "downloads", "images", "locks"] {
        std::fs::create_dir_all(usual.join(folder)).expect("the usual cache");
        std::os::unix::fs::symlink(usual.join(folder), beside.path().join(folder)).expect("a link");
    }
    beside
}
