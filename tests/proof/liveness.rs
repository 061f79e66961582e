//! A watch that is open, answers pings, and brings nothing for as long as it likes.

use std::time::{Duration, Instant};

use end_to_end::{Etcd, Mirror, Swallower, assert_equal_in_scope, dump, eventually, everything};

use crate::support::{PATIENCE, assert_caught_up, fill, head, mirror, pair, put, wait_for_readyz};

/// How long a dead watch may go unnoticed.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

/// A counter with labels, as `/metrics` has it; 0 where it is not there.
async fn counter(mirror: &Mirror, name: &str) -> u64 {
    let metrics = mirror.get("/metrics").await.unwrap().body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

const PRIMARY_STALLS: &str = r#"etcd_sync_watch_stalls_total{side="primary"}"#;
const STANDBY_STALLS: &str = r#"etcd_sync_watch_stalls_total{side="standby"}"#;

/// Twenty single puts.
async fn put_twenty(primary: &Etcd) -> i64 {
    let mut client = primary.client().await;
    let mut revision = 0;
    for n in 0..20 {
        revision = put(&mut client, &format!("/late/{n:02}"), "1").await;
    }
    revision
}

/// Every watch that is opened is as silent as the one before: what is not known is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_whose_watches_stay_silent_is_behind_and_says_so() {
    let (primary, standby) = pair().await;
    fill(&mut primary.client().await, "/d/", 20, "1").await;
    let between = Swallower::start(&primary.endpoints()[0]).await;
    let mut mirror = mirror(&[between.endpoint()], &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    wait_for_readyz(&mirror, 200).await;
    let ready = mirror.status().await.unwrap();
    assert_eq!(ready["verdict"], "ok", "{ready}");

    between.silence_all();
    let begin = Instant::now();
    let revision = put_twenty(&primary).await;
    eventually("a stall is counted", NOTICED_WITHIN, async || {
        (counter(&mirror, PRIMARY_STALLS).await > 0).then_some(())
    })
    .await;
    wait_for_readyz(&mirror, 503).await;
    assert!(begin.elapsed() < NOTICED_WITHIN, "not ready after {:?} only", begin.elapsed());
    let first = mirror.status().await.unwrap();
    let lag = |status: &serde_json::Value| status["lag_seconds"].as_f64().unwrap_or(0.0);
    assert!(lag(&first) > 2.0, "{first}");
    assert_ne!(first["verdict"], "ok", "{first}");
    assert!(first["primary_watch_behind_seconds"].as_f64().unwrap() > 2.0, "{first}");
    assert_eq!(first["primary_revision"], revision, "{first}");
    assert_ne!(first["checkpoint_revision"], revision, "{first}");
    let looked = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let second = mirror.status().await.unwrap();
    let (grown, passed) = (lag(&second) - lag(&first), looked.elapsed().as_secs_f64());
    assert!((grown - passed).abs() < 1.5, "the lag grew by {grown} s in {passed} s");
    let log = mirror.process().output();
    let warned = log.lines().any(|line| line.contains("WARN") && line.contains("watch"));
    assert!(warned, "{log}");
    assert!(between.swallowed() > 0, "the test's premise");
    // What a check says holds for the pair that it names, and that is the one of before.
    let check = mirror.get("/check").await.unwrap().body;
    let pair = format!("at primary revision {}", first["checkpoint_revision"]);
    assert!(check.contains(&pair), "{check}");

    between.heal();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    wait_for_readyz(&mirror, 200).await;
}

/// One member is silent for good, the other one is well.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_watches_stay_silent_is_left_for_another() {
    let (primary, standby) = pair().await;
    fill(&mut primary.client().await, "/d/", 20, "1").await;
    let target = &primary.endpoints()[0];
    let (bad, good) = tokio::join!(Swallower::start(target), Swallower::start(target));
    let endpoints = [bad.endpoint(), good.endpoint()];
    let mut mirror = mirror(&endpoints, &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    // Whichever of them it is on.
    for silent in [&bad, &good] {
        silent.silence_all();
        let begin = Instant::now();
        put_twenty(&primary).await;
        assert_caught_up(&mut mirror, &primary, &standby).await;
        assert!(begin.elapsed() < NOTICED_WITHIN, "it took {:?}", begin.elapsed());
        silent.heal();
    }
    assert!(bad.swallowed() + good.swallowed() > 0, "the test's premise");
    assert!(counter(&mirror, PRIMARY_STALLS).await > 0);
    assert!(counter(&mirror, r#"etcd_sync_watch_restarts_total{reason="stalled"}"#).await > 0);
    mirror.assert_no_errors(&[]);
}

/// A write that happens while the standby's watch is silent, on a primary that is idle: the mirror
/// has no write of its own to miss.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_whose_watch_is_silent_is_seen_to_change_all_the_same() {
    let (primary, standby) = pair().await;
    fill(&mut primary.client().await, "/d/", 20, "1").await;
    let between = Swallower::start(&standby.endpoints()[0]).await;
    let builder = mirror(&primary.endpoints(), &[between.endpoint()]);
    // So that no check finds what the watch does not bring.
    let mut mirror = builder.flag("--check-interval").flag("1h").start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    between.silence_open();
    standby.client().await.delete("/d/00003", None).await.unwrap();
    eventually("the key is put back", PATIENCE, async || {
        let found = standby.client().await.get("/d/00003", None).await.ok()?;
        (found.kvs().len() == 1).then_some(())
    })
    .await;
    assert!(between.swallowed() > 0, "the test's premise");
    assert!(counter(&mirror, STANDBY_STALLS).await > 0);
    let revision = head(&mut primary.client().await).await;
    mirror.wait_for_checkpoint(revision).await;
    let sides = [dump(&primary.client().await).await, dump(&standby.client().await).await];
    assert_equal_in_scope(&sides[0], &sides[1], everything);
}

/// Silence is not taken for death where nothing happens: an idle pair stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_pair_opens_no_watch_again() {
    let (primary, standby) = pair().await;
    fill(&mut primary.client().await, "/d/", 20, "1").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    tokio::time::sleep(Duration::from_secs(18)).await;
    assert_eq!(counter(&mirror, PRIMARY_STALLS).await, 0);
    assert_eq!(counter(&mirror, STANDBY_STALLS).await, 0);
    wait_for_readyz(&mirror, 200).await;
    mirror.assert_no_errors(&[]);
}
