//! A watch that is open and brings nothing, and questions that are not answered: noticed, said, ended.

use std::time::{Duration, Instant};

use end_to_end::{Etcd, Swallower};

use crate::support::{
    PATIENCE, assert_caught_up, assert_equal, fill, mirror, pair, put, wait_for_lag, wait_for_ready,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_falls_silent_is_noticed_said_and_opened_again() {
    let (primary, standby) = pair().await;
    fill(&mut primary.client().await, "/k/", 20, "1").await;
    let between = Swallower::start(&primary.endpoints()[0]).await;
    let builder = mirror(&[between.endpoint()], &standby.endpoints());
    let mut mirror = builder.flag("--log-format").flag("text").start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    between.silence_open();
    let begin = Instant::now();
    fill(&mut primary.client().await, "/late/", 20, "1").await;
    // The lag grows meanwhile, and nobody says that all is well.
    let behind = mirror
        .wait_for("behind", |status| status["lag_seconds"].as_f64().is_some_and(|lag| lag > 2.0))
        .await;
    assert_ne!(behind["lag_revisions"], 0, "{behind}");
    assert_caught_up(&mut mirror, &primary, &standby).await;
    assert!(begin.elapsed() < Duration::from_secs(12), "it took {:?}", begin.elapsed());
    let metrics = mirror.get("/metrics").await.unwrap().body;
    let stalls = metrics
        .lines()
        .find(|line| line.starts_with("etcd_sync_watch_stalls_total{side=\"primary\"}"))
        .unwrap_or_else(|| panic!("no stall is counted: {metrics}"));
    assert!(!stalls.ends_with(" 0"), "{stalls}");
    let log = mirror.process().output();
    assert!(log.contains("watch brings nothing"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_watch_of_the_standby_is_opened_again() {
    let (primary, standby) = pair().await;
    fill(&mut primary.client().await, "/k/", 20, "1").await;
    let between = Swallower::start(&standby.endpoints()[0]).await;
    let mut mirror = mirror(&primary.endpoints(), &[between.endpoint()]).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    between.silence_open();
    // Somebody takes a key away; the mirror's own writes show that its watch is dead.
    standby.client().await.delete("/k/00003", None).await.unwrap();
    put(&mut primary.client().await, "/k/00001", "2").await;
    end_to_end::eventually("the key is put back", PATIENCE, async || {
        let found = standby.client().await.get("/k/00003", None).await.ok()?;
        (found.kvs().len() == 1).then_some(())
    })
    .await;
    assert_equal(&primary, &standby).await;
    let log = mirror.process().output();
    assert!(log.contains("standby's watch brings nothing"), "{log}");
}

#[tokio::test]
async fn a_role_that_is_revoked_while_the_watch_lives_is_said() {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/k/", 20, "1").await;
    primary.enable_auth("secret").await;
    for args in [
        ["user", "add", "mirror:word"].as_slice(),
        &["role", "add", "reader"],
        &["role", "grant-permission", "reader", "read", "", "--from-key=true"],
        &["user", "grant-role", "mirror", "reader"],
    ] {
        primary.etcdctl(args);
    }
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "word").unwrap();
    let builder = mirror(&primary.endpoints(), &standby.endpoints());
    let mut mirror = builder
        .connection_flag("--primary-user")
        .connection_flag("mirror")
        .connection_flag("--primary-password-file")
        .connection_flag(password.path())
        .flag("--ready-max-lag")
        .flag("5s")
        .start();
    mirror.wait_for_state("following").await;
    wait_for_ready(&mirror, true).await;
    primary.etcdctl(&["user", "revoke-role", "mirror", "reader"]);
    let revoked = Instant::now();
    mirror
        .wait_for("the silence is said", |status| {
            let silent = status["reason"].as_str().unwrap_or_default().contains("has not answered");
            silent && status["verdict"] != "ok"
        })
        .await;
    wait_for_ready(&mirror, false).await;
    // From the first question that was not answered on.
    wait_for_lag(&mut mirror, 10.0).await;
    assert!(revoked.elapsed() < Duration::from_secs(12), "{:?}", revoked.elapsed());
    let log = mirror.process().output();
    assert!(log.contains("the primary has not answered"), "{log}");
    primary.etcdctl(&["user", "grant-role", "mirror", "reader"]);
    wait_for_ready(&mirror, true).await;
    let _: &Etcd = &standby;
}
