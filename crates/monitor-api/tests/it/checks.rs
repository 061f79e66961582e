//! Running checks: one at a time, for whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use monitor_api::{
    CheckReport, CheckVerdict, Checks, Comparison, DifferenceKind, DifferenceReport,
};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::nothing;

/// Checks that count their runs, each of which waits for a permit.
pub(crate) fn held() -> (Checks, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (runs, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (counted, awaited) = (Arc::clone(&runs), Arc::clone(&gate));
    let checks = Checks::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::clone(&awaited);
        async move {
            gate.acquire().await.unwrap().forget();
            CheckReport::judged(nothing())
        }
    });
    (checks, runs, gate)
}

#[tokio::test]
async fn callers_at_the_same_time_share_one_run() {
    let (checks, runs, gate) = held();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let checks = checks.clone();
            tokio::spawn(async move { checks.run().await })
        })
        .collect();
    tokio::task::yield_now().await;
    gate.add_permits(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap().verdict(), CheckVerdict::InSync);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    gate.add_permits(1);
    checks.run().await;
    assert_eq!(runs.load(Ordering::SeqCst), 2, "a later caller gets a new run");
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_nothing() {
    let (checks, runs, gate) = held();
    let mut told = checks.subscribe();
    assert!(timeout(Duration::from_millis(20), checks.run()).await.is_err());
    gate.add_permits(1);
    told.changed().await.unwrap();
    assert_eq!(checks.last().unwrap().verdict(), CheckVerdict::InSync);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_last_handle_ends_the_run() {
    let (alive, mut dropped) = oneshot::channel::<()>();
    let alive = std::sync::Mutex::new(Some(alive));
    let checks = Checks::new(move || {
        let alive = alive.lock().unwrap().take();
        async move {
            let _alive = alive;
            std::future::pending().await
        }
    });
    let other = checks.clone();
    assert!(timeout(Duration::from_millis(20), checks.run()).await.is_err());
    drop(checks);
    assert!(timeout(Duration::from_millis(20), &mut dropped).await.is_err(), "one is left");
    drop(other);
    assert!(timeout(Duration::from_secs(10), dropped).await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_inconclusive() {
    let checks = Checks::new(std::future::pending::<CheckReport>);
    let report = checks.run().await;
    assert_eq!(report.verdict(), CheckVerdict::Inconclusive);
    assert!(report.reason().contains("given up after 600 s"), "{}", report.reason());
    assert!(report.found().started_at.is_some(), "it is dated all the same");
}

#[tokio::test]
async fn a_panic_is_inconclusive_and_the_next_run_is_not() {
    let runs = AtomicUsize::new(0);
    let checks = Checks::new(move || {
        let run = runs.fetch_add(1, Ordering::SeqCst);
        assert!(run != 0, "before the first await");
        async move {
            assert!(run != 1, "after it");
            CheckReport::judged(nothing())
        }
    });
    for _ in 0..2 {
        let report = checks.run().await;
        assert_eq!(report.verdict(), CheckVerdict::Inconclusive);
        assert!(report.reason().contains("broke"), "{}", report.reason());
    }
    assert_eq!(checks.run().await.verdict(), CheckVerdict::InSync);
    assert_eq!((checks.totals().inconclusive, checks.totals().in_sync), (2, 1));
}

#[tokio::test]
async fn the_history_keeps_the_newest_thirty_two() {
    let runs = AtomicUsize::new(0);
    let checks = Checks::new(move || {
        let keys = u64::try_from(runs.fetch_add(1, Ordering::SeqCst)).unwrap();
        async move { CheckReport::judged(Comparison { keys, ..nothing() }) }
    });
    for _ in 0..40 {
        checks.run().await;
    }
    let kept: Vec<_> = checks.history().iter().map(|report| report.found().keys).collect();
    assert_eq!(kept, (8..40).rev().collect::<Vec<_>>());
    assert_eq!(checks.totals().runs(), 40);
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_what_the_caller_gets_is_whole() {
    // Twenty reports of three thousand keys with a kilobyte each: 60 MB.
    let key = DifferenceReport::new(DifferenceKind::Missed, "k".repeat(1_000).as_bytes());
    let checks = Checks::new(move || {
        let differences = vec![key.clone(); 3_000];
        async { CheckReport::judged(Comparison { differences, ..nothing() }) }
    });
    for _ in 0..20 {
        assert_eq!(checks.run().await.found().differences.len(), 3_000);
    }
    let history = checks.history();
    let bytes: usize = history.iter().map(|kept| serde_json::to_vec(&**kept).unwrap().len()).sum();
    assert!((1 << 20..5 << 20).contains(&bytes), "{bytes} bytes are kept");
    let newest = checks.last().unwrap();
    assert_eq!(newest.found().missed, 3_000);
    assert!(newest.is_truncated() && newest.found().differences.len() <= 1_000);
}
