//! The pure phases together, from minimal YAML through the real validation.

use super::build;
use super::dereference::Found;
use super::validate::{ValidatedProxy, validate};
use crate::object::covers;
use crate::pod;
use crate::report::FleetReport;
use crate::spec::{Finding, ValidSpec, validate_spec};
use crds::{OAuth2Proxy, Reason};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use proxy_config::Config;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An object with the least that the API takes, and `more` merged into its `spec`.
pub(crate) fn object(more: Value) -> OAuth2Proxy {
    let mut object = json!({
        "apiVersion": "oauth2proxy.dev/v1alpha1",
        "kind": "OAuth2Proxy",
        "metadata": {"name": "main", "namespace": "shop", "uid": "uid-1", "generation": 3},
        "spec": {
            "provider": {
                "issuerURL": "https://id.example.com",
                "clientID": "shop",
                "clientSecretRef": {"name": "shop-oidc", "key": "client-secret"},
            },
            "access": {"emailDomains": ["example.com"]},
        },
    });
    let patch = Value::Object([("spec".to_owned(), more)].into_iter().collect());
    json_patch::merge(&mut object, &patch);
    serde_json::from_value(object).unwrap()
}

pub(crate) fn valid(more: Value) -> ValidSpec {
    validate_spec(&object(more)).unwrap()
}

/// A Secret by its entries.
pub(super) fn secret(name: &str, entries: &[(&str, &str)]) -> (String, Option<Secret>) {
    let data: BTreeMap<_, _> = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
        .collect();
    (name.to_owned(), Some(Secret { data: Some(data), ..Secret::default() }))
}

pub(super) fn client_secret() -> (String, Option<Secret>) {
    secret("shop-oidc", &[("client-secret", "s3cret")])
}

pub(super) fn ring_secret() -> (String, Option<Secret>) {
    secret("main-cookie", &[("key-1", "0123456789abcdef")])
}

fn validated(
    more: Value,
    secrets: Vec<(String, Option<Secret>)>,
) -> Result<ValidatedProxy, Vec<Finding>> {
    validate(valid(more), Found::of(secrets), None, &FleetReport::default())
}

fn built(more: Value) -> build::Wanted {
    build::run(
        &validated(more, vec![client_secret(), ring_secret()]).unwrap(),
        &pod::tests::defaults(),
    )
    .unwrap()
}

fn config(more: Value) -> Config {
    let wanted = built(more);
    let secret: Secret = serde_json::from_value(wanted.config_secret).unwrap();
    let entries = secret.data.unwrap();
    let newest = entries.get("config.v1.2.json").unwrap_or_else(|| &entries["config.v1.json"]);
    Config::parse(&newest.0).unwrap()
}

#[test]
fn the_least_object_gives_a_configuration_that_the_proxy_accepts() {
    let config = config(json!({}));
    config.problems().unwrap();
    assert_eq!(config.providers[0].issuer_url, "https://id.example.com");
    assert_eq!(config.session.keys[0].file().unwrap().to_str(), Some("/etc/oauth2-proxy/key-1"));
    assert_eq!(config.request_headers.len(), 4);
    assert!(config.session.cookie.secure && config.session.cookie.http_only);
}

#[test]
fn what_the_stand_alone_pods_need_no_longer_is_seen() {
    let deployment = |more: Value| built(more).standalone.unwrap().deployment;
    let lean = json!({"deployment": {}});
    for more in [
        json!({"deployment": {"resources": {"limits": {"memory": "128Mi"}}}}),
        json!({"deployment": {}, "imagePullSecrets": [{"name": "pull"}]}),
        json!({"deployment": {}, "access": {"emailsFrom": {"secretKeyRef": {"name": "shop-oidc", "key": "client-secret"}}}}),
    ] {
        let live = deployment(more.clone());
        assert!(covers(&live, &live));
        assert!(!covers(&live, &deployment(lean.clone())), "it would stay: {more}");
    }
    // What running pods take up by themselves, and the number of pods, are no other pods.
    let hash = |deployment: Value| deployment["metadata"]["annotations"].clone();
    let other = json!({"deployment": {"replicas": 3}, "access": {"allowedGroups": ["staff"]}});
    assert_eq!(hash(deployment(other)), hash(deployment(lean)));
}

#[test]
fn expressions_are_those_that_the_proxy_takes() {
    let refused = |expression: &str| {
        validate_spec(&object(json!({
            "access": {
                "emailDomains": ["*"],
                "skipAuthRoutes": [{"pathRegex": expression}],
                "apiRoutes": [expression],
            },
            "provider": {"loginURLParameters": [{"name": "a", "allow": [{"pattern": expression}]}]},
        })))
        .err()
        .map(|findings| findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>())
    };
    for taken in [r"^/\Qa+b\E$", "^/x{,5}$", r"^/\07$", "^/[a&&b]$"] {
        assert_eq!(refused(taken), None, "{taken}");
    }
    for (expression, why) in [("^/a++$", "`++`"), ("^/(?x)a", "`(?x`"), (r"^/\pL{1000}", "1 MiB")] {
        let messages = refused(expression).expect("a refusal");
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(messages.iter().all(|message| message.contains(why)), "{messages:?}");
    }
}

#[test]
fn every_problem_of_a_specification_is_named_at_once() {
    let findings = validate_spec(&object(json!({
        "access": {
            "emailDomains": ["*"],
            "trustedIPs": ["10.0.0.0/8", "300.1.1.1"],
            "skipAuthRoutes": [{"pathRegex": "^/(open"}],
        },
        "http": {"reverseProxy": {"trustedProxyIPs": ["10.0.0.0/40"]}},
        "session": {"cookie": {"expire": "1d"}},
        "provider": {"discoveryURL": "https://user:pw@id.example.com/"},
    })))
    .unwrap_err();
    let fields: Vec<_> = findings.iter().map(|finding| finding.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.access.skipAuthRoutes[0].pathRegex",
            "spec.access.trustedIPs[1]",
            "spec.http.reverseProxy.trustedProxyIPs[0]",
            "spec.session.cookie.expire",
            "spec.provider.discoveryURL",
        ]
    );
    assert!(findings.iter().all(|finding| finding.reason == Reason::InvalidSpec));
}

#[test]
fn an_address_alone_is_a_network_of_one() {
    let config = config(json!({"access": {"trustedIPs": ["10.1.2.3", "2001:db8::1"]}}));
    let networks: Vec<_> = config.access.trusted_ips.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.1.2.3/32", "2001:db8::1/128"]);
}

#[test]
fn what_is_referred_to_and_missing_is_named_with_field_and_fix() {
    let more = json!({
        "session": {"store": "redis", "redis": {"urlSecretRef": {"name": "redis", "key": "url"}}},
        "access": {"emailsFrom": {"configMapKeyRef": {"name": "people", "key": "list"}}},
    });
    let findings =
        validated(more, vec![ring_secret(), secret("redis", &[("url", "http://redis")])])
            .unwrap_err();
    let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "spec.provider.clientSecretRef: Secret \"shop-oidc\" does not exist: create it with an entry \"client-secret\"",
            "spec.session.redis.urlSecretRef: entry \"url\" of Secret \"redis\" is no URL of a Redis server: it begins with \
             redis:// or rediss://",
            "spec.access.emailsFrom.configMapKeyRef: ConfigMap \"people\" does not exist: create it with an entry \"list\"",
        ]
    );
}

#[test]
fn an_empty_or_missing_entry_of_a_secret_is_named_without_its_content() {
    for (entries, expected) in [
        (vec![("other", "topsecret")], "has no entry \"client-secret\", only [other]"),
        (vec![("client-secret", "\n")], "is empty"),
    ] {
        let findings =
            validated(json!({}), vec![ring_secret(), secret("shop-oidc", &entries)]).unwrap_err();
        assert_eq!(findings[0].reason, Reason::ReferenceInvalid);
        assert!(findings[0].message.contains(expected), "{}", findings[0]);
        assert!(!findings[0].message.contains("topsecret"));
    }
}

#[test]
fn the_cookie_secret_is_made_only_if_there_is_none() {
    let with =
        build::run(&validated(json!({}), vec![client_secret()]).unwrap(), &pod::tests::defaults())
            .unwrap();
    assert_eq!(with.cookie_secret.unwrap()["metadata"]["name"], "main-cookie");
    assert!(built(json!({})).cookie_secret.is_none());
}

#[test]
fn a_secret_of_the_user_is_never_made() {
    let more = json!({"session": {"cookie": {"secretRef": {"name": "mine"}}}});
    let findings = validated(more, vec![client_secret()]).unwrap_err();
    assert_eq!(
        (findings[0].reason, findings[0].field.as_str()),
        (Reason::ReferenceMissing, "spec.session.cookie.secretRef")
    );
}

#[test]
fn the_client_secret_is_in_no_object_that_is_written() {
    let wanted = built(json!({"deployment": {}}));
    let text = format!("{wanted:?}");
    let encoded = base64_simd::STANDARD.encode_to_string("s3cret");
    assert!(!text.contains("s3cret") && !text.contains(&encoded));
    assert!(!text.contains("0123456789abcdef"));
}

#[test]
fn the_stand_alone_proxy_exists_only_if_it_is_asked_for() {
    assert!(built(json!({})).standalone.is_none());
    let standalone = built(json!({"deployment": {"replicas": 3}})).standalone.unwrap();
    assert_eq!(standalone.deployment["spec"]["replicas"], 3);
    assert_eq!(standalone.deployment["metadata"]["ownerReferences"][0]["uid"], "uid-1");
    let selector = &standalone.deployment["spec"]["selector"]["matchLabels"];
    assert_eq!(selector, &standalone.service["spec"]["selector"]);
    let labels =
        standalone.deployment["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
    assert!(
        selector.as_object().unwrap().iter().all(|(key, value)| labels.get(key) == Some(value))
    );
    assert_eq!(standalone.service["spec"]["ports"][0]["targetPort"], "oauth2-proxy");
}

#[test]
fn the_same_object_gives_the_same_bytes() {
    let more = json!({"deployment": {}, "access": {"allowedGroups": ["b", "a"]}});
    let (one, two) = (built(more.clone()), built(more));
    assert_eq!(one.config_secret, two.config_secret);
    assert_eq!(one.config_hash, two.config_hash);
    assert_eq!(one.standalone.unwrap().deployment, two.standalone.unwrap().deployment);
}

#[test]
fn every_section_reaches_the_configuration() {
    let config = config(json!({
        "provider": {
            "name": "Staff", "scope": "openid email", "codeChallengeMethod": "plain", "emailClaim": "mail",
            "clientAuthentication": "client_secret_post", "responseMode": "form_post", "insecureAllowHTTPEndpoints": true, "rpInitiatedLogout": true, "enabledSigningAlgs": ["ES256"],
            "loginURLParameters": [
                {"name": "prompt", "default": ["login"]},
                {"name": "login_hint", "allow": [{"pattern": "@corp"}, {"value": "x"}]},
            ], "extraAudiences": ["api"],
        },
        "access": {
            "allowedGroups": ["staff"], "apiRoutes": ["^/api/"], "skipProviderButton": true,
            "skipAuthRoutes": [{"method": "GET", "pathRegex": "^/open/"}], "bearerTokens": {"loginFallback": false},
        },
        "session": {"cookie": {"name": "_shop", "sameSite": "lax", "expire": "8h", "refresh": "30m"},
                    "absolute": "12h", "refreshGrace": "10m", "format": "v2"},
        "headers": {
            "request": [{"name": "X-Department", "values": [{"claim": "other", "claimName": "department"}]}],
            "response": [{"name": "X-Auth-Request-User", "values": [{"claim": "user"}]}],
        },
        "sidecar": {"reuseAfterBody": false},
        "http": {"proxyPrefix": "/auth", "streamIdleTimeout": "90s", "whitelistDomains": [".example.com"],
                 "reverseProxy": {"trustedProxyIPs": ["10.0.0.0/8"]}},
        "logging": {"format": "text", "excludePaths": ["/health"]},
        "deployment": {},
        "upstreams": [{"id": "app", "path": "/", "uri": "http://app.shop.svc:8080", "timeout": "10s",
                       "reuseAfterBody": false},
                      {"id": "ok", "path": "/ok", "staticCode": 204}],
    }));
    let text = serde_json::to_value(&config).unwrap();
    for (pointer, expected) in [
        ("/providers/0/name", json!("Staff")),
        ("/providers/0/loginParameters/0/values/0", json!("login")),
        ("/providers/0/loginParameters/1/allow", json!([{"pattern": "@corp"}, {"value": "x"}])),
        ("/providers/0/claims/email", json!("mail")),
        ("/providers/0/rpInitiatedLogout", json!(true)),
        ("/providers/0/clientAuthentication", json!("client_secret_post")),
        ("/providers/0/responseMode", json!("form_post")),
        ("/providers/0/insecureAllowHttpEndpoints", json!(true)),
        ("/application/reuseAfterBody", json!(false)),
        ("/limits/streamIdleTimeout", json!("1m30s")),
        ("/session/absolute", json!("12h0m0s")),
        ("/session/refreshGrace", json!("10m0s")),
        ("/access/bearer/loginFallback", json!(false)),
        ("/access/skipAuth/0/method", json!("GET")),
        ("/session/lifetime", json!("8h0m0s")),
        ("/session/refresh", json!("30m0s")),
        ("/session/cookie/sameSite", json!("lax")),
        ("/requestHeaders/0/values/0/claim/other", json!("department")),
        ("/responseHeaders/0/name", json!("X-Auth-Request-User")),
        ("/http/proxyPrefix", json!("/auth")),
        ("/http/reverseProxy/trustedProxies/0", json!("10.0.0.0/8")),
        ("/logging/format", json!("text")),
        ("/upstreams/0/target/http/timeout", json!("10s")),
        ("/upstreams/0/reuseAfterBody", json!(false)),
        ("/upstreams/1/target/static/code", json!(204)),
    ] {
        assert_eq!(text.pointer(pointer), Some(&expected), "{pointer}");
    }
}

#[test]
fn the_previous_client_secret_is_the_same_clients_of_one_generation_before() {
    let previous = json!({"name": "shop-oidc", "key": "client-secret"});
    let config = config(json!({"provider": {"previousClientSecretRef": previous}}));
    let provider = serde_json::to_value(&config.providers[0]).unwrap();
    assert_eq!(provider["credentialsGeneration"], json!(1));
    let file = json!({"file": "/etc/oauth2-proxy/previous-client-secret"});
    assert_eq!(
        provider["previousCredentials"],
        json!([{"clientId": "shop", "clientSecret": file}])
    );
}
