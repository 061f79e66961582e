//! What an old primary alone has written is told from what both clusters hold, once its history is
//! compacted; and a bundle is of what stands still, or there is none.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use end_to_end::{Mirror, eventually};
use serde_json::Value;

use crate::failover::{Write, bundle, death, linked, recovery};
use crate::held::{GROUP, held_until_switchover};
use crate::pair::{Cluster, DOMAIN, KEYS, Pair};
use crate::run::{Dr, PATIENCE};

const FAILBACK: [&str; 2] = ["failback", "--yes"];

/// A pair whose roles have changed by force, and the tail that only east has.
async fn parted(dice: &str, before: impl AsyncFnOnce(&Pair)) -> (Pair, Mirror, Dr, Vec<Write>) {
    let (mut pair, proxy, mut mirror, _) = linked(dice).await;
    before(&pair).await;
    let tail = death(&mut pair, &proxy).await;
    let dr = Dr::new(&pair);
    dr.expect(0, &["fence", "--yes"]).await;
    mirror.kill();
    recovery(&mut pair).await;
    pair.write_topology(false, "");
    pair.dns.set(DOMAIN, &[&pair.west.vip]);
    (pair, mirror, dr, tail)
}

/// Forgets all history, as API servers have it done every five minutes; returns the newest revision.
async fn compact(cluster: &Cluster) -> i64 {
    let mut client = cluster.etcd.client().await;
    let newest = client.get(KEYS, None).await.unwrap().header().unwrap().revision();
    client.compact(newest, None).await.unwrap();
    newest
}

fn folder(pair: &Pair) -> PathBuf {
    pair.path("unmirrored-writes-of-east")
}

fn manifest(pair: &Pair) -> Value {
    serde_json::from_slice(&std::fs::read(folder(pair).join("manifest.json")).unwrap()).unwrap()
}

/// It stops once the bundle is there: nobody says what of it is wanted.
async fn exported(dr: &Dr, args: &[&str]) {
    let args: Vec<&str> = FAILBACK.into_iter().chain(args.iter().copied()).collect();
    let told = dr.expect(1, &args).await;
    assert!(told.contains("--attest review-writes"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_of_a_compacted_history_has_what_differs_once_for_each_key() {
    // What somebody made on west beneath the mirror is nothing that east has deleted.
    let foreign = async |pair: &Pair| {
        let mut west = pair.west.etcd.client().await;
        west.put(format!("{KEYS}west-only"), "x", None).await.unwrap();
        let entry = format!("/etcd-sync/default/ledger/{KEYS}west-only");
        eventually("it is in the ledger", PATIENCE, async || {
            let found = west.clone().get(entry.as_str(), None).await.unwrap();
            (!found.kvs().is_empty()).then_some(())
        })
        .await;
    };
    let (pair, _mirror, dr, tail) = parted("compacted", foreign).await;
    // West goes on as the primary: that is none of what east alone has.
    let mut west = pair.west.etcd.client().await;
    for name in ["kept", "new"] {
        west.put(format!("{KEYS}{name}"), "west goes on", None).await.unwrap();
    }
    // A write that came out as west still has it is nothing that east alone has.
    let mut client = pair.east.etcd.client().await;
    client.put(format!("{KEYS}same"), "mirrored", None).await.unwrap();
    // The new primary has no history of then either.
    let head = compact(&pair.east).await;
    compact(&pair.west).await;

    exported(&dr, &[]).await;
    let manifest = manifest(&pair);
    assert_eq!(manifest["source"], "comparison");
    let counts = ["puts", "deletions", "undecided"].map(|of| manifest[of].as_u64().unwrap());
    // Of a key that was changed twice only the last value is left; when a key was deleted nobody
    // knows any more, only that it was by the end.
    let newest: BTreeMap<_, _> =
        tail.into_iter().map(|(revision, key, value)| (key, (revision, value))).collect();
    let found = bundle(&folder(&pair));
    assert_eq!(counts, [3, 1, 0], "{found:?}");
    assert_eq!(found.len(), newest.len(), "each key once");
    for (revision, key, value) in found {
        let (written, last) = &newest[&key];
        assert_eq!(&value, last);
        assert!(revision == *written || value.is_none() && revision >= head, "{revision}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_held_and_is_on_the_new_primary_only_is_told_as_undecided() {
    let (pair, rules, dr) = held_until_switchover().await;
    pair.write_topology(false, "");
    // Beneath the API of the old primary, which refuses: one is deleted, one written anew as it is
    // on the new one by now, one changed.
    let [kept, changed, gone] = ["zclusters/team/c", "machinesets/team/s", "amachines/team/m"]
        .map(|at| format!("{GROUP}{at}"));
    let mut west = pair.west.etcd.client().await;
    let same = west.get(kept.as_str(), None).await.unwrap().take_kvs().remove(0);
    let mut east = pair.east.etcd.client().await;
    east.put(kept, same.value(), None).await.unwrap();
    east.put(changed.as_str(), "{}", None).await.unwrap();
    east.delete(gone.as_str(), None).await.unwrap();
    compact(&pair.east).await;
    compact(&pair.west).await;

    exported(&dr, &["--mirror-config", &rules]).await;
    let manifest = manifest(&pair);
    let counts = ["puts", "deletions", "undecided"].map(|of| manifest[of].as_u64().unwrap());
    assert_eq!(counts, [1, 0, 1], "{manifest}");
    let text = std::fs::read_to_string(folder(&pair).join("writes.jsonl")).unwrap();
    let ops: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["op"].take())
        .collect();
    assert_eq!(ops, ["put", "undecided"]);
    let summary = std::fs::read_to_string(folder(&pair).join("summary.txt")).unwrap();
    assert!(summary.contains("1 undecided") && summary.contains(&gone), "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_outlives_compaction_and_gives_up_on_what_is_written_to() {
    let (pair, _mirror, dr, tail) = parted("busy", async |_: &Pair| {}).await;
    // It comes as far as the export, where something is in its way.
    let in_the_way = pair.path("unmirrored-writes-of-east.part");
    std::fs::write(&in_the_way, "").unwrap();
    let told = dr.expect(1, &FAILBACK).await;
    assert!(told.contains("step export-writes: failed"), "{told}");
    std::fs::remove_file(&in_the_way).unwrap();

    // Somebody writes beneath the shield: no bundle is of that.
    let late = format!("{KEYS}late");
    let mut run = dr.start(&FAILBACK);
    let status = tokio::select! {
        () = writes(&pair.east, &late) => unreachable!("it writes for ever"),
        status = eventually("it gives up", PATIENCE, async || run.ended()) => status,
    };
    assert_eq!(status.code(), Some(1), "{}", run.tail(20));
    assert!(run.output().contains("east is written to"), "{}", run.tail(20));
    assert!(!folder(&pair).exists());

    // What is local to both goes on, and both forget it at once.
    tokio::select! {
        () = forgets(&pair.east) => unreachable!("it goes on for ever"),
        () = forgets(&pair.west) => unreachable!("it goes on for ever"),
        () = exported(&dr, &[]) => {}
    }
    assert_eq!(manifest(&pair)["source"], "comparison");
    let keys: Vec<Vec<u8>> = bundle(&folder(&pair)).into_iter().map(|(_, key, _)| key).collect();
    assert!(keys.contains(&late.into_bytes()));
    assert!(tail.iter().all(|(_, key, _)| keys.contains(key)), "{keys:?}");
}

/// A cluster keeps its id in a restore. What it wrote once is no more, and no bundle can be of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_was_restored_from_before_is_given_no_bundle() {
    let mut snapshot = None;
    let (mut pair, _mirror, dr, _) = parted("restored", async |pair: &Pair| {
        snapshot = Some(pair.east.etcd.save_snapshot());
        let mut east = pair.east.etcd.client().await;
        for number in 0..20 {
            east.put(format!("{KEYS}kept"), format!("mirrored {number}"), None).await.unwrap();
        }
        let mut west = pair.west.etcd.client().await;
        eventually("it is mirrored", PATIENCE, async || {
            let found = west.get(format!("{KEYS}kept"), None).await.unwrap();
            (found.kvs()[0].value() == b"mirrored 19").then_some(())
        })
        .await;
    })
    .await;
    pair.east.etcd.kill();
    pair.east.etcd.restore_snapshot(&snapshot.unwrap()).await;
    let told = dr.expect(1, &FAILBACK).await;
    assert!(told.contains("below the checkpoint's "), "{told}");

    // It goes on, past the checkpoint, with another history.
    let mut east = pair.east.etcd.client().await;
    for number in 0..40 {
        east.put(format!("{KEYS}other"), number.to_string(), None).await.unwrap();
    }
    for compacted in [false, true] {
        if compacted {
            compact(&pair.east).await;
        }
        let told = dr.expect(1, &FAILBACK).await;
        assert!(told.contains("not the history that was mirrored"), "{told}");
    }
    assert!(!folder(&pair).exists());
}

/// The step that exports is done; what the gate after it says, one can do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_that_came_too_early_is_made_anew_as_its_gate_says() {
    let (pair, _mirror, dr, _) = parted("early", async |_: &Pair| {}).await;
    exported(&dr, &[]).await;
    let late = format!("{KEYS}late");
    let mut east = pair.east.etcd.client().await;
    east.put(late.as_str(), "x", None).await.unwrap();

    let told = dr.expect(1, &["failback", "--yes", "--attest", "review-writes"]).await;
    let mend = "etcd-dr abandon --reason TEXT";
    assert!(told.contains("it was written to since") && told.contains(mend), "{told}");
    dr.expect(0, &["abandon", "--reason", "east was written to"]).await;
    exported(&dr, &[]).await;
    assert!(bundle(&folder(&pair)).iter().any(|(_, key, _)| *key == late.as_bytes()));
}

/// Writes one key again and again.
async fn writes(cluster: &Cluster, key: &str) {
    let mut client = cluster.etcd.client().await;
    for number in 0.. {
        client.put(key, number.to_string(), None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Writes what is local, again and again, and has it forgotten at once.
async fn forgets(cluster: &Cluster) {
    let mut client = cluster.etcd.client().await;
    loop {
        client.put("/registry/leases/kube-system/local", "x", None).await.unwrap();
        compact(cluster).await;
    }
}
