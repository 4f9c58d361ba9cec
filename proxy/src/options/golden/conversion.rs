//! What oauth2-proxy makes of header, upstream, listener and provider options, as its own conversion prints it, against
//! what this front end makes of them. The printing itself is not supported.

use super::super::convert::convert;
use super::super::supported::Options;
use super::super::value::GoDuration;
use super::{Outcome, run, vectors};
use proxy_config::{Config, HeaderRule, Problems, Target, Upstream};
use serde_json::{Value as Json, json};
use std::path::Path;

/// The recorded structured form of one vector.
fn recorded(file: &str) -> Json {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/convert-to-alpha").join(file);
    serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Name, claim and prefix of each header, in order.
fn their_headers(rules: &Json) -> Json {
    let value = |rule: &Json| {
        let source = &rule["values"][0]["claimSource"];
        json!([rule["name"], source["claim"], source["prefix"].as_str().unwrap_or_default()])
    };
    list(rules).iter().map(value).collect()
}

fn our_headers(rules: &[HeaderRule]) -> Json {
    rules
        .iter()
        .map(|rule| json!([rule.name, rule.values[0].claim, rule.values[0].prefix]))
        .collect()
}

fn duration(text: &str) -> String {
    let span = GoDuration::parse(text).unwrap();
    GoDuration(span.0.max(0)).to_string()
}

/// Id, path, target and switches of each upstream, in order.
fn their_upstreams(config: &Json) -> Json {
    let value = |upstream: &Json| {
        let head = [&upstream["id"], &upstream["path"]];
        let uri = upstream["uri"].as_str().unwrap_or_default();
        if upstream["static"] == true {
            return json!([head, "static", upstream["staticCode"]]);
        }
        if let Some(rest) = uri.strip_prefix("file://") {
            return json!([head, "file", format!("/{}", rest.split_once('/').unwrap().1)]);
        }
        let switches = json!([
            upstream["passHostHeader"],
            upstream["proxyWebSockets"],
            duration(upstream["timeout"].as_str().unwrap())
        ]);
        match uri.strip_prefix("unix://") {
            Some(socket) => json!([head, "unix", socket, switches]),
            None => json!([head, "http", uri, upstream["insecureSkipTLSVerify"], switches]),
        }
    };
    list(&config["upstreams"]).iter().map(value).collect()
}

fn our_upstreams(upstreams: &[Upstream]) -> Json {
    let value = |upstream: &Upstream| {
        let head = [&upstream.id, &upstream.path];
        match &upstream.target {
            Target::Static { code } => json!([head, "static", code]),
            Target::File { root } => json!([head, "file", root]),
            Target::Unix { socket, pass_host_header, proxy_web_sockets, timeout } => {
                json!([head, "unix", socket, [pass_host_header, proxy_web_sockets, timeout]])
            }
            Target::Http {
                uri,
                insecure_skip_tls_verify,
                pass_host_header,
                proxy_web_sockets,
                timeout,
            } => json!([
                head,
                "http",
                uri,
                insecure_skip_tls_verify,
                [json!(pass_host_header), json!(proxy_web_sockets), json!(timeout)]
            ]),
        }
    };
    upstreams.iter().map(value).collect()
}

/// Addresses, and what of the provider has no other default here.
fn their_rest(structured: &Json) -> Json {
    let provider = &structured["providers"][0];
    let oidc = &provider["oidcConfig"];
    let parameters =
        list(&provider["loginURLParameters"]).iter().map(|p| json!([p["name"], p["default"]]));
    json!({
        "http": structured["server"]["bindAddress"].as_str().filter(|address| *address != "-"),
        "https": structured["server"]["secureBindAddress"],
        "metrics": structured["metricsServer"]["bindAddress"],
        "name": provider["name"],
        "clientId": provider["clientID"].as_str().unwrap_or_default(),
        "scope": provider["scope"],
        "parameters": parameters.collect::<Json>(),
        "groups": list(&provider["allowedGroups"]),
        "issuer": oidc["issuerURL"].as_str().unwrap_or_default(),
        // The old claim counts while the new one has its default.
        "email": if oidc["emailClaim"] == "email" { &oidc["userIDClaim"] } else { &oidc["emailClaim"] },
        "audience": oidc["audienceClaims"],
        "urls": [provider["loginURL"], provider["redeemURL"], provider["profileURL"], provider["validateURL"]],
        "ca": list(&provider["caFiles"]),
    })
}

fn our_rest(config: &Config) -> Json {
    let (listeners, provider) = (&config.listeners, &config.providers[0]);
    let parameters = provider.login_parameters.iter().map(|p| json!([p.name, p.values]));
    let urls = &provider.endpoints;
    json!({
        "http": listeners.http.as_ref().map(|listener| &listener.address),
        "https": listeners.https.as_ref().map(|listener| &listener.address),
        "metrics": listeners.metrics.as_ref().map(|listener| &listener.address),
        "name": provider.name,
        "clientId": provider.client_id,
        "scope": provider.scope,
        "parameters": parameters.collect::<Json>(),
        "groups": config.access.allowed_groups,
        "issuer": provider.issuer_url,
        "email": provider.claims.email,
        "audience": provider.claims.audience,
        "urls": [urls.authorization, urls.token, urls.userinfo, urls.validate],
        "ca": provider.tls.ca_files,
    })
}

#[test]
fn options_mean_what_the_recorded_conversions_say() {
    let (mut same, mut refused, mut failures) = (0, 0, Vec::new());
    for vector in vectors("convert-to-alpha/index.json") {
        let (name, file) = (vector["name"].as_str().unwrap(), vector["output_file"].as_str());
        let folder = tempfile::tempdir().unwrap();
        let (Outcome::Loaded(source), Some(file)) = (run(&vector, folder.path()), file) else {
            assert!(file.is_none(), "{name}: refused here alone");
            continue;
        };
        let mut values = source.values().unwrap_or_default();
        let mut problems = Problems::default();
        values.refuse_unsupported(&mut problems);
        let config = convert(&Options::take(&mut values), &mut problems);
        // The provider's type and missing secrets say nothing about how the rest is understood.
        problems.0.retain(|problem| {
            !["provider", "client-secret", "cookie-secret", "email-domain"]
                .contains(&&*problem.field)
        });
        if !problems.0.is_empty() {
            refused += 1;
            continue;
        }
        let structured = recorded(file);
        for (part, theirs, ours) in [
            (
                "request headers",
                their_headers(&structured["injectRequestHeaders"]),
                our_headers(&config.request_headers),
            ),
            (
                "response headers",
                their_headers(&structured["injectResponseHeaders"]),
                our_headers(&config.response_headers),
            ),
            (
                "upstreams",
                their_upstreams(&structured["upstreamConfig"]),
                our_upstreams(&config.upstreams),
            ),
            ("the rest", their_rest(&structured), our_rest(&config)),
        ] {
            if theirs != ours {
                failures.push(format!("{name}: {part}\n  {ours}\n  {theirs}"));
            }
        }
        same += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!((same, refused), (59, 45));
}
