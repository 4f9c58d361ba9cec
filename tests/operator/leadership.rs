//! Two replicas: one writes, the other takes over.

use crate::{CLIENT_SECRET, object};
use std::time::Duration;
use tests::cluster::{Cluster, condition};
use tests::eventually::eventually;

fn holder(cluster: &Cluster) -> String {
    cluster.ok(
        &["-n", "default", "get", "lease", "two", "-o", "jsonpath={.spec.holderIdentity}"],
        None,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_replica_is_ready_and_writes_only_after_the_first_has_gone() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("two");
    let flags = ["--lease-name=two", "--scope=namespaces", "--namespaces=two"];
    let first = cluster.operator("two-0", &flags).await;
    eventually("the first holds the lease", Duration::from_secs(20), || async {
        let arguments = [
            "-n",
            "default",
            "get",
            "lease",
            "two",
            "--ignore-not-found",
            "-o",
            "jsonpath={.spec.holderIdentity}",
        ];
        let holder = cluster.ok(&arguments, None);
        if holder == "two-0" { Ok(()) } else { Err(holder) }
    })
    .await;
    let mut second = cluster.operator("two-1", &flags).await;
    assert_eq!(holder(&cluster), "two-0");

    first.process.signal("TERM");
    eventually(
        "the lease is handed over without waiting for its end",
        Duration::from_secs(10),
        || async {
            let holder = holder(&cluster);
            if holder == "two-1" { Ok(()) } else { Err(holder) }
        },
    )
    .await;
    namespace.apply(CLIENT_SECRET);
    namespace.apply(&object("main", ""));
    namespace
        .until("o2p/main", "the second replica works", |o| condition(o, "Ready") == "True Ready")
        .await;

    // Somebody else takes the lease: the replica that held it must end, and with an error.
    let steal = r#"{"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 15}}"#;
    cluster.ok(&["-n", "default", "patch", "lease", "two", "--type=merge", "-p", steal], None);
    eventually("the replica that lost the lease ends", Duration::from_secs(20), || {
        let code = second.process.exit_code();
        async move { if code == Some(1) { Ok(()) } else { Err(code) } }
    })
    .await;
}
