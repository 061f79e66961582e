//! A status that is old: readers judge its age by what etcd keeps, never by a clock.

use std::process::Output;
use std::time::Duration;

use end_to_end::{Etcd, Mirror, eventually};
use serde_json::Value;

use crate::support::{PATIENCE, assert_caught_up, mirror, pair, put};

const STATUS: &str = "/etcd-sync/default/status";
const LEADER: &str = "/etcd-sync/default/leader";

/// Runs `etcd-sync status`; returns its report and its exit code.
fn status(mirror: &Mirror) -> (Value, Option<i32>) {
    read(&mirror.verb(&["status", "-o", "json"]))
}

fn read(output: &Output) -> (Value, Option<i32>) {
    let said = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout);
    (report.unwrap_or_else(|error| panic!("{error}: {said}")), output.status.code())
}

/// Rewrites the stored status as a mirror would whose clock is an hour ahead.
async fn set_clock_ahead(standby: &Etcd) {
    let mut client = standby.client().await;
    let stored = client.get(STATUS, None).await.unwrap();
    let mut report: Value = serde_json::from_slice(stored.kvs()[0].value()).unwrap();
    let ahead = report["observed_at"].as_u64().unwrap() + 3_600;
    report["observed_at"] = ahead.into();
    client.put(STATUS, report.to_string(), None).await.unwrap();
}

async fn wait_for_no_leader(standby: &Etcd) {
    let client = standby.client().await;
    eventually("the leader key is gone", PATIENCE, async || {
        let read = client.clone().get(LEADER, None).await.ok()?;
        read.kvs().is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_mirror_that_was_killed_is_not_ok_whatever_its_clock_said() {
    let (primary, standby) = pair().await;
    let mut client = primary.client().await;
    put(&mut client, "/a", "1").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints())
        .flag("--leader-lease")
        .flag("3s")
        .start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    let (report, exit) = eventually("status says that it follows", PATIENCE, async || {
        let (report, exit) = status(&mirror);
        (report["state"] == "following").then_some((report, exit))
    })
    .await;
    assert_eq!((report["verdict"].as_str(), exit), (Some("ok"), Some(0)), "{report}");
    // Stored every 5 s, and the lease is renewed every second.
    let age = report["age_seconds_max"].as_f64().unwrap();
    assert!((0.0..=10.0).contains(&age), "{report}");
    // Behind by at most what the mirror said, and the time since.
    assert!(report["lag_seconds"].as_f64().is_none_or(|lag| lag >= age), "{report}");

    mirror.kill();
    for n in 0..5 {
        put(&mut client, &format!("/later/{n}"), "1").await;
    }
    set_clock_ahead(&standby).await;
    wait_for_no_leader(&standby).await;
    let (report, exit) = status(&mirror);
    assert_eq!((report["verdict"].as_str(), exit), (Some("unknown"), Some(3)), "{report}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("no instance holds the leader key"), "{reason}");
    assert!(reason.contains("following"), "the last word is missing: {reason}");
    assert_eq!(report["lag_seconds"], Value::Null, "{report}");
    // The check does not take it for a mirror that runs, either.
    let check = mirror.audit(&["-o", "json"]);
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(!said.contains("\"verdict\": \"in-sync\""), "{said}");

    // The new leader has not said anything yet: what the old one said counts no more.
    let mut writer = standby.client().await;
    let lease = writer.lease_grant(60, None).await.unwrap().id();
    let under = etcd_client::PutOptions::new().with_lease(lease);
    writer.put(LEADER, "{}", Some(under)).await.unwrap();
    let (report, exit) = status(&mirror);
    assert_eq!((report["verdict"].as_str(), exit), (Some("unknown"), Some(3)), "{report}");
}

#[tokio::test]
async fn a_mirror_without_elections_is_seen_by_what_it_writes() {
    let (primary, standby) = pair().await;
    let mut mirror =
        mirror(&primary.endpoints(), &standby.endpoints()).flag("--leader-election=false").start();
    put(&mut primary.client().await, "/a", "1").await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
    mirror.wait_for_state("following").await;
    let (report, exit) = status(&mirror);
    assert_eq!((report["verdict"].as_str(), exit), (Some("ok"), Some(0)), "{report}");
    mirror.kill();
    let (report, exit) = status(&mirror);
    assert_eq!((report["verdict"].as_str(), exit), (Some("unknown"), Some(3)), "{report}");
}

#[tokio::test]
async fn a_standby_with_an_alarm_is_named_beside_the_age_of_the_status() {
    let quota = "--quota-backend-bytes=6291456";
    let (primary, standby) =
        tokio::join!(Etcd::start(), Etcd::builder().standby().flag(quota).start());
    let mut client = primary.client().await;
    put(&mut client, "/a", "1").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    eventually("status says that it follows", PATIENCE, async || {
        (status(&mirror).1 == Some(0)).then_some(())
    })
    .await;
    // Somebody fills the standby with what is not mirrored.
    let mut writer = standby.client().await;
    let value = "x".repeat(1_000_000);
    for n in 0..20 {
        let key = format!("/etcd-sync/other/{n}");
        if writer.put(key, value.as_str(), None).await.is_err() {
            break;
        }
    }
    eventually("the alarm is raised", Duration::from_secs(10), async || {
        writer.put("/etcd-sync/other/x", "1", None).await.is_err().then_some(())
    })
    .await;
    let (report, exit) = status(&mirror);
    assert_ne!(report["verdict"], "ok", "{report}");
    assert_eq!(exit, Some(1), "{report}");
    let reason = report["reason"].as_str().unwrap();
    for words in ["s ago", "the standby takes no writes now (alarm NOSPACE)", "following"] {
        assert!(reason.contains(words), "`{words}` is not in: {reason}");
    }
}
