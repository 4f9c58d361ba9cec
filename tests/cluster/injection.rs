//! The sidecar comes, follows the object, survives other writers, and goes without a trace.

use crate::stage::{Stage, app, carries, object, status};
use serde_json::Value;
use std::time::Duration;
use tests::eventually::eventually;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn an_annotated_deployment_is_protected_follows_its_object_and_is_given_back_byte_for_byte() {
    let stage = Stage::new("annotate").await;
    let before = stage.snapshot();
    stage.protect().await;
    let address = stage.address();
    assert_eq!(status(&address, "/healthz").await, 200, "a path that is open to everybody");
    let closed = status(&address, "/").await;
    assert!([302, 401, 403, 503].contains(&closed), "without a session the app answered {closed}");

    let pods = stage.pods();
    let mut taken = Vec::new();
    for opened in ["one", "two", "three"] {
        let start = Instant::now();
        stage.space.apply(&object("main", &format!("^/(healthz|{opened})")));
        eventually("the new configuration is in force", Duration::from_secs(20), || async {
            match status(&address, &format!("/{opened}")).await {
                404 => Ok(()),
                other => Err(other),
            }
        })
        .await;
        taken.push(start.elapsed());
    }
    // Other tests keep the machine busy meanwhile, so one of the changes may take longer.
    let quickest = taken.iter().min();
    assert!(quickest < Some(&Duration::from_secs(2)), "changes were in force after {taken:?}");
    assert_eq!(stage.pods(), pods, "a change of the configuration replaced pods");
    let present = |object: &Value| {
        object.pointer("/status/workloads/0/upToDate") == Some(&Value::from(2))
            && object.pointer("/status/observedGeneration")
                == object.pointer("/metadata/generation")
    };
    stage.space.until("o2p/main", "the status says who runs it", present).await;

    stage.give_back().await;
    assert_eq!(stage.snapshot(), before);
    assert_eq!(status(&address, "/").await, 200, "the app is open again");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_writers_leave_the_sidecar_or_it_comes_back() {
    let stage = Stage::new("writers").await;
    stage.protect().await;
    stage.space.apply(&app(1));
    stage.routed().await;
    assert!(carries(&stage.space.get("deployment/web")), "kubectl apply took the sidecar");
    stage.space.ok(
        &["apply", "--server-side", "--force-conflicts", "--field-manager=someone", "-f", "-"],
        Some(&app(1).split("---").next().unwrap_or_default().replace(
            "metadata: {name: web, labels",
            "metadata: {name: web, annotations: {a: b}, labels",
        )),
    );
    stage.routed().await;
    assert!(carries(&stage.space.get("deployment/web")), "server-side apply took the sidecar");
    stage.space.ok(&["scale", "deployment/web", "--replicas=2"], None);
    stage.available().await;
    stage.routed().await;
    assert!(carries(&stage.space.get("deployment/web")), "scaling took the sidecar");

    stage.space.ok(&["rollout", "undo", "deployment/web"], None);
    stage.space.until("deployment/web", "the sidecar is put back", carries).await;
    let opted_in = |workload: &Value| {
        workload.pointer("/metadata/annotations/oauth2proxy.dev~1inject")
            == Some(&Value::from("main"))
    };
    stage.space.until("deployment/web", "the opt-in is put back", opted_in).await;
    stage.available().await;
    stage.routed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helm_release_is_upgraded_and_rolled_back_around_the_sidecar() {
    let stage = Stage::new("helm").await;
    for version in ["helm3", "helm4"] {
        let release = Release::install(&stage, version);
        let deployment = format!("deployment/{version}");
        stage.space.ok(&["annotate", &deployment, "oauth2proxy.dev/inject=main"], None);
        stage.space.until(&deployment, "the sidecar comes", carries).await;
        let with = |replicas: u64| {
            move |workload: &Value| {
                let number = |pointer: &str| workload.pointer(pointer).and_then(Value::as_u64);
                carries(workload)
                    && number("/spec/replicas") == Some(replicas)
                    && number("/status/readyReplicas") == Some(replicas)
                    && number("/status/updatedReplicas") == Some(replicas)
                    && number("/status/observedGeneration") == number("/metadata/generation")
            }
        };
        stage.space.until(&deployment, "the sidecar runs", with(1)).await;
        release.helm(&["upgrade", version, &release.chart(), "--set=replicas=2,greeting=bye"]);
        let upgraded = stage.space.until(&deployment, "the upgrade runs with it", with(2)).await;
        let greeting = "/spec/template/spec/containers/0/env/0/value";
        assert_eq!(upgraded.pointer(greeting), Some(&Value::from("bye")), "{version} upgrade");
        release.helm(&["rollback", version, "1"]);
        let back = stage.space.until(&deployment, "the old one runs with it", with(1)).await;
        assert_eq!(back.pointer(greeting), Some(&Value::from("hello")), "{version} rollback");
        stage.space.ok(&["annotate", &deployment, "oauth2proxy.dev/inject-"], None);
        stage.space.until(&deployment, "the sidecar is gone", |workload| !carries(workload)).await;
        release.helm(&["uninstall", version]);
    }
}

/// A release of a chart with one Deployment.
struct Release<'a> {
    stage: &'a Stage,
    program: std::path::PathBuf,
    dir: tempfile::TempDir,
}

impl<'a> Release<'a> {
    fn install(stage: &'a Stage, version: &str) -> Self {
        let dir = tests::proxy::temp_dir();
        let chart = dir.path().join("chart");
        let write = |name: &str, text: &str| {
            let path = chart.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file of the chart");
        };
        write("Chart.yaml", "{apiVersion: v2, name: shop, version: 1.0.0}");
        write("values.yaml", "{replicas: 1, greeting: hello}");
        write("templates/deployment.yaml", TEMPLATE);
        let program = tests::cluster::component(version).join("helm");
        let release = Self { stage, program, dir };
        release.helm(&["install", version, &release.chart()]);
        release
    }

    fn chart(&self) -> String {
        self.dir.path().join("chart").display().to_string()
    }

    fn helm(&self, arguments: &[&str]) {
        let mut helm = std::process::Command::new(&self.program);
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(home, self.dir.path().join("helm"));
        }
        let space = &self.stage.space;
        helm.env("KUBECONFIG", space.cluster.kubeconfig());
        let output = helm.args(["--namespace", &space.name]).args(arguments).output();
        let output = output.expect("helm is built");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {}: {error}", arguments.join(" "));
    }
}

const TEMPLATE: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      containers:
        - name: app
          image: ghcr.io/oauth2proxy/sample-app:0.1.0
          env: [{name: GREETING, value: {{ .Values.greeting }}}]
          ports: [{name: http, containerPort: 8080}]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_another_object_is_one_rollout() {
    let stage = Stage::new("move").await;
    stage.protect().await;
    stage.space.apply(&object("other", "^/(healthz|moved)"));
    let rendered =
        |object: &Value| tests::cluster::condition(object, "ConfigRendered").starts_with("True");
    stage.space.until("o2p/other", "its configuration is written", rendered).await;
    let before = stage.rollouts();
    stage
        .space
        .ok(&["annotate", "--overwrite", "deployment/web", "oauth2proxy.dev/inject=other"], None);
    let routed = |object: &Value| {
        object.pointer("/status/workloads/0/traffic") == Some(&Value::from("Routed"))
    };
    stage.space.until("o2p/other", "traffic is routed", routed).await;
    assert_eq!(stage.rollouts(), before + 1);
    // Routed is what the old pods are too; the other object's rules hold when the new ones have taken over.
    eventually("the other object's rules hold", Duration::from_mins(1), || async {
        match status(&stage.address(), "/moved").await {
            404 => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_injected_is_named_with_the_next_step() {
    let stage = Stage::new("refuse").await;
    let workload = |name: &str, pod: &str| {
        format!(
            "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, annotations: {{oauth2proxy.dev/inject: main}}}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {pod}
"
        )
    };
    let cases = [
        (
            "several",
            "{containers: [{name: a, image: x, ports: [{containerPort: 1, name: one}, {containerPort: 2}]}]}",
            "1 (one of a), 2 (of a)",
        ),
        (
            "taken",
            "{containers: [{name: a, image: x, ports: [{containerPort: 4180}, {containerPort: 80}]}]}",
            "oauth2proxy.dev/upstream-port",
        ),
        (
            "name",
            "{containers: [{name: oauth2-proxy, image: x, ports: [{containerPort: 80}]}]}",
            "NameCollision",
        ),
        (
            "host",
            "{hostNetwork: true, containers: [{name: a, image: x, ports: [{containerPort: 80}]}]}",
            "hostNetwork",
        ),
    ];
    for (name, pod, _) in cases {
        stage.space.apply(&workload(name, pod));
    }
    for (name, _, text) in cases {
        let named = |object: &Value| {
            let workloads = object.pointer("/status/workloads").and_then(Value::as_array);
            workloads.into_iter().flatten().any(|workload| {
                workload.get("name") == Some(&Value::from(name))
                    && workload
                        .get("message")
                        .and_then(Value::as_str)
                        .is_some_and(|message| message.contains(text))
            })
        };
        stage.space.until("o2p/main", &format!("{name} is refused with {text:?}"), named).await;
        assert!(!carries(&stage.space.get(&format!("deployment/{name}"))));
    }
}

/// As where a security context constraint assigns a user to every container that names none.
#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_runs_as_the_user_that_the_cluster_assigns() {
    let mut stage = Stage::without_operator("assigned").await;
    let assigned = "runAsUser: 1000680000, runAsGroup: 0, runAsNonRoot: true";
    stage.space.apply(&app(1).replace(
        "      containers:",
        &format!("      securityContext: {{{assigned}}}\n      containers:"),
    ));
    let flags = ["--proxy-run-as-user=none", "--proxy-run-as-group=none"];
    stage.operator = Some(stage.start_operator_with(&flags).await);
    stage.protect().await;
    let context = "/spec/template/spec/initContainers/0/securityContext";
    let workload = stage.space.get("deployment/web");
    let context = workload.pointer(context).cloned().unwrap_or_default();
    assert!(context.get("runAsUser").is_none(), "{context}");
    assert_eq!(context.get("runAsNonRoot"), Some(&Value::from(true)), "{context}");
    assert_eq!(status(&stage.address(), "/healthz").await, 200);
    assert_ne!(status(&stage.address(), "/").await, 200);
}
