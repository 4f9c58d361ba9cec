//! A session for the sidecars of a test. Their provider can not be reached from a pod, and need not be for a session that has
//! begun: a proxy beside the cluster, with the files that they mount, lets somebody in.

use crate::stage::{Stage, object};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tests::client::Browser;
use tests::cluster::condition;
use tests::eventually::eventually;
use tests::process::{Process, free_port, program};
use tests::provider::{Provider, Settings};
use tests::proxy::temp_dir;

/// Where sidecars have their files.
const MOUNT: &str = "/etc/oauth2-proxy";

/// Gives the stage's object a provider that answers the machine; the cookies of somebody who logged in there.
pub(crate) async fn member_of(stage: &Stage) -> String {
    let settings = Settings {
        client_id: "web".to_owned(),
        client_secret: Some("s3cret".to_owned()),
        ..Settings::default()
    };
    let provider = tokio::task::spawn_blocking(move || Provider::start(&settings)).await;
    let provider = provider.unwrap_or_else(|error| panic!("the provider does not start: {error}"));
    let object =
        object("main", "^/healthz").replace("http://127.0.0.1:9/realms/none", &provider.issuer());
    // Browsers keep no secure cookie of a site without TLS.
    stage
        .space
        .apply(&format!("{}\n  session: {{cookie: {{secure: false}}}}\n", object.trim_end()));
    let rendered = |object: &Value| {
        condition(object, "ConfigRendered").starts_with("True")
            && object.pointer("/status/observedGeneration")
                == object.pointer("/metadata/generation")
    };
    stage.space.until("o2p/main", "the configuration is written", rendered).await;

    let home = temp_dir();
    for secret in ["secret/main-config", "secret/main-cookie", "secret/oidc"] {
        write(&stage.space.get(secret), home.path());
    }
    let (port, admin) = (free_port(), free_port());
    let mut command = Command::new(program("proxy", "oauth2-proxy"));
    command.arg(format!("--generated-config={}/config.v1.json", home.path().display()));
    command.arg(format!("--listen-port={port}")).arg(format!("--admin-port={admin}"));
    command.arg(format!("--application-port={}", free_port()));
    let log = home.path().join("proxy.log");
    let proxy = Process::start(command, log, "build it with: cargo build -p proxy");

    let url = format!("http://127.0.0.1:{port}");
    let start = format!("{url}/oauth2/start?rd=%2Fping");
    eventually("the proxy knows its provider", Duration::from_secs(30), || async {
        match tests::client::get(&start).await {
            Ok(answer) if answer.status() == 302 => Ok(()),
            other => Err(format!("{other:?}\n{}", proxy.output())),
        }
    })
    .await;
    let browser = Browser::new();
    let end = browser.follow(&start).await;
    assert_eq!(end.status, 200, "the login ended at {end:?}\n{}", proxy.output());
    browser.cookies(&url)
}

/// Writes the entries of a Secret, which may name each other by where a sidecar has them.
fn write(secret: &Value, home: &Path) {
    for (name, value) in secret["data"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let value = base64_simd::STANDARD.decode_to_vec(value).unwrap_or_default();
        let text = String::from_utf8_lossy(&value).replace(MOUNT, &home.display().to_string());
        std::fs::write(home.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
