//! A write that comes late, from an attempt that was given up or from a mirror that was replaced,
//! never lands.

use std::time::Duration;

use end_to_end::{Direction, Etcd, Mirror, Proxy, Recorder, eventually, everything, seed};
use etcd_client::Client;

use crate::support::{
    assert_caught_up, assert_equal, assert_history, head, mirror, pair, patient_load, put,
};

/// Rounds of freezing and thawing. Without a guard, about every fourth of them goes wrong.
const ROUNDS: usize = 5;

/// Freezes one member of the standby again and again while writes go on, and asks for one history.
async fn freeze_and_thaw(all_endpoints: bool, test: &str) {
    let (primary, mut standby) =
        tokio::join!(Etcd::start(), Etcd::builder().standby().members(3).start());
    let recorded = Recorder::start(primary.access(), everything);
    let written = Recorder::start(standby.access(), everything);
    let endpoints = standby.endpoints();
    let used = if all_endpoints { &endpoints[..] } else { &endpoints[..1] };
    let mut mirror = mirror(&primary.endpoints(), used).start();
    mirror.wait_for_state("following").await;
    let mut dice = seed::dice(test);
    let mut client = primary.client().await;
    for round in 0..ROUNDS {
        // The mirror moves on to the next member each time.
        let frozen = if all_endpoints { round % 3 } else { 0 };
        standby.process(frozen).freeze();
        let load = patient_load(Duration::from_secs(6));
        load.run(&mut client, &mut dice).await;
        let revision = head(&mut client).await;
        if all_endpoints {
            // Through another member, while whatever was sent to this one still waits there.
            mirror.wait_for_checkpoint(revision).await;
        }
        standby.process(frozen).thaw();
        mirror.wait_for_checkpoint(revision).await;
        patient_load(Duration::from_millis(300)).run(&mut client, &mut dice).await;
    }
    assert_caught_up(&mut mirror, &primary, &standby).await;
    let (recorded, written) = tokio::join!(recorded.finish(), written.finish());
    assert!(assert_history(&recorded, &written, 1) > ROUNDS);
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn what_a_frozen_member_still_holds_never_lands_late() {
    freeze_and_thaw(true, "frozen, all endpoints").await;
}

#[tokio::test]
async fn what_the_only_endpoint_still_holds_never_lands_late() {
    freeze_and_thaw(false, "frozen, one endpoint").await;
}

/// The epoch as it is stored, and when it was stored.
async fn epoch(standby: &Etcd) -> (Vec<u8>, i64) {
    let mut client = standby.client().await;
    let answer = client.get("/etcd-sync/default/epoch", None).await.unwrap();
    let kv = &answer.kvs()[0];
    (kv.value().to_vec(), kv.mod_revision())
}

/// The older mirror is fenced, says so, and never writes again.
async fn assert_fenced(
    older: &mut Mirror,
    newer: &mut Mirror,
    primary: &Etcd,
    standby: &Etcd,
    taken: &(Vec<u8>, i64),
) {
    let status = older.wait_for_state("fenced").await;
    assert!(status["reason"].as_str().unwrap().contains("epoch"), "{status}");
    assert_ne!(older.get("/readyz").await.unwrap().status, 200);
    let mut client = primary.client().await;
    for n in 0..5 {
        put(&mut client, &format!("/after/{n}"), "1").await;
    }
    assert_caught_up(newer, primary, standby).await;
    assert_eq!(epoch(standby).await, *taken, "nobody took the epoch back");
    assert_eq!(older.status().await.unwrap()["state"], "fenced");
    assert!(older.process().ended().is_none(), "it stays up, and says why");
    assert_eq!(newer.status().await.unwrap()["state"], "following");
}

async fn write(client: &mut Client, prefix: &str, value: &str) {
    for n in 0..30 {
        put(client, &format!("{prefix}{:02}", n % 10), value).await;
        client.delete(format!("{prefix}{:02}", (n + 5) % 10), None).await.unwrap();
    }
}

#[tokio::test]
async fn a_mirror_that_slept_through_its_replacement_is_fenced() {
    let (primary, standby) = pair().await;
    let recorded = Recorder::start(primary.access(), everything);
    let written = Recorder::start(standby.access(), everything);
    let mut client = primary.client().await;
    write(&mut client, "/a/", "1").await;
    let mut older = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut older, &primary, &standby).await;
    for n in 0..20 {
        // In the middle of whatever it does.
        put(&mut client, "/busy", &n.to_string()).await;
    }
    older.process().freeze();
    let mut newer = mirror(&primary.endpoints(), &standby.endpoints()).start();
    newer.wait_for_state("following").await;
    write(&mut client, "/a/", "2").await;
    assert_caught_up(&mut newer, &primary, &standby).await;
    let taken = epoch(&standby).await;
    older.process().thaw();
    write(&mut client, "/a/", "3").await;
    assert_fenced(&mut older, &mut newer, &primary, &standby, &taken).await;
    let (recorded, written) = tokio::join!(recorded.finish(), written.finish());
    assert_history(&recorded, &written, 1);
}

#[tokio::test]
async fn a_second_mirror_that_elects_nobody_fences_a_running_one() {
    let (primary, standby) = pair().await;
    let mirror = |primary: &[String], standby: &[String]| {
        mirror(primary, standby).flag("--leader-election=false")
    };
    let recorded = Recorder::start(primary.access(), everything);
    let written = Recorder::start(standby.access(), everything);
    let mut client = primary.client().await;
    write(&mut client, "/a/", "1").await;
    let mut older = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut older, &primary, &standby).await;
    let mut newer = mirror(&primary.endpoints(), &standby.endpoints()).start();
    write(&mut client, "/a/", "2").await;
    newer.wait_for_state("following").await;
    let taken = epoch(&standby).await;
    assert_fenced(&mut older, &mut newer, &primary, &standby, &taken).await;
    let (recorded, written) = tokio::join!(recorded.finish(), written.finish());
    assert_history(&recorded, &written, 1);
}

#[tokio::test]
async fn a_transaction_that_was_held_up_never_lands_after_a_takeover() {
    let (primary, standby) = pair().await;
    let recorded = Recorder::start(primary.access(), everything);
    let written = Recorder::start(standby.access(), everything);
    let proxy = Proxy::start(&standby.endpoints()[0]).await;
    let mut client = primary.client().await;
    put(&mut client, "/a", "1").await;
    let mut older = mirror(&primary.endpoints(), &[proxy.endpoint()]).start();
    assert_caught_up(&mut older, &primary, &standby).await;

    proxy.hold(Direction::ToServer);
    put(&mut client, "/a", "held up").await;
    let revision = put(&mut client, "/b", "held up").await;
    // The older mirror has seen both and can't be rid of them.
    older
        .wait_for("the older mirror has received it", |status| {
            status["primary_revision"].as_i64() >= Some(revision)
        })
        .await;
    let mut newer = mirror(&primary.endpoints(), &standby.endpoints()).start();
    newer.wait_for_checkpoint(revision).await;
    put(&mut client, "/a", "newer").await;
    client.delete("/b", None).await.unwrap();
    assert_caught_up(&mut newer, &primary, &standby).await;
    let taken = epoch(&standby).await;
    let before = proxy.bytes(Direction::ToServer);
    proxy.release(Direction::ToServer);
    eventually("what was held arrives", Duration::from_secs(10), async || {
        (proxy.bytes(Direction::ToServer) > before).then_some(())
    })
    .await;
    assert_fenced(&mut older, &mut newer, &primary, &standby, &taken).await;
    assert_equal(&primary, &standby).await;
    let (recorded, written) = tokio::join!(recorded.finish(), written.finish());
    assert_history(&recorded, &written, 1);
}

#[tokio::test]
async fn mirrors_of_different_names_leave_each_other_alone() {
    let (primary, standby) = pair().await;
    let mut client = primary.client().await;
    put(&mut client, "/a/1", "1").await;
    put(&mut client, "/b/1", "1").await;
    let named = |name: &str, prefix: &str| {
        mirror(&primary.endpoints(), &standby.endpoints())
            .connection_flag("--mirror-name")
            .connection_flag(name)
            .connection_flag("--prefix")
            .connection_flag(prefix)
            .start()
    };
    let (mut one, mut two) = (named("one", "/a/"), named("two", "/b/"));
    one.wait_for_state("following").await;
    two.wait_for_state("following").await;
    put(&mut client, "/a/2", "2").await;
    let revision = put(&mut client, "/b/2", "2").await;
    one.wait_for_checkpoint(revision).await;
    two.wait_for_checkpoint(revision).await;
    assert_equal(&primary, &standby).await;
    for mirror in [one, two] {
        assert_eq!(mirror.status().await.unwrap()["state"], "following");
        mirror.assert_no_errors(&[]);
    }
}
