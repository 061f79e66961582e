//! What is held is mirrored to where it is parked, through every way in which a mirror writes.

use crate::support::{GROUP, PARKED, Pair, object, platform, put_all, report, under};

#[tokio::test]
async fn what_is_held_is_parked_and_the_own_place_is_left_to_the_standby() {
    let mut pair = Pair::start().await;
    put_all(&pair.there, &platform(60)).await;
    pair.there.put("/registry/configmaps/team/live", "{}", None).await.unwrap();
    // The standby has an object of its own where the primary has another.
    let own = format!("{GROUP}zclusters/team/c000");
    pair.here.put(own.as_str(), "the standby's own", None).await.unwrap();
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.caught_up(&mut mirror).await;
    assert_eq!(pair.parked_equals_held().await.len(), 300);
    let live = under(&pair.here, "/registry/", "").await;
    let expected = [(own.as_str(), "the standby's own"), ("/registry/configmaps/team/live", "{}")];
    assert_eq!(live.len(), 2, "{:?}", live.keys());
    assert!(expected.iter().all(|(key, value)| live[*key] == value.as_bytes()));

    // It follows: what is made, changed and deleted.
    let machine = format!("{GROUP}amachines/team/later");
    pair.there.put(machine.as_str(), object("Machine", "later", &[], "1"), None).await.unwrap();
    pair.there.put(own.as_str(), object("ZCluster", "c000", &[], "changed"), None).await.unwrap();
    pair.there.delete(format!("{GROUP}amachines/team/m007-1"), None).await.unwrap();
    pair.caught_up(&mut mirror).await;
    let parked = pair.parked_equals_held().await;
    assert!(parked.contains_key(&machine) && parked.len() == 300);
    assert_eq!(under(&pair.here, "/registry/", "").await, live);

    mirror.wait_for("300 parked keys", |status| status["parked"] == 300).await;
    let metrics = mirror.get("/metrics").await.unwrap().body;
    assert!(metrics.contains("etcd_sync_parked_keys 300"), "{metrics}");
    let (found, exit) = report(&mirror.audit(&["-o", "json"]));
    assert_eq!((exit, &found["verdict"]), (0, &"in-sync".into()), "{found}");
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn what_was_missed_while_nobody_mirrored_is_made_up_for() {
    let mut pair = Pair::start().await;
    put_all(&pair.there, &platform(100)).await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.caught_up(&mut mirror).await;
    mirror.kill();

    for at in 0..20 {
        pair.there.delete(format!("{GROUP}amachines/team/m{at:03}-2"), None).await.unwrap();
        let name = format!("n{at:03}");
        let key = format!("{GROUP}amachines/team/{name}");
        pair.there.put(key, object("Machine", &name, &[], "new"), None).await.unwrap();
    }
    let changed = format!("{GROUP}zclusters/team/c050");
    let put = pair.there.put(changed, object("ZCluster", "c050", &[], "changed"), None).await;
    let head = put.unwrap().header().unwrap().revision();
    pair.there.compact(head, None).await.unwrap();
    mirror.restart();
    mirror.wait_for_state("following").await;
    pair.caught_up(&mut mirror).await;
    assert_eq!(pair.parked_equals_held().await.len(), 500);
    let status = mirror.status().await.unwrap();
    let resyncs = status["counters"]["resyncs"].as_array().unwrap();
    assert!(resyncs.iter().any(|resync| resync["class"] == "compacted"), "{status}");
    assert!(under(&pair.here, "/registry/", "").await.is_empty());
    let (found, exit) = report(&mirror.audit(&["-o", "json"]));
    assert_eq!(exit, 0, "{found}");
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn what_only_a_parked_object_owns_is_held_back_unless_it_is_parked_too() {
    let mut pair = Pair::start().await;
    put_all(&pair.there, &platform(2)).await;
    let secret = "/registry/secrets/team/bootstrap";
    let value = object("Secret", "bootstrap", &[("Machine", "m000-0")], "");
    pair.there.put(secret, value, None).await.unwrap();
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    let status = mirror.wait_for("one key held back", |s| s["held_back"]["count"] == 1).await;
    assert_eq!(status["held_back"]["keys"][0]["key"], secret, "{status}");
    assert_eq!(pair.parked_equals_held().await.len(), 10);
    assert!(under(&pair.here, "/registry/", "").await.is_empty());
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_rule_that_holds_no_longer_takes_what_it_parked_along() {
    let pair = Pair::start().await;
    put_all(&pair.there, &platform(20)).await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.caught_up(&mut mirror).await;
    assert_eq!(pair.parked_equals_held().await.len(), 100);
    mirror.terminate();
    std::fs::write(&pair.rules, "- action: include\n  resource: cluster.x-k8s.io/*\n").unwrap();
    mirror.restart();
    let blocked = mirror
        .wait_for("blocked, with a release", |status| {
            status["blocked"]["release"].as_str().is_some_and(|text| text.contains("--accept"))
        })
        .await;
    assert_eq!(blocked["blocked"]["guard"], "scope_changed", "{blocked}");
    let release = blocked["blocked"]["release"].as_str().unwrap();
    assert!(release.contains("deletes 100 keys"), "{release}");
    let digest = release.split("--accept ").nth(1).unwrap().split('`').next().unwrap();
    let ordered = mirror.verb(&["resync", "--accept", digest]);
    assert!(ordered.status.success(), "{ordered:?}");
    mirror.wait_for_state("following").await;
    pair.caught_up(&mut mirror).await;
    assert!(under(&pair.here, PARKED, PARKED).await.is_empty());
    assert_eq!(under(&pair.here, GROUP, "").await, under(&pair.there, GROUP, "").await);
}
