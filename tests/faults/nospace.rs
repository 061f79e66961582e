//! A standby that is full: the mirror says so, writes nothing, and goes on once there is space.

use std::time::Duration;

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
    put(&mut client, "/small", "2").await;

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

/// The primary has deleted most of what fills the standby, and has written more: what frees space
/// goes first, and what was written and deleted meanwhile is never written at all.
#[tokio::test]
async fn what_frees_space_goes_first_on_a_standby_that_was_full() {
    let quota = "--quota-backend-bytes=8388608";
    let (primary, standby) =
        tokio::join!(Etcd::start(), Etcd::builder().standby().flag(quota).start());
    let mut client = primary.client().await;
    let value = "x".repeat(700_000);
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    mirror.wait_for_state("following").await;
    let mut filled = 0;
    for n in 0..12 {
        let revision = put(&mut client, &format!("/fill/{n}"), &value).await;
        filled = n;
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
    mirror.wait_for_state("blocked").await;
    // The one that did not fit is needed; another one is gone before it could be written.
    put(&mut client, "/gone", &value).await;
    for n in 0..filled {
        client.delete(format!("/fill/{n}"), None).await.unwrap();
    }
    client.delete("/gone", None).await.unwrap();

    let mut full = standby.client().await;
    let mut gone = full.watch("/gone", None).await.unwrap();
    assert!(gone.message().await.unwrap().unwrap().created());
    let mut cycles = 0;
    loop {
        // As an operator does: what was deleted takes room until it is compacted.
        let head = head(&mut full).await;
        full.compact(head, None).await.unwrap();
        standby.etcdctl(&["defrag"]);
        standby.etcdctl(&["alarm", "disarm"]);
        cycles += 1;
        let status = mirror
            .wait_for("level, or full again", |status| {
                let level = status["state"] == "following" && status["lag_revisions"] == 0;
                level
                    || (status["state"] == "blocked"
                        && status["standby_revision"].as_i64() > Some(head))
            })
            .await;
        if status["state"] == "following" {
            break;
        }
        assert!(cycles < 3, "the deletions free the space: {status}");
    }
    assert_caught_up(&mut mirror, &primary, &standby).await;
    let written = tokio::time::timeout(Duration::from_millis(300), gone.message()).await;
    assert!(written.is_err(), "it was written to be deleted: {written:?}");
}
