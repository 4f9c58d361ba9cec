//! Every set of claims and pods that can be behind a Service.

use super::*;
use crate::workload::Kind;
use json_patch::Patch;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

const PORTS: Ports = Ports { proxy: 4180, admin: 44180, upstream: 8080 };
/// Longer than a workload that is gone is waited for.
const LONG: Option<Duration> = Some(Duration::from_hours(1));
const JUST_NOW: Option<Duration> = Some(Duration::ZERO);
const NAMES: [&str; 4] = ["blue", "canary", "green", "web"];

fn workload(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "spec": {"selector": {"matchLabels": {"name": name}}, "template": {
            "metadata": {"labels": {"name": name, "app": "web"}},
            "spec": {"containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}]},
        }},
    })
}

prop_compose! {
    fn claim()(
        stance in prop_oneof![
            Just(Stance::Protected(PORTS)),
            Just(Stance::Protected(Ports { upstream: 9090, ..PORTS })),
            Just(Stance::Asking(None)), Just(Stance::Asking(Some(PORTS))), Just(Stance::Leaving(PORTS)), Just(Stance::Open),
        ],
        mode in prop_oneof![Just(Traffic::Auto), Just(Traffic::Retarget), Just(Traffic::Companion)],
        paused in any::<bool>(),
        protected_before in any::<bool>(),
        said in any::<bool>(),
    ) -> Claim {
        Claim {
            reference: WorkloadRef::deployment("shop", ""),
            workload: Value::Null,
            stance, mode, said, paused, protected_before,
            object: None,
        }
    }
}

fn gone() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![Just(None), Just(JUST_NOW), Just(LONG)]
}

/// At most one claim of each name.
fn claims() -> impl Strategy<Value = Vec<Claim>> {
    vec(proptest::option::of(claim()), NAMES.len()).prop_map(|claims| {
        let named = claims.into_iter().zip(NAMES).filter_map(|(claim, name)| Some((claim?, name)));
        named
            .map(|(claim, name)| Claim {
                reference: WorkloadRef::deployment("shop", name),
                workload: workload(name),
                ..claim
            })
            .collect()
    })
}

prop_compose! {
    fn pods()(pods in vec((0..NAMES.len(), any::<[bool; 3]>()), 0..5)) -> Vec<PodFacts> {
        let pod = |(number, (name, [carries, terminating, ready])): (usize, (usize, [bool; 3]))| PodFacts {
            name: format!("{}-{number}", NAMES[name]),
            uid: number.to_string(),
            labels: [("name".to_owned(), NAMES[name].to_owned())].into(),
            terminating,
            sidecar: carries.then_some((4180, 44180)),
            ready,
            started: true,
            address: None,
            stuck: None,
            files: std::collections::BTreeSet::new(),
        };
        pods.into_iter().enumerate().map(pod).collect()
    }
}

/// What became of the Service since it was turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    NeverTurned,
    Turned,
    /// Somebody applied it again: the marks stay, the targets are those of before.
    Reverted,
    /// The same, and the label was taken away.
    Unlabelled,
}

fn service(past: Past, owner: &str, managed: bool) -> Value {
    let mut service = json!({
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "3"},
        "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": "web"},
                 "ports": [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 9090}]},
    });
    if past != Past::NeverTurned {
        let workload = workload(owner);
        let one = Protected { kind: Kind::Deployment, workload: &workload, ports: PORTS };
        service = patched(&service, &traffic::turn(&service, &[one], &one, false).unwrap());
    }
    if matches!(past, Past::Reverted | Past::Unlabelled) {
        service["spec"]["ports"][0]["targetPort"] = json!("http");
    }
    if past == Past::Unlabelled {
        service["metadata"].as_object_mut().unwrap().remove("labels");
    }
    if managed {
        service["metadata"]["annotations"]["meta.helm.sh/release-name"] = json!("shop");
    }
    service
}

fn services() -> impl Strategy<Value = Value> {
    let past = prop_oneof![
        Just(Past::NeverTurned),
        Just(Past::Turned),
        Just(Past::Reverted),
        Just(Past::Unlabelled),
    ];
    (past, prop_oneof![Just("web"), Just("blue"), Just("gone")], any::<bool>())
        .prop_map(|(past, owner, managed)| service(past, owner, managed))
}

fn patched(service: &Value, patch: &Value) -> Value {
    let operations: Patch = serde_json::from_value(patch.clone()).unwrap();
    let mut after = service.clone();
    json_patch::patch(&mut after, &operations).unwrap();
    after
}

/// The Service after the decision.
fn after(facts: &Facts<'_>) -> Value {
    match decide(facts).change {
        Some(change) => patched(facts.service, change.patch()),
        None => facts.service.clone(),
    }
}

/// Whether the first port, which is the one that was turned, leads to the application.
fn is_open(service: &Value) -> bool {
    service["spec"]["ports"][0]["targetPort"] == "http"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_was_protected_is_open_for_nobody_who_relies_on_it(
        service in services(), claims in claims(), pods in pods(), gone in gone(),
    ) {
        let facts = Facts { service: &service, claims: &claims, pods: &pods, gone };
        let judgement = decide(&facts);
        let after = after(&facts);
        let relying = || claims.iter().filter(|claim| claim.relies());
        if traffic::is_turned(&service) && relying().any(|claim| !claim.paused) {
            let protects = |claim: &Claim| claim.stance == Stance::Protected(PORTS);
            let unknown = |claim: &Claim| matches!(claim.stance, Stance::Asking(_));
            if relying().any(|claim| (protects(claim) && !claim.paused) || unknown(claim)) {
                prop_assert!(!is_open(&after), "{after:#}");
            }
        }
        if relying().next().is_some() {
            let restored = matches!(judgement.change, Some(Change::Restore { .. }));
            prop_assert!(!restored);
            prop_assert!(traffic::is_turned(&after) || !traffic::is_turned(&service));
        }
        // Whoever opens a Service that led to the proxy opens it for all who could be asked.
        if is_open(&after) && !is_open(&service) {
            let protects = |claim: &&Claim| claim.stance == Stance::Protected(PORTS);
            prop_assert!(relying().find(protects).is_none());
        }
        let recorded = claims.iter().any(|claim| is_recorded(&facts, claim));
        let paused = claims.iter().any(|claim| claim.paused);
        if traffic::is_turned(&service) && !recorded && !paused && gone == JUST_NOW {
            prop_assert!(relying().next().is_some() || !is_open(&after), "{after:#}");
        }
    }

    #[test]
    fn a_second_look_changes_nothing(
        service in services(), claims in claims(), pods in pods(), gone in gone(),
    ) {
        let after = after(&Facts { service: &service, claims: &claims, pods: &pods, gone });
        let again = decide(&Facts { service: &after, claims: &claims, pods: &pods, gone }).change;
        prop_assert!(again.is_none(), "{again:?}");
    }

    #[test]
    fn no_request_is_led_to_a_pod_without_sidecar_the_first_time(claims in claims(), pods in pods()) {
        let service = service(Past::NeverTurned, "web", false);
        let facts = Facts { service: &service, claims: &claims, pods: &pods, gone: LONG };
        let relies = |claim: &Claim| claim.relies() && claim.protected_before;
        if traffic::is_turned(&after(&facts)) && !claims.iter().any(relies) {
            prop_assert!(pods.iter().all(|pod| pod.terminating || pod.sidecar.is_some()));
        }
    }

    #[test]
    fn everybody_concerned_is_told(service in services(), claims in claims(), pods in pods()) {
        let told = decide(&Facts { service: &service, claims: &claims, pods: &pods, gone: LONG }).findings;
        let concerned = claims.iter().filter(|claim| claim.stance != Stance::Open).count();
        prop_assert_eq!(told.len(), concerned);
    }
}

#[test]
fn a_service_whose_workload_is_gone_waits_for_pods_of_nobody_only() {
    let service = service(Past::Turned, "gone", false);
    let leaving = Claim {
        reference: WorkloadRef::deployment("shop", "web"),
        workload: workload("web"),
        stance: Stance::Leaving(PORTS),
        mode: Traffic::Auto,
        said: true,
        paused: false,
        protected_before: true,
        object: None,
    };
    let pod = |of: &str| PodFacts {
        name: format!("{of}-1"),
        uid: "1".to_owned(),
        labels: [("name".to_owned(), of.to_owned())].into(),
        terminating: true,
        sidecar: Some((4180, 44180)),
        ready: true,
        started: true,
        address: None,
        stuck: None,
        files: std::collections::BTreeSet::new(),
    };
    for (of, waits) in [("gone", true), ("web", false)] {
        let pods = [pod(of)];
        let claims = std::slice::from_ref(&leaving);
        let facts = Facts { service: &service, claims, pods: &pods, gone: LONG };
        let judgement = decide(&facts);
        let awaits = if waits { Awaits::Workload } else { Awaits::Nothing };
        assert_eq!((judgement.change.is_none(), judgement.awaits), (waits, awaits), "{of}");
        // It may come again, and its first pods have no sidecar.
        let judgement = decide(&Facts { gone: JUST_NOW, ..facts });
        assert!(judgement.change.is_none() && judgement.awaits == Awaits::Workload, "{of}");
    }
}

#[test]
fn a_service_that_is_changed_back_while_its_workload_is_gone_is_turned_again() {
    let service = service(Past::Reverted, "gone", false);
    let facts = Facts { service: &service, claims: &[], pods: &[], gone: JUST_NOW };
    assert!(!is_open(&after(&facts)));
    assert!(is_open(&after(&Facts { gone: LONG, ..facts })));
}

fn asks(name: &str, stance: Stance) -> Claim {
    Claim {
        reference: WorkloadRef::deployment("shop", name),
        workload: workload(name),
        stance,
        mode: Traffic::Auto,
        said: true,
        paused: false,
        protected_before: false,
        object: None,
    }
}

#[test]
fn a_neighbour_without_a_sidecar_is_whom_the_next_step_is_about() {
    let service = service(Past::NeverTurned, "web", false);
    let claims = [asks("blue", Stance::Protected(PORTS)), asks("green", Stance::Open)];
    let judgement = decide(&Facts { service: &service, claims: &claims, pods: &[], gone: LONG });
    let [(_, Finding::Open(text))] = judgement.findings.as_slice() else {
        panic!("{:?}", judgement.findings)
    };
    assert!(text.contains("\"green\"") && text.contains("annotate its workload too"), "{text}");
    // The neighbour would get no request any more.
    assert!(!text.contains("targetPort"), "{text}");
}

#[test]
fn proxies_on_different_ports_behind_one_service_are_named() {
    let service = service(Past::NeverTurned, "web", false);
    let green = Stance::Protected(Ports { proxy: 4280, ..PORTS });
    let claims = [asks("blue", Stance::Protected(PORTS)), asks("green", green)];
    let judgement = decide(&Facts { service: &service, claims: &claims, pods: &[], gone: LONG });
    assert!(judgement.change.is_none());
    let (_, finding) = judgement.findings.first().unwrap();
    assert!(
        matches!(finding, Finding::Open(text) if text.contains("oauth2proxy.dev/port")),
        "{finding:?}"
    );
}
