//! Where nothing can be concluded it says so, with the reason; never "in sync".

use std::process::Output;
use std::time::Duration;

use end_to_end::{Direction, Mirror, Proxy, eventually};
use serde_json::Value;

use crate::support::{PATIENCE, caught_up, check, fill, mirror, pair, report, wait_until_checked};

/// Both ways to ask have no answer, and say why.
async fn assert_inconclusive(mirror: &Mirror, reason: &str) {
    assert_inconclusive_by(mirror, &mirror.audit(&["-o", "json"]), reason).await;
}

async fn assert_inconclusive_by(mirror: &Mirror, audit: &Output, reason: &str) {
    let (status, by_http) = check(mirror, "").await;
    assert_eq!((status, &by_http["verdict"]), (503, &"inconclusive".into()), "{by_http}");
    let (by_audit, exit) = report(audit);
    assert_eq!((exit, &by_audit["verdict"]), (3, &"inconclusive".into()), "{by_audit}");
    for found in [&by_http, &by_audit] {
        let said = found["reason"].as_str().unwrap();
        assert!(said.contains(reason), "{said}");
        assert_eq!(found["verified_revision"], Value::Null, "{found}");
    }
}

#[tokio::test]
async fn a_standby_that_cannot_be_read_is_not_called_equal() {
    let (primary, mut standby) = pair().await;
    fill(&primary.client().await, "/k/", 10, |_| b"1".to_vec()).await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    standby.kill();
    let (status, found) = check(&mirror, "").await;
    assert_eq!((status, &found["verdict"]), (503, &"inconclusive".into()), "{found}");
    let audit = mirror.audit(&["-o", "json"]);
    assert_eq!(audit.status.code(), Some(3), "{audit:?}");
    let told = String::from_utf8(audit.stderr).unwrap();
    assert!(told.contains("standby"), "{told}");
    standby.restart().await;
    mirror.wait_for_state("following").await;
    eventually("the check has an answer again", PATIENCE, async || {
        (check(&mirror, "").await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_mirror_that_copies_is_not_called_equal() {
    let (primary, standby) = pair().await;
    let proxy = Proxy::start(&primary.endpoints()[0]).await;
    fill(&primary.client().await, "/k/", 20_000, |_| vec![b'1'; 1_000]).await;
    proxy.change(Direction::ToClient, |faults| faults.bandwidth = Some(2 << 20));
    let endpoints = (vec![proxy.endpoint()], standby.endpoints());
    let direct = mirror(&primary, &standby);
    let mut mirror =
        Mirror::builder(&endpoints.0, &endpoints.1).preset("none").patience(PATIENCE).start();
    mirror.wait_for_state("copying").await;
    // The state is stored within seconds.
    eventually("the copy is known of", PATIENCE, async || {
        let status = mirror.verb(&["status", "-o", "json"]);
        let status: Value = serde_json::from_slice(&status.stdout).ok()?;
        (status["state"] == "copying").then_some(())
    })
    .await;
    assert_inconclusive_by(&mirror, &direct.audit(&["-o", "json"]), "copying").await;
    proxy.change(Direction::ToClient, |faults| faults.bandwidth = None);
    mirror.wait_for_state("following").await;
    assert_eq!(check(&mirror, "").await.0, 200);
}

#[tokio::test]
async fn a_mirror_that_is_blocked_is_not_called_equal() {
    let (primary, standby) = pair().await;
    fill(&primary.client().await, "/k/", 10, |_| b"1".to_vec()).await;
    let mut mirror = mirror(&primary, &standby).start();
    mirror.wait_for_state("following").await;
    mirror.terminate();
    // Another scope than the checkpoint's.
    let endpoints = (primary.endpoints(), standby.endpoints());
    let mut narrowed = Mirror::builder(&endpoints.0, &endpoints.1)
        .preset("none")
        .connection_flag("--exclude-prefix")
        .connection_flag("/k/000003")
        .patience(PATIENCE)
        .start();
    narrowed
        .wait_for("blocked with a plan", |status| {
            let release = status["blocked"]["release"].as_str().unwrap_or_default();
            status["state"] == "blocked" && release.contains("--accept")
        })
        .await;
    eventually("the block is known of", PATIENCE, async || {
        let status = narrowed.verb(&["status", "-o", "json"]);
        let status: Value = serde_json::from_slice(&status.stdout).ok()?;
        (status["state"] == "blocked").then_some(())
    })
    .await;
    assert_inconclusive(&narrowed, "blocked").await;
}

#[tokio::test]
async fn a_pair_that_was_compacted_away_is_not_called_equal() {
    let (primary, standby) = pair().await;
    fill(&primary.client().await, "/k/", 10, |_| b"1".to_vec()).await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    caught_up(&mut mirror, &primary).await;
    assert!(mirror.verb(&["pause"]).status.success());
    mirror.wait_for_state("paused").await;
    // While it stands still its pair stays good …
    let (status, found) = check(&mirror, "").await;
    assert_eq!((status, &found["verdict"]), (200, &"in-sync".into()), "{found}");
    // … until the primary forgets it.
    let mut client = primary.client().await;
    client.put("/k/000000", "2", None).await.unwrap();
    let head = client.put("/k/000001", "2", None).await.unwrap().header().unwrap().revision();
    client.compact(head, None).await.unwrap();
    assert_inconclusive(&mirror, "compact").await;
    assert!(mirror.verb(&["resume"]).status.success());
    mirror.wait_for_state("following").await;
    caught_up(&mut mirror, &primary).await;
    // A run that began before may still wait for a newer pair, and whoever asks shares it.
    eventually("the check has an answer again", PATIENCE, async || {
        (check(&mirror, "").await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_mirror_both_heads_are_compared_and_what_differs_is_confirmed() {
    let (primary, standby) = pair().await;
    let mut there = primary.client().await;
    fill(&there, "/k/", 10, |_| b"1".to_vec()).await;
    fill(&standby.client().await, "/k/", 11, |_| b"1".to_vec()).await;
    there.put("/k/000004", "2", None).await.unwrap();
    let mut unused = mirror(&primary, &standby).flag("--rev").flag("1000000").start();
    unused.kill();
    let output = unused.audit(&["-o", "json"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("no mirror runs"), "{told}");
    let (found, exit) = report(&output);
    assert_eq!(exit, 1, "{found}");
    assert_eq!((&found["different"], &found["surplus"]), (&1.into(), &1.into()), "{found}");
    there.put("/k/000004", "1", None).await.unwrap();
    there.put("/k/000010", "1", None).await.unwrap();
    assert_eq!(report(&unused.audit(&["-o", "json"])).1, 0);
    assert_eq!(report(&unused.audit(&["-o", "json", "--min-age", "100ms"])).1, 0);
}

#[tokio::test]
async fn one_cluster_is_not_compared_with_itself() {
    let (primary, _standby) = pair().await;
    let mut one = mirror(&primary, &primary).start();
    one.process().wait(Duration::from_secs(30));
    let output = one.audit(&[]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("same cluster"));
}

#[tokio::test]
async fn a_state_of_the_past_is_compared_as_long_as_both_sides_remember_it() {
    let (primary, standby) = pair().await;
    let mut client = primary.client().await;
    let mut mirror = mirror(&primary, &standby).start();
    mirror.wait_for_state("following").await;
    let old = client.put("/k", "1", None).await.unwrap().header().unwrap().revision();
    mirror.wait_for_checkpoint(old).await;
    let new = client.put("/k", "2", None).await.unwrap().header().unwrap().revision();
    mirror.wait_for_checkpoint(new).await;
    standby.client().await.put("/k", "3", None).await.unwrap();
    let at = |revision: i64| {
        report(&mirror.audit(&["-o", "json", "--at-revision", &revision.to_string()]))
    };
    assert_eq!(at(old).1, 0);
    assert_eq!(at(new).1, 0, "at the pair itself it was equal");
    assert_eq!(report(&mirror.audit(&["-o", "json"])).1, 1, "today it is not");
    let (found, exit) = at(1_000_000);
    assert_eq!(exit, 3, "{found}");
}
