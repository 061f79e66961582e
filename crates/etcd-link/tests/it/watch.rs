use std::time::Duration;

use etcd_link::{Primary, Settings};
use etcd_mvcc::{CommitTxn, FailureClass, KeyRange, PrimaryRevision, Revision as _};
use etcd_mvcc::{WatchRange, WatchStream};

use crate::etcd::{Etcd, fill, put, revision, txn};

fn registry() -> KeyRange {
    KeyRange::prefix(b"/registry/")
}

/// Reads whole revisions until `last`, with the number of their changes.
async fn drain(
    watch: &mut impl WatchStream<Revision = PrimaryRevision>,
    last: PrimaryRevision,
) -> Vec<(i64, usize)> {
    let mut heard = Vec::new();
    loop {
        let batch = watch.next().await.unwrap();
        heard.extend(batch.groups.iter().map(|it| (it.revision.get(), it.changes.len())));
        if batch.position >= last {
            return heard;
        }
    }
}

#[tokio::test]
async fn a_watch_begins_with_the_revision_asked_for_and_tells_revisions_whole() {
    let etcd = Etcd::start(&[]).await;
    fill(&etcd, 4, "x").await;
    let standby = etcd.standby();
    let writes = (0..500).map(|n| put(&format!("/registry/{n:05}"), "y").into()).collect();
    standby.commit(txn(writes)).await.unwrap();
    let mut watch = etcd.primary().watch(registry(), revision(3)).await.unwrap();
    let heard = drain(&mut watch, revision(6)).await;
    assert_eq!(heard, [(3, 1), (4, 1), (5, 1), (6, 500)]);
}

#[tokio::test]
async fn an_idle_watch_is_told_of_progress() {
    let version = { Etcd::start(&[]).await.primary().version().await.unwrap() };
    if version.starts_with("3.4.") {
        // It tells of progress every ten minutes, and can't be told otherwise.
        return;
    }
    let flag = if version.starts_with("3.5") {
        "--experimental-watch-progress-notify-interval"
    } else {
        "--watch-progress-notify-interval"
    };
    let etcd = Etcd::start(&[flag, "200ms"]).await;
    let primary = etcd.primary();
    let mut watch = primary.watch(registry(), revision(1)).await.unwrap();
    etcd.raw().await.put("/elsewhere", "x", None).await.unwrap();
    let heard = drain(&mut watch, revision(2)).await;
    assert_eq!(heard, []);
}

#[tokio::test]
async fn compaction_past_the_start_asks_for_a_resync() {
    let etcd = Etcd::start(&[]).await;
    let last = fill(&etcd, 5, "x").await;
    etcd.raw().await.compact(last.get(), None).await.unwrap();
    let mut watch = etcd.primary().watch(registry(), revision(2)).await.unwrap();
    let failure = watch.next().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Resync);
    assert!(failure.message.ends_with(&format!("up to {last}")), "{failure}");
    assert_eq!(watch.next().await.unwrap_err(), failure);
}

#[tokio::test]
async fn a_watch_that_begins_in_the_future_is_not_trusted() {
    let etcd = Etcd::start(&[]).await;
    let last = fill(&etcd, 3, "x").await;
    let primary = etcd.primary();
    let _next = primary.watch(registry(), last.next()).await.unwrap();
    let failure = primary.watch(registry(), last.next().next()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Retry);
}

#[tokio::test]
async fn a_dropped_watch_ends_on_the_server() {
    let etcd = Etcd::start(&[]).await;
    let primary = etcd.primary();
    let watchers = || etcd.metric("etcd_debugging_mvcc_watcher_total");
    let before = watchers();
    let watch = primary.watch(registry(), revision(1)).await.unwrap();
    assert_eq!(watchers() - before, 1.0);
    drop(watch);
    for _ in 0..100 {
        if watchers() == before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} watchers are left", watchers());
}

#[tokio::test]
async fn a_message_too_large_is_asked_for_in_fragments() {
    let etcd = Etcd::start(&[]).await;
    let last = fill(&etcd, 400, &"x".repeat(20_000)).await;
    let settings = Settings { max_message_bytes: 4 << 20, ..etcd.settings() };
    let primary = Primary::new(settings).unwrap();
    let mut watch = primary.watch(registry(), revision(2)).await.unwrap();
    let failure = watch.next().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Retry, "{failure}");
    let mut watch = primary.watch(registry(), revision(2)).await.unwrap();
    let heard = drain(&mut watch, last).await;
    assert_eq!(heard.len(), 400);
}

#[tokio::test]
async fn a_member_that_dies_ends_the_watch() {
    let mut etcd = Etcd::start(&[]).await;
    let primary = etcd.primary();
    let mut watch = primary.watch(registry(), revision(1)).await.unwrap();
    etcd.kill();
    let failure = watch.next().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Retry);
    etcd.restart().await;
    primary.watch(registry(), revision(1)).await.unwrap();
}
