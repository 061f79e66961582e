//! What speaks etcd's protocol and is not an etcd is refused, at once and in one line.

use std::process::Output;
use std::time::Duration;

use end_to_end::{Etcd, FakeEtcd, dump, eventually};

use crate::support::{etcd_sync, mirror, pair};

const LIMIT: Duration = Duration::from_secs(30);

/// One line that says what is wrong, and on which side.
fn assert_refused(output: &Output, side: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    let told: Vec<_> = stderr.lines().filter(|line| line.contains("not an etcd")).collect();
    let [line] = told.as_slice() else { panic!("{side}: {stderr}") };
    for part in [side, "cluster id 0", "etcd-sync needs an etcd on both ends"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

/// Everything that starts with both ends, on this pair.
async fn refuse(primary: &[String], standby: &[String], side: &str) {
    for verb in ["plan", "preflight"] {
        let flags = [verb, "--primary-endpoints", &primary[0], "--standby-endpoints", &standby[0]];
        assert_refused(&etcd_sync(&flags), side);
    }
    let builder = mirror(primary, standby);
    assert_refused(&builder.audit(&[]), side);
    let mut mirror = builder.start();
    let ended = eventually("the mirror ends", LIMIT, async || mirror.process().ended()).await;
    let log = mirror.process().output();
    assert_eq!(ended.code(), Some(4), "{log}");
    assert!(log.contains("not an etcd") && log.contains(side), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_not_an_etcd_is_refused() {
    let (kine, standby) = tokio::join!(FakeEtcd::kine(), Etcd::start_standby());
    refuse(&[kine.endpoint()], &standby.endpoints(), "the primary").await;
    assert!(dump(&standby.client().await).await.keys.is_empty(), "it wrote something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_not_an_etcd_is_refused_and_not_written() {
    let (kine, (primary, _)) = tokio::join!(FakeEtcd::kine(), pair());
    refuse(&primary.endpoints(), &[kine.endpoint()], "the standby").await;
    let asked = kine.asked();
    assert!(!asked.is_empty());
    let written = |method: &String| method == "KV/Txn" || method.starts_with("Lease/");
    assert!(!asked.iter().any(written), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ends_that_are_not_etcds_are_not_taken_for_one() {
    let (one, other) = tokio::join!(FakeEtcd::kine(), FakeEtcd::kine());
    refuse(&[one.endpoint()], &[other.endpoint()], "the primary").await;
}
