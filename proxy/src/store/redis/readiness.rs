//! Whether the server does what sessions need: takes, gives back and removes a key of theirs, and runs the script of leases.
//! A replica, a node of a cluster and a user without the rights do not, though they answer.

use super::super::lease;
use super::Links;
use crate::random;
use crate::store::Outage;
use base64_simd::URL_SAFE_NO_PAD;
use redis::cmd;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Anybody may ask, and all of it is four commands.
const KNOWN_FOR: Duration = Duration::from_secs(1);
/// How long a key is kept whose removal failed.
const LIFE_MS: u64 = 10_000;

/// The last answer, locked while the next is found out.
#[derive(Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Result<(), Outage>)>>);

impl Readiness {
    /// Tries everything, at most once a second; in between, whether what worked still answers.
    pub(super) async fn check(
        &self,
        links: &Links,
        prefix: &str,
        leases: bool,
    ) -> Result<(), Outage> {
        let mut known = self.0.lock().await;
        if let Some((at, result)) = &*known
            && at.elapsed() < KNOWN_FOR
        {
            match result {
                Ok(()) => return answers(links, prefix).await,
                Err(error) => return Err(error.clone()),
            }
        }
        let result = ask(links, prefix, leases).await;
        *known = Some((Instant::now(), result.clone()));
        result
    }
}

/// One command that needs no right but those of sessions. A server that has gone shows at once.
async fn answers(links: &Links, prefix: &str) -> Result<(), Outage> {
    let get = cmd("GET").arg(format!("{prefix}-ready")).take();
    let found = links.run::<Option<Vec<u8>>>(&get).await;
    found.map(drop).map_err(|error| refused("GET", &error))
}

async fn ask(links: &Links, prefix: &str, leases: bool) -> Result<(), Outage> {
    let token = URL_SAFE_NO_PAD.encode_to_string(random::array::<16>());
    let key = format!("{prefix}-ready-{token}");
    let set = cmd("SET").arg(&key).arg(&token).arg("PX").arg(LIFE_MS).take();
    links.run::<()>(&set).await.map_err(|error| refused("SET", &error))?;
    let get = cmd("GET").arg(&key).take();
    let found: Option<String> = links.run(&get).await.map_err(|error| refused("GET", &error))?;
    if found.as_deref() != Some(token.as_str()) {
        return Err(Outage::Forgets);
    }
    if leases {
        let script = lease::release(&key, &token);
        links.run::<i64>(&script).await.map_err(|error| refused("EVAL", &error))?;
    }
    let del = cmd("DEL").arg(&key).take();
    links.run::<()>(&del).await.map_err(|error| refused("DEL", &error))
}

/// With the command, because rights are given by command.
fn refused(command: &str, error: &redis::RedisError) -> Outage {
    Outage::Redis(format!("{command}: {error}"))
}
