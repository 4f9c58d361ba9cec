//! The entries of the config Secret, as the API server keeps them.

use crate::object;
use crate::objects::{alone, ready, writes};

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_for_newer_proxies_comes_and_goes_in_one_write_with_the_first() {
    let (namespace, _operator) = alone("levels").await;
    namespace.apply(&object("main", ""));
    namespace.until("o2p/main", "the object is ready", ready).await;
    let plain = namespace.get("secret/main-config")["data"].clone();
    assert_eq!(plain.as_object().map(serde_json::Map::len), Some(1), "{plain}");
    let absolute = |text: &str| {
        let patch = format!(r#"{{"spec": {{"session": {{"absolute": "{text}"}}}}}}"#);
        namespace.ok(&["patch", "o2p/main", "--type=merge", "-p", &patch], None);
    };

    absolute("8h");
    let both = namespace
        .until("secret/main-config", "there are two", |s| s["data"]["config.v1.2.json"].is_string())
        .await;
    assert_eq!(
        both["data"]["config.v1.json"], plain["config.v1.json"],
        "an older proxy keeps what it can enforce"
    );
    absolute("0s");
    let one = namespace
        .until("secret/main-config", "one is left", |s| s["data"]["config.v1.2.json"].is_null())
        .await;
    assert_eq!(one["data"], plain);
    let config = writes(&namespace).into_iter().filter(|write| write.ends_with("main-config"));
    assert_eq!(config.collect::<Vec<_>>(), ["patch secrets main-config"; 3]);

    // Of a newer operator, which nobody would keep up to date.
    let left = r#"{"data": {"config.v1.3.json": "e30="}}"#;
    namespace.ok(&["patch", "secret", "main-config", "--type=merge", "-p", left], None);
    let one = namespace
        .until("secret/main-config", "one is left", |s| s["data"]["config.v1.3.json"].is_null())
        .await;
    assert_eq!(one["data"], plain);
}
