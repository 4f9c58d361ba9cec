//! A namespace full of workloads whose pods answer nothing, as behind a policy that denies everything, and what that costs
//! somebody else.

use crate::play::World;
use crate::report::{self, Report};
use crate::{Outcome, objects};
use kube::Client;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The namespace whose pods answer nothing.
pub(crate) const NAMESPACE: &str = "silent";
/// Injections that are timed, one after the other.
const TIMED: usize = 20;

/// Times injections alone, then beside `count` workloads with silent pods.
pub(crate) async fn measure(
    client: &Client,
    world: &World,
    count: usize,
    report: &mut Report,
) -> Outcome<()> {
    objects::namespace(client, "beside").await?;
    objects::object(client, "beside", "main").await?;
    let alone = injections(client, "alone").await?;
    objects::namespace(client, NAMESPACE).await?;
    objects::object(client, NAMESPACE, "main").await?;
    for number in 0..count {
        objects::workload(client, NAMESPACE, &format!("s{number}"), "main").await?;
    }
    report::say(&format!("{count} workloads with silent pods are there"));
    world.until_injected(NAMESPACE, count).await;
    sleep(Duration::from_secs(5)).await;
    let beside = injections(client, "beside").await?;
    report.beside(count, &alone, &beside);
    Ok(())
}

async fn injections(client: &Client, prefix: &str) -> Outcome<Vec<Duration>> {
    let mut all = Vec::new();
    for number in 0..TIMED {
        let name = format!("{prefix}-{number}");
        let began = Instant::now();
        objects::workload(client, "beside", &name, "main").await?;
        let path = format!("/api/v1/namespaces/beside/services/{name}");
        all.push(objects::until_turned(client, &path, began).await?);
    }
    Ok(all)
}
