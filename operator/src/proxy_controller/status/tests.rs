use super::*;
use crate::condition::find;
use crate::failure::Failure;
use crate::proxy_controller::apply::{Applied, Rollout};
use crate::proxy_controller::tests::object;
use crate::report::{NoLogin, PodReport};
use crate::spec::{Finding, config_is_rendered};
use crds::{ConditionType, Reason, WorkloadKind, WorkloadTraffic};
use serde_json::json;

/// Now, and nothing has failed.
fn at() -> (Timestamp, Option<Timestamp>) {
    (Timestamp::from_second(1_000).unwrap(), None)
}

fn of_applied() -> Applied {
    Applied {
        config_hash: "present-hash-0123".to_owned(),
        earlier_hashes: ["earlier-hash".to_owned()].into(),
        ring_is_settled: true,
        sealing_key: Some("key-1".to_owned()),
        mounted: String::new(),
        standalone: Ok(None),
    }
}

fn applied(standalone: Option<Rollout>) -> Outcome {
    Outcome::Applied(Applied { standalone: Ok(standalone), ..of_applied() })
}

fn workload(name: &str) -> Workload {
    Workload {
        kind: WorkloadKind::Deployment,
        name: name.to_owned(),
        injected: true,
        pods: 1,
        up_to_date: 1,
        traffic: WorkloadTraffic::Routed,
        message: None,
    }
}

fn pod(hash: Option<&str>) -> PodReport {
    PodReport {
        name: "pod".to_owned(),
        runs: true,
        config_hash: hash.map(str::to_owned),
        reload_error: None,
        issuer: None,
        files: None,
    }
}

fn fleet(workloads: Vec<Workload>, pods: Vec<PodReport>) -> FleetReport {
    FleetReport { workloads, pods, complete: true, ..FleetReport::default() }
}

fn condition(status: &OAuth2ProxyStatus, type_: ConditionType) -> (String, String) {
    let condition = find(&status.conditions, type_).unwrap();
    (condition.status.clone(), condition.reason.clone())
}

fn pair(status: &str, reason: Reason) -> (String, String) {
    (status.to_owned(), reason.as_str().to_owned())
}

#[test]
fn every_outcome_gives_every_condition() {
    let finding = || vec![Finding::new(Reason::InvalidSpec, "spec.x", "is wrong: make it right")];
    for outcome in [
        applied(None),
        Outcome::Invalid(finding()),
        Outcome::Waiting(finding()),
        Outcome::Failed(Failure::conflict("no")),
    ] {
        let status = decide(&object(json!({})), &outcome, &FleetReport::default(), at());
        let types: Vec<_> =
            status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, ConditionType::ALL.map(ConditionType::as_str));
        assert_eq!(status.observed_generation, Some(3));
    }
}

#[test]
fn without_workloads_a_rendered_object_is_ready() {
    let status = decide(&object(json!({})), &applied(None), &fleet(vec![], vec![]), at());
    assert_eq!(condition(&status, ConditionType::Ready), pair("True", Reason::Ready));
    assert_eq!(condition(&status, ConditionType::IssuerReachable), pair("Unknown", Reason::NoPods));
    assert_eq!(status.injected.as_deref(), Some("0/0"));
}

#[test]
fn an_invalid_object_says_all_problems_and_keeps_what_runs() {
    let mut object = object(json!({}));
    object.status = Some(OAuth2ProxyStatus {
        config_hash: Some("old".to_owned()),
        ..OAuth2ProxyStatus::default()
    });
    let findings = ["a", "b"]
        .map(|field| Finding::new(Reason::ReferenceMissing, format!("spec.{field}"), "is missing"));
    let status =
        decide(&object, &Outcome::Waiting(findings.to_vec()), &fleet(vec![], vec![]), at());
    assert_eq!(
        condition(&status, ConditionType::ConfigRendered),
        pair("False", Reason::ReferenceMissing)
    );
    assert_eq!(condition(&status, ConditionType::Ready), pair("False", Reason::ReferenceMissing));
    let message = &find(&status.conditions, ConditionType::Ready).unwrap().message;
    assert_eq!(
        message,
        "spec.a: is missing; spec.b: is missing. The last good configuration stays in force."
    );
    assert_eq!(status.config_hash.as_deref(), Some("old"));
}

#[test]
fn an_api_failure_flips_nothing() {
    let mut object = object(json!({}));
    object.status = Some(decide(
        &object,
        &applied(None),
        &fleet(vec![Workload { pods: 2, up_to_date: 2, ..workload("app") }], vec![]),
        at(),
    ));
    let failed = Outcome::Failed(Failure::conflict("the API server is away"));
    let status = decide(&object, &failed, &FleetReport::default(), at());
    assert_eq!(Some(&status), object.status.as_ref());
}

#[test]
fn what_was_known_counts_for_a_minute_of_failures_and_no_longer() {
    let mut object = object(json!({}));
    object.status = Some(decide(&object, &applied(None), &fleet(vec![], vec![]), at()));
    let (since, report) = (at().0, fleet(vec![], vec![]));
    let away = || Failure::conflict("the API server is away");
    for failed in [
        Outcome::Failed(away()),
        Outcome::Applied(Applied { standalone: Err(away().into()), ..of_applied() }),
    ] {
        for (seconds, expected) in [(59, "True"), (60, "Unknown")] {
            let now = since + SignedDuration::from_secs(seconds);
            let status = decide(&object, &failed, &report, (now, Some(since)));
            assert_eq!(condition(&status, ConditionType::Ready).0, expected, "{seconds}");
        }
    }
}

#[test]
fn a_refusal_of_the_api_server_ends_ready_in_its_own_words() {
    let mut object = object(json!({}));
    object.status = Some(decide(&object, &applied(None), &fleet(vec![], vec![]), at()));
    let status = kube::core::Status::failure("exceeded quota: small", "Forbidden").with_code(403);
    let error = kube::Error::Api(Box::new(status));
    let refused = Outcome::Failed(Failure::api("applying Secret main-config", &error));
    let status = decide(&object, &refused, &fleet(vec![], vec![]), at());
    for type_ in [ConditionType::ConfigRendered, ConditionType::Ready] {
        assert_eq!(condition(&status, type_), pair("False", Reason::ApiRefused));
        let message = &find(&status.conditions, type_).unwrap().message;
        assert!(
            message.contains("applying Secret main-config: exceeded quota: small"),
            "{message}"
        );
    }
    assert_eq!(status.config_hash.as_deref(), Some("present-hash-0123"));
}

#[test]
fn the_second_decision_equals_the_first_so_nothing_is_written() {
    let mut object = object(json!({}));
    let report = fleet(vec![workload("b"), workload("a")], vec![pod(Some("present-hash-0123"))]);
    object.status = Some(decide(&object, &applied(None), &report, at()));
    let later = Timestamp::from_second(5_000).unwrap();
    assert_eq!(Some(decide(&object, &applied(None), &report, (later, None))), object.status);
}

#[test]
fn a_workload_that_can_not_be_injected_comes_first_and_holds_ready_back() {
    let refused = Workload {
        injected: false,
        message: Some("port 4180 is taken".to_owned()),
        ..workload("z")
    };
    let status = decide(
        &object(json!({})),
        &applied(None),
        &fleet(vec![workload("a"), refused], vec![]),
        at(),
    );
    assert_eq!(status.workloads[0].name, "z");
    assert_eq!(status.injected.as_deref(), Some("1/2"));
    assert_eq!(
        condition(&status, ConditionType::WorkloadsInjected),
        pair("False", Reason::InjectionRefused)
    );
    let message = |type_| &find(&status.conditions, type_).unwrap().message;
    let full = "1 of 2 workloads does not carry the sidecar: Deployment z (port 4180 is taken)";
    assert_eq!(message(ConditionType::WorkloadsInjected), full);
    assert_eq!(
        message(ConditionType::Ready),
        "WorkloadsInjected: 1 of 2 workloads does not carry the sidecar: Deployment z"
    );
}

#[test]
fn what_is_in_the_way_of_a_workload_is_told_in_full_once() {
    let words = "the API server refuses it: exceeded quota: small";
    let refused = Workload {
        injected: false,
        traffic: WorkloadTraffic::NotRouted,
        message: Some(words.to_owned()),
        ..workload("z")
    };
    let status = decide(&object(json!({})), &applied(None), &fleet(vec![refused], vec![]), at());
    let told = status.conditions.iter().filter(|condition| condition.message.contains(words));
    assert_eq!(told.map(|one| one.type_.as_str()).collect::<Vec<_>>(), ["WorkloadsInjected"]);
    assert_eq!(
        condition(&status, ConditionType::TrafficRouted),
        pair("False", Reason::InjectionRefused)
    );
    let notes = write::notes(&[], &status.conditions);
    let told = notes.iter().filter(|note| note.text.contains("Deployment z"));
    assert_eq!(told.map(|note| note.reason).collect::<Vec<_>>(), [Reason::InjectionRefused]);
}

#[test]
fn a_workload_with_the_sidecar_that_does_not_get_on_is_told_by_its_reason() {
    for reason in [Reason::RolloutFailed, Reason::ApiRefused, Reason::ApiFailure] {
        let words = format!("{reason}: exceeded quota");
        let stuck = Workload {
            traffic: WorkloadTraffic::Pending,
            message: Some(words.clone()),
            ..workload("z")
        };
        let mut report = fleet(vec![stuck, workload("a")], vec![]);
        report.hindered.insert("z".to_owned(), reason);
        let status = decide(&object(json!({})), &applied(None), &report, at());
        for type_ in
            [ConditionType::WorkloadsInjected, ConditionType::TrafficRouted, ConditionType::Ready]
        {
            assert_eq!(condition(&status, type_), pair("False", reason), "{type_}");
        }
        let told = status.conditions.iter().filter(|one| one.message.contains(&words));
        assert_eq!(told.count(), 1);
    }
}

#[test]
fn pods_with_an_old_configuration_are_in_progress_and_one_that_refuses_it_is_named() {
    let behind = Workload { pods: 2, ..workload("app") };
    let report = fleet(vec![behind], vec![pod(Some("old"))]);
    let status = decide(&object(json!({})), &applied(None), &report, at());
    assert_eq!(
        condition(&status, ConditionType::WorkloadsInjected),
        pair("False", Reason::InProgress)
    );
    let refusing = PodReport { reload_error: Some("no such file".to_owned()), ..pod(Some("old")) };
    let status = decide(
        &object(json!({})),
        &applied(None),
        &fleet(vec![workload("app")], vec![refusing]),
        at(),
    );
    assert_eq!(
        condition(&status, ConditionType::WorkloadsInjected),
        pair("False", Reason::ConfigNotInForce)
    );
}

#[test]
fn an_open_path_is_never_ready() {
    for (traffic, reason) in [
        (WorkloadTraffic::NotRouted, Reason::DirectPathOpen),
        (WorkloadTraffic::DirectConnections, Reason::DirectConnections),
        (WorkloadTraffic::Pending, Reason::InProgress),
    ] {
        let open = Workload { traffic, ..workload("app") };
        let status = decide(
            &object(json!({})),
            &applied(None),
            &fleet(vec![open, workload("b")], vec![]),
            at(),
        );
        assert_eq!(condition(&status, ConditionType::TrafficRouted), pair("False", reason));
        assert_eq!(condition(&status, ConditionType::Ready).0, "False");
    }
}

#[test]
fn the_issuer_is_judged_by_the_pods() {
    let good = PodReport { issuer: Some(Ok(())), ..pod(Some("present-hash-0123")) };
    let no = |reason, error: &str| Some(Err(NoLogin { reason, error: error.to_owned() }));
    let bad =
        PodReport { issuer: no(Reason::IssuerUnreachable, "connection refused"), ..good.clone() };
    let status =
        decide(&object(json!({})), &applied(None), &fleet(vec![], vec![good.clone()]), at());
    assert_eq!(
        condition(&status, ConditionType::IssuerReachable),
        pair("True", Reason::IssuerAnswers)
    );
    let pods = vec![good.clone(), bad.clone()];
    let status = decide(&object(json!({})), &applied(None), &fleet(vec![], pods), at());
    assert_eq!(
        condition(&status, ConditionType::IssuerReachable),
        pair("False", Reason::IssuerUnreachable)
    );
    assert_eq!(condition(&status, ConditionType::Ready), pair("False", Reason::IssuerUnreachable));
    let refused = PodReport { issuer: no(Reason::ClientRefused, "invalid_client"), ..good.clone() };
    let pods = vec![good, bad, refused];
    let status = decide(&object(json!({})), &applied(None), &fleet(vec![], pods), at());
    for type_ in [ConditionType::IssuerReachable, ConditionType::Ready] {
        assert_eq!(condition(&status, type_), pair("False", Reason::ClientRefused));
        assert!(find(&status.conditions, type_).unwrap().message.contains("invalid_client"));
    }
}

#[test]
fn the_stand_alone_proxy_is_waited_for() {
    let rollout =
        |available, observed| Some(Rollout { wanted: 2, updated: 2, available, observed });
    let object = object(json!({"deployment": {}}));
    for (available, observed, expected) in [
        (2, true, pair("True", Reason::Ready)),
        (1, true, pair("False", Reason::DeploymentNotReady)),
        (2, false, pair("False", Reason::DeploymentNotReady)),
    ] {
        let status =
            decide(&object, &applied(rollout(available, observed)), &fleet(vec![], vec![]), at());
        assert_eq!(condition(&status, ConditionType::Ready), expected);
        assert_eq!(status.mode, Some(Mode::Standalone));
    }
}

#[test]
fn no_more_than_fifty_workloads_are_listed_and_all_are_counted() {
    let workloads = (0..60).map(|i| workload(&format!("app-{i:02}"))).collect();
    let status = decide(&object(json!({})), &applied(None), &fleet(workloads, vec![]), at());
    assert_eq!((status.workloads.len(), status.workload_count), (50, Some(60)));
}

#[test]
fn a_workload_judged_by_another_configuration_is_not_up_to_date() {
    let judged = |by: &str| {
        let mut report = fleet(vec![workload("app")], vec![]);
        report.judged_by.insert("app".to_owned(), by.to_owned());
        decide(&object(json!({})), &applied(None), &report, at()).workloads[0].up_to_date
    };
    assert_eq!((judged("present-hash-0123"), judged("hash-before")), (1, 0));
}

#[test]
fn injection_waits_for_the_configuration_of_the_present_specification() {
    let mut object = object(json!({}));
    let reason = |object: &OAuth2Proxy| config_is_rendered(object).unwrap_err().0;
    assert_eq!(reason(&object), Reason::InProgress);
    object.status = Some(decide(&object, &applied(None), &fleet(vec![], vec![]), at()));
    assert_eq!(config_is_rendered(&object), Ok(()));
    object.metadata.generation = Some(4);
    assert_eq!(reason(&object), Reason::InProgress, "that passes by itself, so it is no event");
    let wrong = vec![Finding::new(Reason::InvalidSpec, "spec.x", "is wrong: make it right")];
    object.status = Some(decide(&object, &Outcome::Invalid(wrong), &fleet(vec![], vec![]), at()));
    assert_eq!(reason(&object), Reason::ObjectNotReady);
}

#[test]
fn several_pods_that_refresh_sessions_in_cookies_are_named_and_nothing_else_suffers() {
    let cookie = |refresh: &str, replicas: i32| {
        object(json!({
            "deployment": {"replicas": replicas},
            "session": {"cookie": {"refresh": refresh}},
        }))
    };
    let rollout = || Some(Rollout { wanted: 2, updated: 2, available: 2, observed: true });
    let of = |object: &OAuth2Proxy, report: &FleetReport| {
        let status = decide(object, &applied(rollout()), report, at());
        assert_eq!(condition(&status, ConditionType::Ready), pair("True", Reason::Ready));
        condition(&status, ConditionType::RefreshCoordinated)
    };
    let nobody = fleet(vec![], vec![]);
    assert_eq!(of(&cookie("1h", 2), &nobody), pair("False", Reason::RefreshRaces));
    assert_eq!(of(&cookie("1h", 1), &nobody), pair("True", Reason::OneRefresher));
    assert_eq!(of(&cookie("0s", 2), &nobody), pair("True", Reason::OneRefresher));
    let pods = fleet(vec![Workload { pods: 3, up_to_date: 3, ..workload("app") }], vec![]);
    assert_eq!(of(&cookie("1h", 1), &pods), pair("False", Reason::RefreshRaces));
}

#[test]
fn workloads_that_wait_for_a_rollout_to_take_a_configuration_up_are_named() {
    let behind = || Workload { up_to_date: 0, ..workload("web") };
    for (hash, said) in
        [("earlier-hash", "kept for older proxies and pod"), ("another", "still take up")]
    {
        let report = fleet(vec![behind()], vec![pod(Some(hash))]);
        let status = decide(&object(json!({})), &applied(None), &report, at());
        let injected = find(&status.conditions, ConditionType::WorkloadsInjected).unwrap();
        assert_eq!(injected.status, "False");
        let text = &injected.message;
        assert!(text.contains(said) && text.contains("web (0 of 1 pod runs"), "{text}");
    }
}

#[test]
fn one_workload_and_several_are_told_each_in_its_number() {
    let told = |workloads| {
        let status =
            decide(&object(json!({})), &applied(None), &fleet(workloads, Vec::new()), at());
        find(&status.conditions, ConditionType::WorkloadsInjected).unwrap().message.clone()
    };
    let one = told(vec![workload("web")]);
    assert_eq!(one, "1 workload carries the sidecar and runs the present configuration");
    let two = told(vec![workload("web"), workload("api")]);
    assert_eq!(two, "2 workloads carry the sidecar and run the present configuration");
}
