//! An admission policy of the cluster that refuses writes of the operator, in words that are to be found in status.

use crate::stage::Stage;
use std::time::Duration;
use tests::eventually::eventually;

/// What the policy says.
pub(crate) const WORDS: &str = "nobody changes this on a Friday";

/// A policy in force.
pub(crate) struct Denial<'a> {
    stage: &'a Stage,
}

impl<'a> Denial<'a> {
    /// Refuses what the stage's operator writes to objects of a kind (the plural) unless the expression allows it, and waits
    /// until that is known, by a probe of this object.
    pub(crate) async fn of(stage: &'a Stage, kind: &str, allowed: &str, object: &str) -> Self {
        let name = &stage.space.name;
        let operator = format!("system:serviceaccount:default:{name}");
        stage.space.cluster.ok(
            &["apply", "-f", "-"],
            Some(&format!(
                "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: ['*']
        apiVersions: ['*']
        operations: [CREATE, UPDATE, DELETE]
        resources: ['{kind}']
  matchConditions:
    - {{name: operator, expression: \"request.userInfo.username == '{operator}'\"}}
  validations:
    - {{expression: \"{allowed}\", message: {WORDS}}}
    - {{expression: \"object == null || !has(object.metadata.annotations) || !('probe' in object.metadata.annotations)\", message: {WORDS}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec:
  policyName: {name}
  validationActions: [Deny]
  matchResources: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}}}
"
            )),
        );
        let denial = Self { stage };
        denial.becomes(object, true, &operator).await;
        denial
    }

    /// Ends it, and waits until all the API server refuses no more.
    pub(crate) async fn end(self, object: &str) {
        let operator = format!("system:serviceaccount:default:{}", self.stage.space.name);
        self.remove();
        self.becomes(object, false, &operator).await;
    }

    fn remove(&self) {
        let name = &self.stage.space.name;
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            self.stage.space.cluster.ok(&["delete", kind, name, "--ignore-not-found"], None);
        }
    }

    /// The API server learns of a policy, and of its end, a moment after it is written.
    async fn becomes(&self, object: &str, refused: bool, operator: &str) {
        let who = format!("--as={operator}");
        let namespace = format!("--namespace={}", self.stage.space.name);
        let probe = ["patch", object, "--type=merge", "--dry-run=server", "-p"];
        let change = r#"{"metadata": {"annotations": {"probe": "1"}}}"#;
        let probe = [&probe[..], &[change, &who, &namespace]].concat();
        eventually("the policy is known", Duration::from_mins(1), || async {
            let output = self.stage.space.cluster.kubectl(&probe, None);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            let is = error.contains(WORDS);
            if is == refused && output.status.success() != refused { Ok(()) } else { Err(error) }
        })
        .await;
    }
}
