//! Values that are refused, each by a sentence with its name.

use super::{CHART, HELMS, VERSION, run, said};
use tests::cluster::Cluster;

/// What is set, and what the refusal names.
const REFUSED: [(&str, &str); 46] = [
    ("replica=3", "replica"),
    ("replicas=0", "replicas"),
    ("scope.mode=all", "mode"),
    ("scope.exclude={a}", "exclude"),
    ("scope.excludeNamespaces={kube-*}", "excludeNamespaces"),
    ("scope.mode=namespaces,scope.excludeNamespaces={a}", "scope.excludeNamespaces has no effect"),
    ("scope.namespaces={a}", "scope.namespaces has no effect"),
    ("crds.keep=false", "crds.confirmRemoval=true"),
    ("crds.keeps=true", "keeps"),
    ("terminationGracePeriodSeconds=23", "terminationGracePeriodSeconds"),
    ("serviceAccount.create=false", "serviceAccount.name is needed"),
    ("serviceAccount.label.a=b", "label"),
    ("image.digest=sha256:1", "digest"),
    ("image.registri=a", "registri"),
    ("image.pullPolicy=Sometimes", "pullPolicy"),
    ("proxyImage.pullPolicy=Always", "pullPolicy"),
    ("proxySecurityContext.runAsUser=0", "runAsUser"),
    ("proxySecurityContext.privileged=true", "privileged"),
    ("podSecurityContext.runAsNonRoot=false", "runAsNonRoot"),
    ("podSecurityContext.runAsUser=0", "runAsUser"),
    ("podSecurityContext.hostUsers=true", "hostUsers"),
    ("containerSecurityContext.privileged=true", "privileged"),
    ("containerSecurityContext.allowPrivilegeEscalation=true", "allowPrivilegeEscalation"),
    ("containerSecurityContext.capabilities.add={ALL}", "add"),
    ("admin.address=127.0.0.1", "address"),
    ("admin.address=localhost", "address"),
    ("admin.port=0", "port"),
    ("leaderElection.leaseDurationSeconds=13", "leaderElection.leaseDurationSeconds"),
    ("leaderElection.retryPeriodSeconds=6", "leaderElection.retryPeriodSeconds"),
    ("leaderElection.leaseDuration=15s", "leaseDuration"),
    ("concurrency=0", "concurrency"),
    ("resyncMinutes=0", "resyncMinutes"),
    (
        "podDisruptionBudget.minAvailable=1,podDisruptionBudget.maxUnavailable=1",
        "can not both be set",
    ),
    ("podDisruptionBudget.minAvailable=2", "podDisruptionBudget.minAvailable=2"),
    (
        "metrics.serviceMonitor.enabled=true,metrics.service.enabled=false",
        "metrics.service.enabled",
    ),
    ("metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true", "counted twice"),
    ("metrics.podMonitor.scheme=https", "scheme"),
    ("metrics.prometheusRule.disabled={Everything}", "disabled"),
    ("networkPolicy.ingress={a}", "ingress"),
    ("strategy.type=OnDelete", "type"),
    ("dnsPolicy=Cluster", "dnsPolicy"),
    ("extraArgs={--lease-name=a}", "extraArgs"),
    ("extraArgs={--pod-name=a}", "extraArgs"),
    ("extraEnv[0].name=POD_NAME", "extraEnv"),
    ("resources.limit.cpu=1", "limit"),
    ("tests.enable=false", "enable"),
];

#[tokio::test]
async fn values_that_mean_nothing_are_refused_by_name() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        for (set, name) in REFUSED {
            let set = format!("--set={set}");
            let output = run(version, &["template", CHART, VERSION, &set]);
            assert!(!output.status.success(), "{version} took {set}");
            assert!(said(&output).contains(name), "{version} {set}: {}", said(&output));
        }
    }
}

#[tokio::test]
async fn what_charts_around_it_need_is_taken() {
    let _cluster = Cluster::shared();
    for version in HELMS {
        let set = "--set=enabled=false,global.storageClass=fast,global.imagePullSecrets[0].name=a";
        let output = run(version, &["template", CHART, VERSION, set]);
        assert!(output.status.success(), "{version}: {}", said(&output));
    }
}
