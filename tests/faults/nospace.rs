//! A standby that is full: the mirror says so, writes nothing, and goes on once there is space.

use end_to_end::{Etcd, Recorder, everything};

use crate::support::{
    assert_caught_up, assert_history, assert_only_guards, head, mirror, put, wait_for_ready,
};

#[tokio::test]
async fn a_full_standby_blocks_until_its_alarm_is_disarmed() {
    let quota = "--quota-backend-bytes=6291456";
    let (primary, standby) =
        tokio::join!(Etcd::start(), Etcd::builder().standby().flag(quota).start());
    let recorded = Recorder::start(primary.access(), everything);
    let written = Recorder::start(standby.access(), everything);
    let mut client = primary.client().await;
    put(&mut client, "/small", "1").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    // One key, again and again: little to hold, and a long history of it.
    let value = "x".repeat(200_000);
    for n in 0..60 {
        let revision = put(&mut client, "/large", &format!("{n}{value}")).await;
        let status = mirror
            .wait_for("written, or full", |status| {
                status["state"] == "blocked"
                    || status["checkpoint_revision"].as_i64() >= Some(revision)
            })
            .await;
        if status["state"] == "blocked" {
            break;
        }
    }
    let status = mirror.wait_for_state("blocked").await;
    assert_eq!(status["blocked"]["guard"], "standby_alarm", "{status}");
    let reason = status["blocked"]["reason"].as_str().unwrap();
    assert!(reason.contains("standby") && reason.contains("space"), "{reason}");
    wait_for_ready(&mirror, false).await;
    // What happens meanwhile is not lost.
    put(&mut client, "/meanwhile", "1").await;
    client.delete("/small", None).await.unwrap();

    let mut full = standby.client().await;
    let head = head(&mut full).await;
    // Everything but the newest may go.
    full.compact(head, None).await.unwrap();
    standby.etcdctl(&["defrag"]);
    mirror.wait_for_state("blocked").await;
    standby.etcdctl(&["alarm", "disarm"]);
    assert_caught_up(&mut mirror, &primary, &standby).await;
    put(&mut client, "/after", "1").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
    wait_for_ready(&mirror, true).await;
    assert_only_guards(&mut mirror);
    let (recorded, written) = tokio::join!(recorded.finish(), written.finish());
    assert_history(&recorded, &written, 1);
}
