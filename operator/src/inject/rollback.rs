//! What a rollback brings along: `kubectl rollout undo` replaces all annotations of a Deployment by those that the older
//! revision had. What was written at another time is nobody's wish now, so it ends no protection.
//!
//! Each ReplicaSet of a Deployment keeps a copy of its annotations, which is where a rollback takes them from; so that of the
//! revision that was protected still shows what the annotations were.

use super::annotation::{
    INJECT, INJECTED, OptIn, TRAFFIC, annotation, meaning, opt_in_text, traffic,
};
use super::{Record, Recorded, Refusal, list};
use crds::{Reason, Traffic};
use serde_json::Value;

/// The field manager that the API server makes of `kubectl rollout undo`, which names none. All other commands that write
/// annotations name one of their own, such as `kubectl-annotate`.
const UNDO: &str = "kubectl";

/// Whether that a workload asks for nothing is nobody's wish: its annotations were lost all at once, or a rollback brought the no.
pub(crate) fn is_unmeant(workload: &Value) -> bool {
    match annotation(workload, INJECT) {
        Some(text) => meaning(text) == OptIn::No && was_brought(workload, INJECT),
        None => opt_in_text(workload).is_none() && Recorded::read(workload) == Recorded::No,
    }
}

/// Whether a rollback brought the value that an annotation has.
pub(super) fn was_brought(workload: &Value, name: &str) -> bool {
    let field = format!("f:{name}");
    let owns = |entry: &Value| {
        let fields = entry.pointer("/fieldsV1/f:metadata/f:annotations");
        fields.is_some_and(|fields| fields.get(&field).is_some())
    };
    let says = |entry: &Value, field: &str, text: &str| {
        entry.get(field).and_then(Value::as_str) == Some(text)
    };
    list(workload, "/metadata/managedFields").iter().any(|entry| {
        says(entry, "manager", UNDO) && says(entry, "operation", "Update") && owns(entry)
    })
}

/// That a rollback asks for Services that lead past the proxy, which does not count.
pub(crate) fn unmeant_traffic(workload: &Value) -> Option<Refusal> {
    let asks = traffic(annotation(workload, TRAFFIC)?) == Ok(Traffic::Companion);
    (asks && was_brought(workload, TRAFFIC)).then(|| {
        let message = format!(
            "a rollback brought {TRAFFIC}: Companion back, which would open Services that lead to the proxy, so it does not count: remove that annotation, and set it again if it is wanted"
        );
        Refusal::new(Reason::RolledBack, message)
    })
}

/// Whether a `ReplicaSet` shows that a workload asked so while it had this companion. Who can not write Deployments or
/// `ReplicaSets` can bring no such proof about: the API server chooses the uid of a companion, and the record holds it.
pub(crate) fn proves(
    replica_set: &Value,
    workload: &Value,
    (companion, opt_in): (&Value, &str),
) -> bool {
    let owned = list(replica_set, "/metadata/ownerReferences").iter().any(|owner| {
        owner.get("controller") == Some(&Value::Bool(true))
            && owner.get("uid").is_some()
            && owner.get("uid") == workload.pointer("/metadata/uid")
    });
    let record = annotation(replica_set, INJECTED)
        .and_then(|text| serde_json::from_str::<Record>(text).ok())
        .filter(|record| record.opt_in == opt_in);
    let uid = companion.pointer("/metadata/uid").and_then(Value::as_str);
    owned && uid.is_some() && record.is_some_and(|record| record.companion.as_deref() == uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written_by(manager: &str, name: &str, value: &str) -> Value {
        let mut fields = json!({"f:metadata": {"f:annotations": {}}});
        fields["f:metadata"]["f:annotations"][format!("f:{name}")] = json!({});
        json!({"metadata": {"annotations": {name: value}, "managedFields": [
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {}},
            {"manager": manager, "operation": "Update", "fieldsV1": fields},
        ]}})
    }

    #[test]
    fn a_no_is_meant_unless_a_rollback_brought_it() {
        assert!(is_unmeant(&written_by("kubectl", INJECT, "false")));
        for manager in ["kubectl-annotate", "kubectl-replace", "kubectl-client-side-apply", "helm"]
        {
            assert!(!is_unmeant(&written_by(manager, INJECT, "false")), "{manager}");
        }
        assert!(!is_unmeant(&written_by("kubectl", INJECT, "main")));
        assert!(!is_unmeant(&json!({"metadata": {"annotations": {INJECT: "false"}}})));
        assert!(is_unmeant(&json!({"metadata": {}})));
        assert!(!is_unmeant(&json!({"metadata": {"annotations": {INJECTED: "{}"}}})));
    }

    #[test]
    fn a_mode_that_opens_does_not_count_where_a_rollback_brought_it() {
        let brought = written_by("kubectl", TRAFFIC, "Companion");
        assert_eq!(unmeant_traffic(&brought).unwrap().reason, Reason::RolledBack);
        assert_eq!(super::super::Wishes::traffic(&brought), Ok(None));
        let wished = written_by("kubectl-annotate", TRAFFIC, "Companion");
        assert_eq!(unmeant_traffic(&wished), None);
        assert_eq!(super::super::Wishes::traffic(&wished), Ok(Some(Traffic::Companion)));
        assert_eq!(unmeant_traffic(&written_by("kubectl", TRAFFIC, "Auto")), None);
    }

    #[test]
    fn only_what_the_deployment_itself_kept_proves_that_it_asked() {
        let record = r#"{"object":"main","optIn":"main","container":"c","volumes":[],"templateAnnotations":[],"port":1,"adminPort":2,"upstreamPort":3,"companion":"c-1"}"#;
        let owner = json!({"uid": "w-1", "controller": true});
        let set = |record: &str, owner: &Value| json!({"metadata": {"annotations": {INJECTED: record}, "ownerReferences": [owner]}});
        let workload = json!({"metadata": {"uid": "w-1"}});
        let companion = |uid: Value| json!({"metadata": {"uid": uid}});
        let real = companion(json!("c-1"));
        assert!(proves(&set(record, &owner), &workload, (&real, "main")));
        assert!(!proves(&set(record, &owner), &workload, (&real, "other")), "another text");
        let forged = companion(json!("c-2"));
        assert!(!proves(&set(record, &owner), &workload, (&forged, "main")), "made since");
        let old = record.replace(r#","companion":"c-1""#, "");
        let nameless = companion(Value::Null);
        for companion in [&real, &nameless] {
            assert!(!proves(&set(&old, &owner), &workload, (companion, "main")), "of before");
        }
        for owner in [json!({"uid": "w-1"}), json!({"uid": "w-2", "controller": true})] {
            assert!(!proves(&set(record, &owner), &workload, (&real, "main")), "{owner}");
        }
    }
}
