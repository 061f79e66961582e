//! It names what differs, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use end_to_end::{Dice, Load, seed};
use etcd_client::Client;
use tokio::time::{Duration, Instant};

use crate::support::{caught_up, check, fill, mirror, named, pair, report, wait_until_checked};

/// Writers on hot keys, with deletions and transactions, until told to stop; how many writes they
/// have made.
fn load(
    client: &Client,
    stop: &Arc<AtomicBool>,
    dice: &mut Dice,
) -> Vec<tokio::task::JoinHandle<u64>> {
    let writers = (0..16_u64).map(|writer| {
        let (mut client, stop) = (client.clone(), Arc::clone(stop));
        let mut dice = Dice::new(dice.below(u64::MAX));
        let load = Load {
            prefix: format!("/registry/configmaps/hot/{}-", writer % 4),
            keys: 20,
            requests: 20,
            ..Load::default()
        };
        tokio::spawn(async move {
            let mut requests = 0;
            while !stop.load(Ordering::Relaxed) {
                load.run(&mut client, &mut dice).await;
                requests += 20;
            }
            requests
        })
    });
    writers.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_checks_under_load_report_nothing() {
    let mut dice = seed::dice("three_hundred_checks_under_load_report_nothing");
    let (primary, standby) = pair().await;
    let client = primary.client().await;
    fill(&client, "/registry/configmaps/cold/", 2_000, |n| n.to_string().into_bytes()).await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (began, writers) = (Instant::now(), load(&client, &stop, &mut dice));
    let mut verified = 0;
    for number in 0..300 {
        let (status, found) = check(&mirror, "&strict=true").await;
        assert_eq!(
            (status, &found["verdict"]),
            (200, &"in-sync".into()),
            "check {number}: {found}"
        );
        let revision = found["verified_revision"].as_i64().unwrap();
        assert!(revision >= verified, "check {number} went back to {revision}");
        verified = revision;
    }
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut writes = 0;
    for writer in writers {
        writes += writer.await.unwrap();
    }
    let rate = u128::from(writes) * 1_000 / took.as_millis();
    println!("300 checks in {took:?} beside {rate} writes/s; verified up to revision {verified}");
    assert!(rate >= 1_000, "only {rate} writes/s");
    assert!(verified > 1_000, "the checks did not follow the load: {verified}");
    caught_up(&mut mirror, &primary).await;
    assert_eq!(report(&mirror.audit(&["-o", "json"])).1, 0);
    mirror.assert_no_errors(&[]);
}

/// Changes one key on the standby so that it differs, and says how.
async fn diverge_one(standby: &mut Client, dice: &mut Dice, number: u64) -> (String, &'static str) {
    let taken = format!("/registry/secrets/ns/{number:06}");
    let value = standby.get(taken.as_str(), None).await.unwrap().kvs()[0].value().to_vec();
    let (key, kind, value) = match dice.below(6) {
        0 => (taken, "missed", None),
        1 => (format!("{taken}-extra"), "surplus", Some(value)),
        2 => (taken, "different", Some(b"something else".to_vec())),
        3 => {
            let mut value = value;
            let at = usize::try_from(dice.below(value.len() as u64)).unwrap();
            value[at] ^= 1 << dice.below(8);
            (taken, "different", Some(value))
        }
        4 => (taken, "different", Some([value, vec![b'\n']].concat())),
        _ => (taken, "different", Some(Vec::new())),
    };
    match value {
        Some(value) => {
            standby.put(key.as_str(), value, None).await.unwrap();
        }
        None => {
            standby.delete(key.as_str(), None).await.unwrap();
        }
    }
    (key, kind)
}

/// Changes `count` of `keys` keys on the standby so that they differ; how each of them does.
pub(crate) async fn diverge(
    standby: &mut Client,
    dice: &mut Dice,
    keys: u64,
    count: usize,
) -> BTreeMap<String, &'static str> {
    let mut planted = BTreeMap::new();
    let mut numbers = BTreeSet::new();
    while planted.len() < count {
        let number = dice.below(keys);
        // Each key once: a second change could undo the first.
        if numbers.insert(number) {
            planted.extend([diverge_one(standby, dice, number).await]);
        }
    }
    planted
}

/// The same, as reports are read.
pub(crate) fn planted_text(planted: &BTreeMap<String, &str>) -> BTreeMap<String, String> {
    planted.iter().map(|(key, kind)| (key.clone(), (*kind).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_divergences_among_fifty_thousand_keys_are_found_and_nothing_else() {
    let mut dice =
        seed::dice("two_hundred_divergences_among_fifty_thousand_keys_are_found_and_nothing_else");
    let (primary, standby) = pair().await;
    let client = primary.client().await;
    let value = |n: u32| Dice::new(u64::from(n)).bytes(50 + n as usize % 400);
    fill(&client, "/registry/secrets/ns/", 50_000, value).await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    caught_up(&mut mirror, &primary).await;

    let planted = planted_text(&diverge(&mut standby.client().await, &mut dice, 50_000, 200).await);
    let (by_audit, exit) = report(&mirror.audit(&["-o", "json"]));
    assert_eq!((named(&by_audit), exit), (planted.clone(), 1));
    let (status, by_http) = check(&mirror, "&strict=true").await;
    assert_eq!((named(&by_http), status), (planted.clone(), 409));
    // All of it is the work of others, and known to be.
    for found in [&by_audit, &by_http] {
        assert_eq!(found["classes"], serde_json::json!({ "foreign-write": 200 }), "{found}");
    }
    let keys = AtomicU64::new(0);
    let lines = mirror.audit(&["-o", "ndjson"]).stdout;
    for line in String::from_utf8(lines).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        keys.fetch_add(u64::from(line["type"] == "difference"), Ordering::Relaxed);
    }
    assert_eq!(keys.into_inner(), 200);
    mirror.assert_no_errors(&[]);
    let text = mirror.get("/check?limit=5").await.unwrap();
    let surplus = planted.values().filter(|kind| *kind == "surplus").count();
    assert!(text.body.contains(&format!("LOCAL ETCD surplus keys: {surplus}\n")), "{}", text.body);
}

#[tokio::test]
async fn what_a_quiet_standby_loses_is_seen_at_once() {
    let (primary, standby) = pair().await;
    fill(&primary.client().await, "/k/", 10, |_| b"1".to_vec()).await;
    let mut mirror = mirror(&primary, &standby).start();
    wait_until_checked(&mut mirror).await;
    // The primary is idle, so that no checkpoint is written after this.
    standby.client().await.delete("/k/000003", None).await.unwrap();
    let began = Instant::now();
    let (_, found) = check(&mirror, "").await;
    assert_eq!(named(&found), BTreeMap::from([("/k/000003".to_owned(), "missed".to_owned())]));
    assert!(began.elapsed() < Duration::from_secs(5));
}
