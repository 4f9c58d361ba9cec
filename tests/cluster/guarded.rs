//! A protected application for which a stranger and a member, who has a session, ask all the time.

use crate::login::member_of;
use crate::stage::Stage;
use serde_json::Value;
use std::time::Duration;
use tests::prober::Prober;
use tokio::time::sleep;

/// Where somebody else writes to the Service itself it is open until it is turned again and kube-proxy has followed, which it
/// does once a second. On a machine that does a lot besides, some more.
pub(crate) const OPEN: Duration = Duration::from_secs(4);

/// A protected application, and those who ask for it.
pub(crate) struct Guarded {
    /// The application.
    pub(crate) stage: Stage,
    /// Who asks without a session.
    pub(crate) stranger: Prober,
    /// Who asks with one.
    pub(crate) member: Prober,
}

impl Guarded {
    /// The stranger asks by the Service and by the companion, the member by the Service and, if it is to stay, the companion.
    pub(crate) async fn new(name: &str, companion_stays: bool) -> Self {
        let stage = Stage::new(name).await;
        let cookie = member_of(&stage).await;
        stage.protect().await;
        let remembered = |service: &Value| {
            service.pointer("/metadata/annotations/oauth2proxy.dev~1routed").is_some()
        };
        let companion =
            stage.space.until("service/web-oauth2-proxy", "it is remembered", remembered).await;
        let companion =
            companion.pointer("/spec/clusterIP").and_then(Value::as_str).unwrap_or_default();
        let both = [stage.address(), format!("{companion}:80")];
        let members = if companion_stays { &both[..] } else { &both[..1] };
        let stranger = Prober::stranger(&both);
        let member = Prober::member(members, cookie);
        // kube-proxy may be a moment behind.
        sleep(Duration::from_secs(2)).await;
        let _ = (stranger.take(), member.take());
        Self { stage, stranger, member }
    }

    /// Watches for a while in which nothing may go wrong, as nothing may have since the last time.
    pub(crate) async fn all_is_well(&self, what: &str) {
        sleep(Duration::from_secs(3)).await;
        self.stranger.is_content(what);
        self.member.is_content(what);
    }

    /// As [`Guarded::all_is_well`], where requests find pods that have no sidecar: they are refused, with a session too.
    pub(crate) async fn nothing_opens(&self, what: &str) {
        sleep(Duration::from_secs(3)).await;
        self.stranger.is_content(what);
        let refused = self.member.take();
        let first = refused.first().zip(refused.last());
        let time = first.map(|(first, last)| last.at.duration_since(first.at)).unwrap_or_default();
        println!("{what}: {} requests with a session failed, within {time:?}", refused.len());
    }

    /// As [`Guarded::write_back`]. Nothing was wrong until then; that it is open for a moment is not.
    pub(crate) async fn apply_again(&self, until: &str) {
        self.all_is_well(until).await;
        self.write_back().await;
        sleep(OPEN).await;
        let _ = self.stranger.take();
        self.all_is_well(until).await;
    }

    /// Puts the Service as its manifest has it, and waits until it is turned again.
    pub(crate) async fn write_back(&self) {
        let back = r#"{"spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}"#;
        let space = &self.stage.space;
        space.ok(&["patch", "service/web", "--type=merge", "-p", back], None);
        space.until("service/web", "it is turned again", is_turned).await;
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        let rate = self.stranger.stop().await;
        assert!(rate >= 50.0, "only {rate} requests a second");
        println!(
            "{rate} requests a second without a session, {} with one",
            self.member.stop().await
        );
    }
}

/// Whether a Service leads to the proxy.
pub(crate) fn is_turned(service: &Value) -> bool {
    service.pointer("/spec/ports/0/targetPort") == Some(&Value::from(4180))
}
