//! The right to refresh one session, agreed on through Redis by all processes: the key `<record>.lock`, set only if absent,
//! with a random token and a short life that is extended while it is used; oauth2-proxy locks by the same key. A process
//! that dies loses it within two seconds; only its holder extends or releases it.

use super::Outage;
use super::redis::{Links, unavailable};
use crate::random;
use base64_simd::URL_SAFE_NO_PAD;
use redis::{Cmd, cmd};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

const LIFE_MS: u64 = 2000;
/// A third of its life: two extensions may be lost.
const EXTEND_EVERY: Duration = Duration::from_millis(650);
/// Time between attempts to get it: short against a token call, long against a round trip. Longer for one that is held long.
const RETRY_EVERY: Duration = Duration::from_millis(20);
const RETRY_LATE: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(1);

// Scripts need the right to every command in them: GET, SET and DEL are all that anything here uses.
const EXTEND: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1 else return 0 end";
const RELEASE: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

/// A held lease. Dropped without [`Lease::release`] it runs out by itself.
pub(crate) struct Lease {
    links: Arc<Links>,
    key: String,
    token: String,
}

impl Lease {
    /// Waits for the lease on the record `id`; `None` if somebody held it until `deadline`.
    ///
    /// # Errors
    /// Redis does not answer.
    pub(super) async fn acquire(
        links: &Arc<Links>,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<Self>, Outage> {
        let began = Instant::now();
        let token = URL_SAFE_NO_PAD.encode_to_string(random::array::<16>());
        let lease = Self { links: Arc::clone(links), key: format!("{id}.lock"), token };
        let command =
            cmd("SET").arg(&lease.key).arg(&lease.token).arg("NX").arg("PX").arg(LIFE_MS).take();
        loop {
            // Not run twice: had the first run worked unseen, the second would find our own token and wait for it.
            let reply: Option<String> =
                links.run_once(&command).await.map_err(|error| unavailable(&error))?;
            if reply.is_some() {
                return Ok(Some(lease));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let late = began.elapsed() > LATE;
            tokio::time::sleep(if late { RETRY_LATE } else { RETRY_EVERY }).await;
        }
    }

    /// Does `work` and keeps the lease alive meanwhile. A lease that is lost does not stop the work: a token call that is
    /// under way can not be taken back.
    pub(crate) async fn hold<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut extend = tokio::time::interval_at(Instant::now() + EXTEND_EVERY, EXTEND_EVERY);
        extend.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                _ = extend.tick() => {}
            }
            let command = script(EXTEND, &self.key, &self.token).arg(LIFE_MS).take();
            tokio::select! {
                biased;
                result = &mut work => return result,
                reply = self.links.run::<i64>(&command) => match reply {
                    Ok(1) => {}
                    Ok(_) => tracing::warn!("the lease on a session refresh ran out while it was in use"),
                    Err(error) => tracing::warn!(%error, "the lease on a session refresh could not be extended"),
                },
            }
        }
    }

    /// Gives it back, if it is still ours.
    pub(crate) async fn release(self) {
        if let Err(error) = self.links.run::<i64>(&release(&self.key, &self.token)).await {
            tracing::warn!(%error, "the lease on a session refresh is left to run out");
        }
    }
}

/// The command that removes a key if it holds this token.
pub(super) fn release(key: &str, token: &str) -> Cmd {
    script(RELEASE, key, token)
}

fn script(text: &str, key: &str, token: &str) -> Cmd {
    cmd("EVAL").arg(text).arg(1).arg(key).arg(token).take()
}
