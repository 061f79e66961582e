//! What somebody deletes on the standby is put back, owners before what they own.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use end_to_end::steps::{Step, check_histories, history, recording};
use end_to_end::{Dice, Load, assert_equal_in_scope, dump, everything, seed};
use etcd_client::{Client, Txn, TxnOp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::object::object;
use crate::support::{assert_in_sync, caught_up, delete_all, head, healed, mirror, pair, settled};

const THINGS: &str = "/registry/example.io/things/shop/";

const CHAINS: u32 = 100;

/// Levels of a chain: its first object has no owner, each other one the one above it.
const LEVELS: Range<u32> = 0..5;

/// Dependents have the smaller keys: a mirror that heals in the order of keys does it wrong.
fn name(level: u32, chain: u32) -> String {
    format!("{}-{chain:03}", LEVELS.end - 1 - level)
}

fn level_of(key: &[u8]) -> Option<u32> {
    let name = key.strip_prefix(THINGS.as_bytes())?;
    let turned = u32::from(name.first()?.checked_sub(b'0')?);
    Some(LEVELS.end - 1 - turned)
}

async fn put_chains(client: &Client) {
    for level in LEVELS {
        let things = (0..CHAINS).map(|chain| {
            let thing = object("Thing", &name(level, chain));
            let thing = if level == 0 { thing } else { thing.owned_by(&name(level - 1, chain)) };
            TxnOp::put(format!("{THINGS}{}", name(level, chain)), thing.stored(), None)
        });
        client.clone().txn(Txn::new().and_then(things.collect::<Vec<_>>())).await.unwrap();
    }
}

/// Writes to other keys in scope until told to stop.
fn load(client: Client, stop: &Arc<AtomicBool>, mut dice: Dice) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let mut client = client;
        let pause = Duration::from_millis(3);
        let load = Load { requests: 20, pause, ..Load::default() };
        while !stop.load(Ordering::Relaxed) {
            load.run(&mut client, &mut dice).await;
        }
    })
}

/// The revisions at which things of each level were written after `from`: the first and the last.
fn written(steps: &[Step], from: i64) -> BTreeMap<u32, (i64, i64)> {
    let mut levels = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for step in steps.iter().filter(|step| step.revision > from) {
        for (key, value) in &step.changes {
            let Some(level) = level_of(key) else { continue };
            assert!(value.is_some(), "standby@{} deletes a thing again", step.revision);
            let before = seen.insert(key.clone(), step.revision);
            assert_eq!(before, None, "{} is written twice", key.escape_ascii());
            let (_, last) = levels.entry(level).or_insert((step.revision, step.revision));
            *last = step.revision;
        }
    }
    assert_eq!(seen.len(), (CHAINS * LEVELS.end) as usize);
    levels
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_deleted_keys_are_put_back_in_the_order_of_their_owners() {
    let dice = seed::dice("five_hundred_deleted_keys_are_put_back_in_the_order_of_their_owners");
    let (primary, standby) = pair().await;
    let (from, to) = (primary.client().await, standby.client().await);
    put_chains(&from).await;
    let mut mirror = mirror(&primary, &standby).start();
    settled(&mut mirror, &primary).await;

    let stop = Arc::new(AtomicBool::new(false));
    let writer = load(from.clone(), &stop, dice);
    let before = mirror.status().await.unwrap()["checkpoint_revision"].as_i64().unwrap();
    mirror.wait_for_checkpoint(before + 20).await;
    delete_all(&to, THINGS).await;
    let (deleted_at, began) = (head(&to).await, Instant::now());
    let status = healed(&mut mirror, 500).await;
    println!("500 keys were put back {:?} after they were deleted", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    // The backlog of meanwhile is worked off.
    caught_up(&mut mirror, &primary).await;
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    caught_up(&mut mirror, &primary).await;

    assert_eq!(status["drift"]["healed"], 500, "{status}");
    assert_eq!(status["drift"]["refused"], 0, "{status}");
    let metrics = mirror.get("/metrics").await.unwrap().body;
    assert!(metrics.contains("\netcd_sync_healed_total 500\n"), "{metrics}");
    assert!(metrics.contains("etcd_sync_foreign_writes_total{op=\"delete\"} 500\n"), "{metrics}");
    assert_in_sync(&mirror).await;
    assert_equal_in_scope(&dump(&from).await, &dump(&to).await, everything);

    let (there, here) = (history(&primary).await, history(&standby).await);
    let levels = written(&here, deleted_at);
    for (owner, dependent) in LEVELS.zip(LEVELS.skip(1)) {
        let ((_, last), (first, _)) = (levels[&owner], levels[&dependent]);
        assert!(last <= first, "level {owner} ends at {last}, level {dependent} begins at {first}");
    }
    // What nobody touched was a pair at every checkpoint, healing or not.
    let others = |key: &[u8]| everything(key) && level_of(key).is_none();
    let checked = check_histories(&recording(&there, others), &here, others);
    assert!(checked.whole > 20, "{checked:?}");
    mirror.assert_no_errors(&[]);
}
