//! A primary that dies takes exactly its unmirrored tail with it, and that comes back in a bundle.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dr_plan::journal::Event;
use end_to_end::{Direction, Dump, Load, Mirror, Proxy, assert_equal_in_scope, everything, seed};
use serde_json::Value;

use crate::failback::Failback;
use crate::pair::{KEYS, Pair, settings};
use crate::run::Dr;
use crate::support::kube::KubeServer;
use crate::switchover::{checked, lend_hands};

pub(crate) const FAILOVER: [&str; 17] = [
    "failover",
    "--yes",
    "--attest",
    "local-backups",
    "--attest",
    "dns-known",
    "--attest",
    "isolate-primary",
    "--attest",
    "page",
    "--attest",
    "clients",
    "--attest=swap-roles",
    "--override",
    "revision-floor",
    "--reason",
    "no client remembers a revision here",
];
/// A write as a bundle tells it: revision, key, and value unless it was deleted.
pub(crate) type Write = (i64, Vec<u8>, Option<Vec<u8>>);

/// Writes what no mirror sees: new keys, changed ones, one that is changed twice, one deleted.
async fn tail(pair: &Pair) -> Vec<Write> {
    let mut client = pair.east.etcd.client().await;
    let mut tail = Vec::new();
    for (name, value) in [("tail-1", Some("a")), ("kept", Some("b")), ("kept", Some("c"))]
        .into_iter()
        .chain([("gone", None), ("tail-2", Some("\0\u{ff}"))])
    {
        let key = format!("{KEYS}{name}");
        let header = match value {
            Some(value) => client.put(key.as_str(), value, None).await.unwrap().take_header(),
            None => client.delete(key.as_str(), None).await.unwrap().take_header(),
        };
        let value = value.map(|value| value.as_bytes().to_vec());
        tail.push((header.unwrap().revision(), key.into_bytes(), value));
        // What nobody mirrors is in no bundle.
        client.put("/registry/configmaps/kube-system/local", "x", None).await.unwrap();
    }
    tail
}

/// Reads the lines of a bundle.
pub(crate) fn bundle(folder: &Path) -> Vec<Write> {
    let text = std::fs::read_to_string(folder.join("writes.jsonl")).unwrap();
    let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let value = line.get("value").map(decoded);
            assert_eq!(line["op"], if value.is_some() { "put" } else { "delete" });
            (line["revision"].as_i64().unwrap(), decoded(&line["key"]), value)
        })
        .collect()
}

/// A pair with a mirror that has copied a load over a link, and what the load has made.
pub(crate) async fn linked(dice: &str) -> (Pair, Proxy, Mirror, Dump) {
    let pair = Pair::start().await;
    let mut client = pair.east.etcd.client().await;
    let load = Load { prefix: KEYS.to_owned(), requests: 100, ..Load::default() };
    load.run(&mut client, &mut seed::dice(dice)).await;
    for name in ["kept", "gone", "same"] {
        client.put(format!("{KEYS}{name}"), "mirrored", None).await.unwrap();
    }
    let proxy = Proxy::start(&pair.east.etcd.endpoints()[0]).await;
    pair.west.show_mirror_pod();
    let mut mirror =
        settings(Mirror::builder(&[proxy.endpoint()], &pair.west.etcd.endpoints())).start();
    pair.write_topology(true, &format!("http://{}", mirror.address()));
    mirror.wait_for_state("following").await;
    let mirrored = pair.east.dump().await;
    mirror.wait_for_checkpoint(mirrored.revision).await;
    (pair, proxy, mirror, mirrored)
}

/// East dies after a check, with a tail that west does not have; returns it.
pub(crate) async fn disaster(pair: &mut Pair, mirror: &mut Mirror, proxy: &Proxy) -> Vec<Write> {
    checked(mirror).await;
    death(pair, proxy).await
}

/// East dies with a tail that west does not have; returns it.
pub(crate) async fn death(pair: &mut Pair, proxy: &Proxy) -> Vec<Write> {
    proxy.hold(Direction::ToServer);
    proxy.hold(Direction::ToClient);
    let tail = tail(pair).await;
    pair.east.etcd.kill();
    proxy.refuse(true);
    proxy.cut();
    pair.east.stop_vip().await;
    // Another one, which no kubeconfig names yet: the old one is gone.
    pair.east.kube = KubeServer::start(None).await;
    tail
}

/// East comes back: its etcd with all that it had, its API as it was installed.
pub(crate) async fn recovery(pair: &mut Pair) {
    pair.east.etcd.restart().await;
    pair.east.furnish();
    pair.east.keep_agents(&pair.west);
    pair.west.keep_agents(&pair.east);
    pair.write_kubeconfigs();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_the_stated_tail_and_failback_finds_it_in_a_bundle() {
    let (mut pair, proxy, mut mirror, mirrored) = linked("failover").await;
    let tail = disaster(&mut pair, &mut mirror, &proxy).await;

    let dr = Dr::new(&pair);
    tokio::select! {
        told = dr.expect(0, &FAILOVER) => assert!(told.contains("failover completed"), "{told}"),
        () = lend_hands(&pair, &dr) => unreachable!("hands work for ever"),
    }
    dr.assert_completed();
    assert_loss_was_stated(&dr, mirrored.revision);
    // West has all that was mirrored, and nothing of the tail.
    assert_equal_in_scope(&mirrored, &pair.west.dump().await, everything);
    mirror.wait_for_state("fenced").await;
    mirror.kill();

    let mut client = pair.west.etcd.client().await;
    for (name, value) in [("kept", "west goes on"), ("new", "west")] {
        client.put(format!("{KEYS}{name}"), value, None).await.unwrap();
    }
    recovery(&mut pair).await;
    pair.write_topology(false, "");
    let mut failback = Failback::of_east(&dr);
    failback.run(&mut pair).await;
    let mut mirror = failback.mirror.unwrap();
    dr.assert_completed();
    let folder = pair.path("unmirrored-writes-of-east");
    assert_eq!(bundle(&folder), tail, "exactly the tail is in the bundle");

    // The mirror runs in the other direction: east has become a copy of west.
    let answer = client.put(format!("{KEYS}after"), "1", None).await.unwrap();
    mirror.wait_for_checkpoint(answer.header().unwrap().revision()).await;
    assert_equal_in_scope(&pair.west.dump().await, &pair.east.dump().await, everything);
    assert_eq!(pair.east.role().as_deref(), Some("standby"));
    assert!(!pair.east.is_shielded());
    let report = dr.expect(0, &["report", "--journal", dr.journal().to_str().unwrap()]).await;
    assert!(report.contains("revision-floor"), "{report}");
}

/// Before it was confirmed, the run said from which revision on everything would be lost.
fn assert_loss_was_stated(dr: &Dr, checkpoint: i64) {
    let entries = dr.entries();
    let shown = entries.iter().find_map(|entry| {
        let Event::Confirmed { phase, shown } = &entry.event else { return None };
        (phase == "isolate").then(|| shown.clone())
    });
    let stated = shown.unwrap()[0].evidence.clone();
    assert!(stated.starts_with(&format!("checkpoint {checkpoint}, east last seen at")), "{stated}");
}
