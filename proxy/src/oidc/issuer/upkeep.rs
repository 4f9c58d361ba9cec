//! Keeps what is known about the issuer fresh: asks at the start, again with growing pauses until it works, then now and
//! then, and soon when something suggests a change. A failure never forgets what is known.

use super::{Issuer, Known};
use crate::oidc::discovery;
use crate::random;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pause after success.
const FRESH: Duration = Duration::from_mins(30);
/// Pause after the first failure; doubled after each further one.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// Longest pause after a failure, and the least pause before a change is looked for.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// How old the keys may be by which bearer tokens are accepted: nothing else tells that one was withdrawn.
const KEYS_FRESH: Duration = Duration::from_mins(5);
/// A clock that differs by more seconds will break logins sooner or later.
const WORTH_A_WARNING: u64 = 30;

/// Never ends; to be aborted.
pub(super) async fn run(issuer: Arc<Issuer>) {
    let mut failures: u32 = 0;
    loop {
        let (error, wrong) = match attempt(&issuer).await {
            Ok(()) => (None, Some(false)),
            Err(Failed { error, wrong }) => (Some(error), wrong),
        };
        issuer.note(error.as_deref());
        failures = if error.is_some() { failures.saturating_add(1) } else { 0 };
        report(&issuer, error.as_deref(), failures);
        issuer.known.send_modify(|known| {
            known.attempted = true;
            known.error = error;
            known.wrong = wrong.unwrap_or(known.wrong);
        });
        let changed = async {
            tokio::time::sleep(LAST_RETRY).await;
            issuer.again.notified().await;
        };
        tokio::select! {
            () = tokio::time::sleep(pause(failures)) => {}
            () = changed => {}
            () = keys_in_use(&issuer) => {}
        }
    }
}

/// Ends when the keys are old and bearer tokens were accepted by them meanwhile.
async fn keys_in_use(issuer: &Issuer) {
    loop {
        tokio::time::sleep(KEYS_FRESH).await;
        if issuer.bearers.swap(false, Ordering::Relaxed) {
            return;
        }
    }
}

/// A failed attempt.
struct Failed {
    error: String,
    /// Whether what answered is not the provider that is configured; not known if nothing did.
    wrong: Option<bool>,
}

async fn attempt(issuer: &Issuer) -> Result<(), Failed> {
    let metadata = discovery::discover(&issuer.settings, &issuer.http).await.map_err(|error| {
        Failed { error: error.to_string(), wrong: error.is_answer().then_some(true) }
    })?;
    let jwks = metadata.jwks.clone();
    issuer.known.send_modify(|known: &mut Known| {
        if known.metadata.as_deref() != Some(&metadata) {
            if !metadata.odd.is_empty() {
                tracing::warn!(
                    issuer = issuer.settings.url,
                    members = metadata.odd.join("; "),
                    "parts of the provider's discovery document are unusable, and it is used without them"
                );
            }
            known.metadata = Some(Arc::new(metadata));
        }
        // Whoever waits for the first answer can go on; the keys are needed only when somebody comes back.
        known.attempted = true;
    });
    let renewed = issuer.keys.renew(&issuer.http, &jwks).await;
    renewed.map_err(|error| Failed { error: error.to_string(), wrong: Some(false) })
}

/// Half of the pause is certain and half is random, so that many proxies do not ask at the same moment.
fn pause(failures: u32) -> Duration {
    let whole = match failures {
        0 => FRESH,
        n => FIRST_RETRY.saturating_mul(1 << n.saturating_sub(1).min(10)).min(LAST_RETRY),
    };
    let [byte] = random::array::<1>();
    whole / 2 + whole / 2 * u32::from(byte) / 255
}

fn report(issuer: &Issuer, error: Option<&str>, failures: u32) {
    let name = issuer.settings.url.as_str();
    match error {
        Some(error) => {
            let known = issuer.metadata_now().is_some();
            tracing::warn!(
                issuer = name,
                error,
                failures,
                known,
                "the identity provider could not be asked about itself"
            );
        }
        None if issuer.known.borrow().error.is_some() || !issuer.known.borrow().attempted => {
            tracing::info!(issuer = name, "the identity provider is ready");
        }
        None => {}
    }
    if let Some(seconds) = issuer.http.skew().filter(|skew| skew.unsigned_abs() > WORTH_A_WARNING) {
        tracing::warn!(
            issuer = name,
            seconds,
            "the identity provider's clock is ahead of ours by so many seconds: set one right"
        );
    }
}
