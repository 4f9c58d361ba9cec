//! What the API server refuses by itself, with a message that says what to do; and what the operator names in a condition.

use crate::{CLIENT_SECRET, object};
use tests::cluster::{Cluster, condition, message};

/// Manifests that the API server refuses, each with a part of what it says then.
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(String, &'static str)> {
    let fields = |provider: &str, access: &str, more: &str| {
        format!(
            "
apiVersion: oauth2proxy.dev/v1alpha1
kind: OAuth2Proxy
metadata: {{name: main}}
spec:
  provider: {{issuerURL: \"https://id.example.com\", clientID: a, {provider}}}
  access: {{{access}}}
{more}"
        )
    };
    let secret = "clientSecretRef: {name: s, key: k}";
    let everyone = "emailDomains: [\"*\"]";
    vec![
        (fields("", everyone, ""), "clientSecretRef is missing"),
        (
            fields("clientAuthentication: none, clientSecretRef: {name: s, key: k}", everyone, ""),
            "remove clientSecretRef",
        ),
        (
            fields(
                "clientAuthentication: none, previousClientSecretRef: {name: s, key: k}",
                everyone,
                "",
            ),
            "previousClientSecretRef stands in for clientSecretRef",
        ),
        (
            fields(&format!("{secret}, loginURLParameters: [{{name: a}}]"), everyone, ""),
            "set default (what is sent)",
        ),
        (
            fields(
                &format!("{secret}, loginURLParameters: [{{name: a, allow: [{{}}]}}]"),
                everyone,
                "",
            ),
            "exactly one of value",
        ),
        (fields(secret, "allowedGroups: [a]", ""), "nobody could pass"),
        (fields(&format!("{secret}, scope: email"), everyone, ""), "scope must contain openid"),
        (
            fields(secret, everyone, "  session: {store: redis}"),
            "session.redis belongs to session.store: redis",
        ),
        (
            fields(secret, everyone, "  session: {cookie: {refresh: 200h}}"),
            "must be shorter than session.cookie.expire",
        ),
        (
            fields(secret, everyone, "  session: {cookie: {sameSite: none, secure: false}}"),
            "set session.cookie.secure to true",
        ),
        (
            fields(secret, everyone, "  http: {streamIdleTimeout: 1d}"),
            "spec.http.streamIdleTimeout",
        ),
        (
            fields(&format!("{secret}, responseMode: fragment"), everyone, ""),
            "spec.provider.responseMode",
        ),
        (
            fields(secret, everyone, "  session: {cookie: {expire: 1d}}"),
            "spec.session.cookie.expire",
        ),
        (
            fields(
                secret,
                everyone,
                "  headers: {request: [{name: X-Department, values: [{claim: other}]}]}",
            ),
            "claimName belongs to claim: other",
        ),
        (fields(secret, everyone, "  sidecar: {port: 44180}"), "must differ"),
        (
            fields(secret, everyone, "  upstreams: [{id: a, path: /, uri: \"http://a\"}]"),
            "set spec.deployment",
        ),
        (
            fields(
                secret,
                everyone,
                "  deployment: {}\n  upstreams: [{id: a, path: /, uri: \"http://a\"}, {id: b, path: /, staticCode: 200}]",
            ),
            "same path",
        ),
        (
            fields(secret, everyone, "  deployment: {}\n  upstreams: [{id: a, path: /}]"),
            "exactly one of uri",
        ),
        (fields(secret, "emailsFrom: {}", ""), "exactly one of configMapKeyRef"),
        (fields(secret, everyone, "").replace("{name: main}", "{name: Main.x}"), "metadata.name"),
        (
            fields(secret, everyone, "")
                .replace("name: main", &format!("name: {}", "a".repeat(53))),
            "1 to 52 characters",
        ),
        (fields("clientSecretRef: {name: ../s, key: k}", everyone, ""), "clientSecretRef.name"),
        (fields(secret, everyone, "  colour: blue"), "unknown field"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_object_is_refused_with_what_to_do() {
    let namespace = Cluster::shared().namespace("refused");
    for (manifest, expected) in cases() {
        let refusal = namespace.refusal(&manifest);
        assert!(refusal.contains(expected), "expected {expected:?}:\n{refusal}\n{manifest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_operator_can_see_is_named_in_a_condition_and_an_event() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("named");
    let _operator = cluster
        .operator("named-0", &["--lease-name=named", "--scope=namespaces", "--namespaces=named"])
        .await;

    namespace.apply(&object("main", "  http: {reverseProxy: {trustedProxyIPs: [300.0.0.1]}}"));
    let live = namespace
        .until("o2p/main", "the address is named", |o| {
            condition(o, "ConfigRendered") == "False InvalidSpec"
        })
        .await;
    assert!(
        message(&live, "Ready").contains("trustedProxyIPs[0]: \"300.0.0.1\" is no network"),
        "{live:#}"
    );

    namespace.apply(&object("main", ""));
    let live = namespace
        .until("o2p/main", "the Secret is missed", |o| {
            condition(o, "Ready") == "False ReferenceMissing"
        })
        .await;
    assert!(message(&live, "Ready").contains("Secret \"shop-oidc\" does not exist"), "{live:#}");
    assert!(
        namespace.get("secret/main-config").is_null(),
        "nothing is written for an object that is not complete"
    );

    namespace.apply(&CLIENT_SECRET.replace("s3cret", "\"\""));
    let live = namespace
        .until("o2p/main", "the empty entry is named", |o| {
            condition(o, "Ready") == "False ReferenceInvalid"
        })
        .await;
    assert!(message(&live, "Ready").contains("is empty"), "{live:#}");

    namespace.apply(CLIENT_SECRET);
    namespace
        .until("o2p/main", "the object is ready", |o| condition(o, "Ready") == "True Ready")
        .await;
    let events = namespace.ok(
        &[
            "get",
            "events.events.k8s.io",
            "-o",
            "jsonpath={range .items[*]}{.type} {.reason}{\"\\n\"}{end}",
        ],
        None,
    );
    for expected in [
        "Warning InvalidSpec",
        "Warning ReferenceMissing",
        "Warning ReferenceInvalid",
        "Normal Ready",
    ] {
        assert!(events.contains(expected), "no {expected}:\n{events}");
    }
}
