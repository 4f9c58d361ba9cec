//! Events as a person reads them.

use crate::objects::alone;
use crate::services::deployment;
use std::time::Duration;
use tests::cluster::Namespace;
use tests::eventually::eventually;

/// Waits until `kubectl describe` of the Deployment has a line with all of these.
async fn told(namespace: &Namespace, what: &str, words: &[&str]) {
    eventually(what, Duration::from_secs(30), || async {
        let text = namespace.ok(&["describe", "deployment", "web"], None);
        let found = text.lines().any(|line| words.iter().all(|word| line.contains(word)));
        if found { Ok(()) } else { Err(text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_told_in_its_own_words_and_one_that_comes_again_counts() {
    let (namespace, _operator) = alone("words").await;
    namespace.apply(&deployment("web", "app: web", "first one"));
    told(&namespace, "the first mistake is told", &["InvalidAnnotation", "first one"]).await;
    let annotate = |value: &str| {
        let annotation = format!("oauth2proxy.dev/inject={value}");
        namespace.ok(&["annotate", "--overwrite", "deployment", "web", &annotation], None);
    };
    annotate("second one");
    told(&namespace, "the second is told too", &["InvalidAnnotation", "second one"]).await;
    told(&namespace, "the first is still there", &["InvalidAnnotation", "first one"]).await;
    annotate("first one");
    told(&namespace, "it came twice", &["InvalidAnnotation", "first one", "(x2 over"]).await;
}
