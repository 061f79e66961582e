//! Several instances of one mirror: one writes, the others wait, and a promotion fences all of them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use end_to_end::seed;
use end_to_end::{Direction, Etcd, Mirror, MirrorBuilder, Proxy, Recorder, eventually, everything};
use etcd_client::GetOptions;
use etcd_link::{Settings, Standby};
use etcd_mvcc::{Expect, HoldLease as _, Key, ReadRange as _, Value};
use mirror_engine::promotion::{self, Fence};

use crate::support::{
    PATIENCE, assert_caught_up, assert_equal, assert_history, assert_refused, mirror, pair,
    patient_load, put,
};

/// Two instances freeze and thaw at random for so long.
const TURMOIL: Duration = Duration::from_secs(60);

fn instance(primary: &Etcd, standby: &[String]) -> MirrorBuilder {
    mirror(&primary.endpoints(), standby).flag("--leader-lease").flag("3s")
}

/// The standby's own side of the software, as another tool would use it.
fn link(standby: &Etcd) -> Standby {
    let settings = Settings { endpoints: standby.endpoints(), ..Settings::default() };
    Standby::new(settings, "/etcd-sync/default/", Arc::new(|_| false)).unwrap()
}

async fn promote(standby: &Etcd) -> Fence {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    promotion::promote(&link(standby), "default", "the test", now).await.unwrap()
}

#[tokio::test]
async fn one_instance_leads_and_the_next_takes_over_when_it_ends() {
    let (primary, standby) = pair().await;
    let mut first = instance(&primary, &standby.endpoints()).start();
    first.wait_for_state("following").await;
    assert!(first.process().output().contains("Acquired leader lease"));
    let mut second = instance(&primary, &standby.endpoints()).start();
    let status = second.wait_for_state("waiting").await;
    assert!(status["reason"].as_str().unwrap().contains("leads"), "{status}");
    assert_eq!((&status["leader"], &status["verdict"]), (&false.into(), &"ok".into()));
    assert!(!second.process().output().contains("Acquired leader lease"));
    let metrics = second.get("/metrics").await.unwrap().body;
    assert!(metrics.contains("etcd_sync_leader 0"), "{metrics}");

    // Asked to end, it hands over long before its lease is out.
    let begun = Instant::now();
    assert!(first.terminate().success());
    second.wait_for_state("following").await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    put(&mut primary.client().await, "/a", "1").await;
    assert_caught_up(&mut second, &primary, &standby).await;

    // Killed, it is replaced at once by whoever can see that it is gone.
    first.restart();
    first.wait_for_state("waiting").await;
    second.kill();
    first.wait_for_state("following").await;
    put(&mut primary.client().await, "/b", "1").await;
    assert_caught_up(&mut first, &primary, &standby).await;
    first.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_lease_that_is_kept_lives_on_and_one_that_has_ended_is_told() {
    let standby = Etcd::start_standby().await;
    let link = link(&standby);
    let (key, holder) = (Key::from("/etcd-sync/default/leader"), Value::from("the test"));
    let ttl = Duration::from_secs(2);
    let lease = link.take(&key, &holder, Expect::Absent, ttl).await.unwrap().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < ttl * 3 {
        assert!(link.keep(lease).await.unwrap(), "after {:?}", begun.elapsed());
        tokio::time::sleep(ttl / 4).await;
    }
    let held = link.read_keys(std::slice::from_ref(&key), None).await.unwrap();
    assert!(held[0].is_some(), "the key went although its lease was kept");
    link.give_back(lease).await.unwrap();
    assert!(!link.keep(lease).await.unwrap(), "a lease that was given back is none");
}

#[tokio::test]
async fn a_leader_that_nothing_disturbs_leads_on_for_many_leases() {
    let (primary, standby) = pair().await;
    let mut first = instance(&primary, &standby.endpoints()).start();
    first.wait_for_state("following").await;
    let mut second = instance(&primary, &standby.endpoints()).start();
    second.wait_for_state("waiting").await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let status = first.status().await.unwrap();
    assert_eq!((&status["state"], &status["epoch"]), (&"following".into(), &1.into()), "{status}");
    assert_eq!(second.status().await.unwrap()["state"], "waiting");
    assert!(!first.process().output().contains("lease has ended"));
}

#[tokio::test]
async fn whoever_waits_says_that_the_standby_was_promoted() {
    let (primary, standby) = pair().await;
    let mut first = instance(&primary, &standby.endpoints()).start();
    first.wait_for_state("following").await;
    let mut second = instance(&primary, &standby.endpoints()).start();
    second.wait_for_state("waiting").await;
    promote(&standby).await;
    for mirror in [&mut first, &mut second] {
        let status = mirror.wait_for_state("fenced").await;
        assert!(status["reason"].as_str().unwrap().contains("promoted by the test"), "{status}");
    }
    // Asked to run once, beside the instances that wait for ever, it does not.
    let once = first.verb(&["run", "--once", "--listen", "off"]);
    assert_eq!(once.status.code(), Some(4), "{once:?}");
}

#[tokio::test]
async fn run_once_gives_up_on_a_leader_that_stays() {
    let (primary, standby) = pair().await;
    let mut first = instance(&primary, &standby.endpoints()).start();
    first.wait_for_state("following").await;
    let once = ["run", "--once", "--listen", "off", "--leader-lease", "3s"];
    let once = first.verb(&once);
    assert_eq!(once.status.code(), Some(4), "{once:?}");
    let told = String::from_utf8(once.stderr).unwrap();
    assert!(told.contains("another instance mirrors already"), "{told}");
    assert_eq!(first.status().await.unwrap()["state"], "following");
}

#[tokio::test]
async fn instances_that_freeze_and_thaw_at_random_write_one_history() {
    let (primary, standby) = pair().await;
    let recorded = Recorder::start(primary.access(), everything);
    let written = Recorder::start(standby.access(), everything);
    let mut dice = seed::dice("freeze and thaw at random");
    let mut mirrors = [
        instance(&primary, &standby.endpoints()).start(),
        instance(&primary, &standby.endpoints()).start(),
    ];
    let load = tokio::spawn({
        let (mut client, mut dice) = (primary.client().await, seed::dice("load"));
        async move { patient_load(TURMOIL).run(&mut client, &mut dice).await }
    });
    let (begun, mut takeovers) = (Instant::now(), 0);
    while begun.elapsed() < TURMOIL {
        let at = usize::from(dice.below(2) == 0);
        mirrors[at].process().freeze();
        // Often longer than the lease, sometimes both at once.
        tokio::time::sleep(Duration::from_millis(200 + dice.below(6_000))).await;
        if dice.below(4) == 0 {
            mirrors[1 - at].process().freeze();
            tokio::time::sleep(Duration::from_millis(dice.below(2_000))).await;
            mirrors[1 - at].process().thaw();
        }
        mirrors[at].process().thaw();
        tokio::time::sleep(Duration::from_millis(dice.below(1_500))).await;
    }
    load.await.unwrap();
    let revision = put(&mut primary.client().await, "/last", "1").await;
    eventually("one of them has caught up", PATIENCE, async || {
        for mirror in &mirrors {
            let status = mirror.status().await?;
            if status["state"] == "following"
                && status["checkpoint_revision"].as_i64() >= Some(revision)
            {
                return Some(());
            }
        }
        None
    })
    .await;
    assert_equal(&primary, &standby).await;
    for mirror in &mut mirrors {
        takeovers += mirror.process().output().matches("Acquired leader lease").count();
    }
    assert!(takeovers > 2, "leadership has changed hands {takeovers} times");
    let (recorded, written) = tokio::join!(recorded.finish(), written.finish());
    assert_history(&recorded, &written, 1);
}

/// The newest revision at which a key outside the software's own was written.
async fn last_data(standby: &Etcd) -> i64 {
    let mut client = standby.client().await;
    let all = client.get("\0", Some(GetOptions::new().with_from_key())).await.unwrap();
    let data = all.kvs().iter().filter(|kv| !kv.key().starts_with(b"/etcd-sync/"));
    data.map(etcd_client::KeyValue::mod_revision).max().unwrap_or_default()
}

async fn assert_fenced(mirror: &mut Mirror) {
    let status = mirror.wait_for_state("fenced").await;
    assert_eq!(status["promotion"]["by"], "the test", "{status}");
    assert!(status["reason"].as_str().unwrap().contains("promoted by the test"), "{status}");
}

// The proxy must go on while a command is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_mirror_lands_once_the_standby_is_promoted() {
    let (primary, standby) = pair().await;
    let proxy = Proxy::start(&standby.endpoints()[0]).await;
    let mut client = primary.client().await;
    put(&mut client, "/a", "1").await;
    let mut mirror = instance(&primary, &[proxy.endpoint()]).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;

    proxy.hold(Direction::ToServer);
    put(&mut client, "/a", "held up").await;
    let revision = put(&mut client, "/b", "held up").await;
    mirror
        .wait_for("the mirror has received it", |status| {
            status["primary_revision"].as_i64() >= Some(revision)
        })
        .await;
    let fence = promote(&standby).await;
    assert_eq!(promote(&standby).await, fence, "it stands already");
    let checkpoint = fence.checkpoint.unwrap();
    let before = proxy.bytes(Direction::ToServer);
    proxy.release(Direction::ToServer);
    eventually("what was held arrives", PATIENCE, async || {
        (proxy.bytes(Direction::ToServer) > before).then_some(())
    })
    .await;
    assert_fenced(&mut mirror).await;
    for n in 0..20 {
        put(&mut client, &format!("/after/{n}"), "1").await;
    }
    // Restarted, it says the same, stays up and serves its status.
    assert!(mirror.terminate().success());
    mirror.restart();
    assert_fenced(&mut mirror).await;
    assert_eq!(mirror.get("/livez").await.unwrap().status, 200);
    assert!(mirror.process().ended().is_none());
    let fenced_at = etcd_mvcc::Revision::get(fence.revision);
    assert!(last_data(&standby).await < fenced_at, "a write landed after the fence");
    let stored = promotion::fence(&link(&standby), "default").await.unwrap().unwrap();
    assert_eq!(stored.checkpoint, Some(checkpoint), "the last pair is the last pair");

    // Asked to run once, it refuses; no order but the one that names the promotion takes it back.
    assert!(mirror.terminate().success());
    let once = mirror.verb(&["run", "--once", "--listen", "off"]);
    assert_refused(&once, 4, &["fenced", "promoted by the test"]);
    assert_refused(&mirror.verb(&["resume"]), 4, &["promoted"]);
    let other = "0".repeat(32).parse().unwrap();
    assert!(promotion::take_back(&link(&standby), "default", other).await.is_err());
    promotion::take_back(&link(&standby), "default", fence.digest()).await.unwrap();
    mirror.restart();
    assert_caught_up(&mut mirror, &primary, &standby).await;
}
