//! The two Secrets of an object: whose they are, from the first to the last.

use crate::object;
use crate::objects::{alone, ready, writes};
use serde_json::{Value, json};
use tests::cluster::{Namespace, condition, message};

const KEPT_FOR: &str = "/metadata/annotations/oauth2proxy.dev~1kept-for";

fn owners(secret: &Value) -> usize {
    let owners = secret.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.map_or(0, Vec::len)
}

/// A turn for an object, whatever is or is not new.
fn touch(namespace: &Namespace, how: &str) {
    namespace
        .ok(&["annotate", "--overwrite", "o2p/main", &format!("example.com/touched={how}")], None);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_an_earlier_version_lose_their_owner_and_nothing_else() {
    let (namespace, _operator) = alone("owner").await;
    namespace.apply(&object("main", ""));
    let live = namespace.until("o2p/main", "the object is ready", ready).await;
    let uid = live["metadata"]["uid"].clone();
    let owner = json!([{"apiVersion": "oauth2proxy.dev/v1alpha1", "kind": "OAuth2Proxy", "name": "main", "uid": uid,
                        "controller": true, "blockOwnerDeletion": true}]);
    let cookie = namespace.get("secret/main-cookie");
    // As that version wrote them: the one by apply, under our name, the other when it was made.
    let config = json!({"apiVersion": "v1", "kind": "Secret",
                        "metadata": {"name": "main-config", "labels": cookie["metadata"]["labels"], "ownerReferences": owner}});
    let apply = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=oauth2-proxy-operator",
        "-f",
        "-",
    ];
    namespace.ok(&apply, Some(&config.to_string()));
    let patch = json!({"metadata": {"ownerReferences": owner, "annotations": {"oauth2proxy.dev/kept-for": null}}});
    namespace
        .ok(&["patch", "secret", "main-cookie", "--type=merge", "-p", &patch.to_string()], None);
    assert_eq!(
        [
            owners(&namespace.get("secret/main-config")),
            owners(&namespace.get("secret/main-cookie"))
        ],
        [1, 1]
    );
    touch(&namespace, "once");
    for secret in ["secret/main-config", "secret/main-cookie"] {
        let live = namespace
            .until(secret, "the owner is gone", |secret| {
                owners(secret) == 0 && secret.pointer(KEPT_FOR) == Some(&uid)
            })
            .await;
        assert_eq!(live["metadata"]["labels"], cookie["metadata"]["labels"]);
    }
    assert_eq!(namespace.get("secret/main-cookie")["data"], cookie["data"]);
    namespace.until("o2p/main", "the object is ready", ready).await;
    let before = writes(&namespace);
    touch(&namespace, "twice");
    // The turn after that has nothing to write; the one of a change that follows shows that it was taken.
    namespace.ok(&["delete", "secret", "main-config"], None);
    namespace.until("secret/main-config", "it is there again", |secret| !secret.is_null()).await;
    let new: Vec<_> = writes(&namespace).split_off(before.len());
    assert!(new.iter().all(|write| write.contains("main-config")), "{new:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_object_of_the_name_takes_over_the_keys_of_the_old_one() {
    let (namespace, _operator) = alone("inherit").await;
    namespace.apply(
        "
apiVersion: v1
kind: Secret
metadata:
  name: main-cookie
  labels: {app.kubernetes.io/managed-by: oauth2-proxy-operator, oauth2proxy.dev/object: main}
  annotations: {oauth2proxy.dev/kept-for: 01234567-89ab-cdef-0123-456789abcdef}
stringData: {key-7: a key of an earlier object of this name}
---
apiVersion: v1
kind: Secret
metadata:
  name: main-config
  labels: {app.kubernetes.io/managed-by: oauth2-proxy-operator, oauth2proxy.dev/object: main}
  annotations: {oauth2proxy.dev/kept-for: 01234567-89ab-cdef-0123-456789abcdef}
",
    );
    namespace.apply(&object("main", ""));
    let live = namespace.until("o2p/main", "the object is ready", ready).await;
    assert_eq!(live["status"]["sealingKey"], "key-7");
    for secret in ["secret/main-config", "secret/main-cookie"] {
        assert_eq!(namespace.get(secret).pointer(KEPT_FOR), live.pointer("/metadata/uid"));
    }
    namespace.ok(&["delete", "o2p/main", "--wait=false"], None);
    namespace.until("o2p/main", "the object is gone", Value::is_null).await;
    for secret in ["secret/main-config", "secret/main-cookie"] {
        assert!(namespace.get(secret).is_null(), "{secret} goes before the object");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_deleted_are_told_of_and_not_made_anew() {
    let (namespace, _operator) = alone("lost").await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    namespace.ok(&["delete", "secret", "main-cookie"], None);
    let lost = namespace
        .until("o2p/main", "the loss is told", |o| condition(o, "Ready") == "False KeyRingLost")
        .await;
    assert!(message(&lost, "Ready").contains("create secret generic main-cookie"), "{lost:#}");
    assert!(namespace.get("secret/main-cookie").is_null());
    let mine = "--from-literal=key-1=a key that somebody decided to begin with";
    namespace.ok(&["create", "secret", "generic", "main-cookie", mine], None);
    namespace.until("o2p/main", "it goes on", ready).await;
    assert!(namespace.get("secret/main-cookie").pointer(KEPT_FOR).is_none(), "it is the user's");
}
