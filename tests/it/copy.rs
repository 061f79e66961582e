//! The base copy: everything arrives, whatever the size and whoever compacts meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use end_to_end::dump::{assert_untouched, differences};
use end_to_end::{
    Dice, Direction, Etcd, Load, Mirror, Proxy, assert_equal_in_scope, dump, everything, fixture,
    seed,
};
use keyspace_filter::{Scope, ScopeSpec};
use serde_json::Value;
use tokio::time::Instant;

use crate::pair::{Pair, fill, head};

#[tokio::test]
async fn a_hundred_thousand_keys_are_copied_byte_for_byte() {
    let pair = Pair::start().await;
    let value = |number| Dice::new(u64::from(number)).bytes(1 << 10);
    fill(&pair.primary.client().await, "/registry/configmaps/a/", 0..100_000, value).await;
    let began = Instant::now();
    let mut mirror = pair.mirror().patience(Duration::from_secs(60)).start();
    mirror.wait_for_state("following").await;
    println!("100,000 keys of 1 KiB in {:?}", began.elapsed());
    pair.assert_equal(&mut mirror).await;
    let status = mirror.status().await.unwrap();
    assert_eq!(status["copy"]["keys_written"], 100_000, "{status}");
    assert_eq!(dump(&pair.primary.client().await).await.keys.len(), 100_000);
    mirror.assert_no_errors(&[]);
}

/// Returns the most memory that the mirror ever had while it copied so many keys.
async fn peak_memory(keys: u32) -> u64 {
    let pair = Pair::start().await;
    let value = |number| Dice::new(u64::from(number)).bytes(64);
    fill(&pair.primary.client().await, "/registry/configmaps/memory/", 0..keys, value).await;
    let mut mirror = pair.mirror().patience(Duration::from_secs(60)).start();
    mirror.wait_for_state("following").await;
    assert_eq!(mirror.status().await.unwrap()["copy"]["keys_written"], keys);
    mirror.process().peak_rss().expect("it runs")
}

#[tokio::test]
async fn memory_does_not_grow_with_the_number_of_keys() {
    let few = peak_memory(10_000).await;
    let more = peak_memory(100_000).await;
    let many = peak_memory(300_000).await;
    let [a, b, c] = [few, more, many].map(|bytes| bytes >> 10);
    println!("peak memory: {a} KiB for 10,000 keys, {b} KiB for 100,000, {c} KiB for 300,000");
    // Pages and buffers on their way fill first, to a degree that chance decides. What must not be
    // is that both sides' keys are held: 300,000 of them, twice, with what surrounds each.
    assert!(many < few + (64 << 20), "it grows with the number of keys");
}

#[tokio::test]
async fn compaction_during_the_copy_does_not_stop_it() {
    let mut dice = seed::dice("compaction_during_the_copy_does_not_stop_it");
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    let value = |number| Dice::new(u64::from(number)).bytes(1 << 10);
    fill(&primary, "/registry/configmaps/a/", 0..30_000, value).await;
    // So slow that reading everything takes several compactions.
    let proxy = Proxy::start(&pair.primary.endpoints()[0]).await;
    proxy.change(Direction::ToClient, |faults| faults.bandwidth = Some(20 << 20));
    let stop = Arc::new(AtomicBool::new(false));
    let compactions = {
        let (client, stop) = (primary.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let (mut done, began) = (0, Instant::now());
            while !stop.load(Ordering::Relaxed) {
                // A round that looks at changes only must fit between two compactions; where the
                // machine is too busy for that, they come more slowly as time goes by.
                let slower = 1 + began.elapsed().as_secs() / 10;
                tokio::time::sleep(Duration::from_millis(200 * slower)).await;
                let newest = head(&client).await;
                done += u32::from(client.clone().compact(newest, None).await.is_ok());
            }
            done
        })
    };
    let writes = {
        let (mut client, stop) = (primary.clone(), Arc::clone(&stop));
        let prefix = "/registry/configmaps/a/0".to_owned();
        let pause = Duration::from_millis(5);
        let load = Load { prefix, keys: 9_999, requests: 20, pause, ..Load::default() };
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                load.run(&mut client, &mut dice).await;
            }
        })
    };
    let mut mirror = Mirror::builder(&[proxy.endpoint()], &pair.standby.endpoints())
        .preset("none")
        .patience(Duration::from_secs(60))
        .start();
    let rounds = |status: &Value| status["counters"]["resyncs"].to_string();
    let overtaken = |status: &Value| rounds(status).contains(r#""round""#);
    mirror.wait_for("compaction overtakes the copy", overtaken).await;
    proxy.heal();
    let status = mirror.wait_for_state("following").await;
    let rounds = rounds(&status);
    // Compaction goes on while it follows, too.
    let newest = head(&primary).await;
    mirror.wait_for_checkpoint(newest + 50).await;
    stop.store(true, Ordering::Relaxed);
    writes.await.unwrap();
    let compactions = compactions.await.unwrap();
    println!("{compactions} compactions; {rounds}");
    primary.put("/last", "", None).await.unwrap();
    pair.assert_equal(&mut mirror).await;
}

#[tokio::test]
async fn of_a_kubernetes_keyspace_just_what_is_in_scope_is_copied() {
    let (primary, standby) = tokio::join!(Etcd::start(), Etcd::start_standby());
    let (mut from, mut to) = (primary.client().await, standby.client().await);
    fixture::load(&mut from, &fixture::primary()).await;
    fixture::load(&mut to, &fixture::fresh_standby()).await;
    let (primary_before, standby_before) = (dump(&from).await, dump(&to).await);

    let mut mirror = Mirror::builder(&primary.endpoints(), &standby.endpoints())
        .preset("kubernetes")
        .flag("--detail-logs")
        .start();
    mirror.wait_for_state("following").await;
    mirror.wait_for_checkpoint(primary_before.revision).await;
    let (primary_after, standby_after) = (dump(&from).await, dump(&to).await);

    // The primary has never been written, not even out of scope.
    assert_eq!(primary_after, primary_before);
    let scope = Scope::compile(ScopeSpec::default()).unwrap();
    let in_scope = |key: &[u8]| scope.admits(key);
    let admitted = primary_before.keys.keys().filter(|key| in_scope(key)).count();
    assert!((50..270).contains(&admitted), "{admitted} of 274 keys in scope");
    assert_untouched(&standby_before, &standby_after, in_scope);
    // What only the standby had stays as it was; nothing else differs.
    let surplus: BTreeSet<String> = standby_before
        .keys
        .keys()
        .filter(|key| !primary_before.keys.contains_key(*key))
        .map(|key| format!("surplus   {}", key.escape_ascii()))
        .collect();
    let found = differences(&primary_after, &standby_after, in_scope);
    let found: Vec<_> = found.into_iter().filter(|line| !surplus.contains(line)).collect();
    assert_eq!(found, Vec::<String>::new());
    for (key, before) in &standby_before.keys {
        let after = &standby_after.keys[key];
        match primary_before.keys.get(key).filter(|_| in_scope(key)) {
            // What was equal is not written again.
            Some(entry) if entry.value != before.value => assert_eq!(after.value, entry.value),
            _ => assert_eq!(after, before, "{}", key.escape_ascii()),
        }
    }
    // In words, not by the filter: the names that only look as if they stayed local.
    let held = |key: &str| standby_after.keys.get(key.as_bytes()).map(|entry| &entry.value);
    let origin = |key: &str| primary_after.keys.get(key.as_bytes()).map(|entry| &entry.value);
    for name in ["cpaas-system-extra", "operators-team", "x-default", "my-kube-system"] {
        let key = format!("/registry/namespaces/{name}");
        assert!(held(&key).is_some() && held(&key) == origin(&key), "{key}");
    }
    for name in ["cpaas-system", "kube-system", "default", "kube-public"] {
        let key = format!("/registry/namespaces/{name}");
        let before = standby_before.keys.get(key.as_bytes()).map(|entry| &entry.value);
        assert!(origin(&key).is_some() && held(&key) == before, "{key}");
        let inside = |key: &[u8]| {
            let key = key.escape_ascii().to_string();
            key.starts_with("/registry/") && key.contains(&format!("/{name}/"))
        };
        let (before, after) = (standby_before.filtered(inside), standby_after.filtered(inside));
        assert_eq!(before.keys, after.keys, "{name}");
    }
    assert_eq!(held("compact_rev_key"), None);
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_second_start_copies_nothing() {
    let pair = Pair::start().await;
    fill(&pair.primary.client().await, "/a/", 0..2_000, |number| vec![b'v'; number as usize % 90])
        .await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.assert_equal(&mut mirror).await;
    let before = dump(&pair.standby.client().await).await.filtered(everything);
    assert!(mirror.terminate().success());
    mirror.restart();
    let status = mirror.wait_for_state("following").await;
    assert_eq!(status["counters"]["resyncs"].as_array().map(Vec::len), Some(0), "{status}");
    pair.assert_equal(&mut mirror).await;
    let after = dump(&pair.standby.client().await).await.filtered(everything);
    assert_eq!(before.keys, after.keys);
    assert_equal_in_scope(&before, &after, everything);
}
