//! One cluster or two: decided by what they went through, and without a write to the primary.

use std::process::Output;
use std::time::Duration;

use end_to_end::{Etcd, MirrorBuilder, dump, eventually, ports};

use crate::support::{
    PATIENCE, Writer, assert_caught_up, fill, head, held, mirror, pair, put, said,
};

/// An etcd as one manifest makes it at every site: the same name, token and advertised address.
async fn twin(peer: u16) -> Etcd {
    Etcd::builder()
        .flag(format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"))
        .flag(format!("--initial-cluster=m0=http://127.0.0.1:{peer}"))
        .start()
        .await
}

/// Two of them.
async fn twins() -> (Etcd, Etcd) {
    let peer = ports::free();
    let (primary, standby) = tokio::join!(twin(peer), twin(peer));
    assert_eq!(id(&primary).await, id(&standby).await, "the test's premise");
    (primary, standby)
}

async fn id(etcd: &Etcd) -> u64 {
    etcd.client().await.get("\0", None).await.unwrap().header().unwrap().cluster_id()
}

/// Everything that looks at both ends once.
fn looks(builder: &MirrorBuilder) -> [(&'static str, Output); 3] {
    [
        ("plan", builder.verb(&["plan"])),
        ("preflight", builder.verb(&["preflight"])),
        ("etcd-check", builder.audit(&[])),
    ]
}

/// `run` ends at once, with the code of a refusal.
async fn assert_run_is_refused(builder: MirrorBuilder, words: &[&str]) {
    let mut mirror = builder.start();
    let ended = eventually("the mirror ends", PATIENCE, async || mirror.process().ended()).await;
    let log = mirror.process().output();
    assert_eq!(ended.code(), Some(4), "{log}");
    for word in words {
        assert!(log.contains(word), "`{word}` is not in: {log}");
    }
}

/// They have one revision, and even one number of keys; only the keys are different.
#[tokio::test]
async fn twins_that_are_equally_old_are_told_apart_and_the_primary_is_not_written() {
    let (primary, standby) = twins().await;
    fill(&mut primary.client().await, "/d/", 50, "primary's").await;
    fill(&mut standby.client().await, "/local/", 50, "standby's").await;
    let before = dump(&primary.client().await).await;
    assert_eq!(before.revision, dump(&standby.client().await).await.revision);
    let builder = mirror(&primary.endpoints(), &standby.endpoints());
    let mut mirrored = builder.clone().start();
    mirrored.wait_for_checkpoint(before.revision).await;
    for (what, output) in looks(&builder) {
        let said = said(&output);
        assert!(!said.contains("same cluster"), "{what}: {said}");
        assert_ne!(output.status.code(), Some(4), "{what}: {said}");
    }
    let after = dump(&primary.client().await).await;
    assert_eq!(after, before, "the primary was written");
    let copied = held(&standby).await;
    assert!(before.keys.iter().all(|(key, entry)| copied.keys[key].value == entry.value));

    // Not only at the first start.
    mirrored.kill();
    put(&mut primary.client().await, "/d/late", "primary's").await;
    mirrored.restart();
    let revision = head(&mut primary.client().await).await;
    mirrored.wait_for_checkpoint(revision).await;
    mirrored.assert_no_errors(&[]);
}

/// Nothing tells them apart: as new, or filled by the same script. Whoever knows better says so.
#[tokio::test]
async fn twins_that_nothing_tells_apart_are_refused_until_somebody_says_that_they_are_two() {
    let (primary, standby) = twins().await;
    let builder = mirror(&primary.endpoints(), &standby.endpoints());
    let words = ["same cluster", "--initial-cluster-token", "--assume-distinct-clusters"];
    assert_run_is_refused(builder.clone(), &words).await;
    let mut assured = builder.flag("--assume-distinct-clusters").start();
    fill(&mut primary.client().await, "/d/", 20, "1").await;
    assert_caught_up(&mut assured, &primary, &standby).await;
}

/// One cluster by two addresses is one cluster, while hundreds of writes a second move it.
async fn assert_one_cluster(etcd: &Etcd, primary: &[String], standby: &[String]) {
    let writer = Writer::start(etcd, "/d/", Duration::from_millis(1), None).await;
    let builder = mirror(primary, standby);
    for round in 0..3 {
        for (what, output) in looks(&builder) {
            let said = said(&output);
            assert_eq!(output.status.code(), Some(4), "{what}, round {round}: {said}");
            assert!(said.contains("same cluster"), "{what}, round {round}: {said}");
        }
        assert_run_is_refused(builder.clone(), &["same cluster"]).await;
    }
    writer.stop();
    let own = dump(&etcd.client().await).await;
    let own = own.keys.keys().filter(|key| key.starts_with(end_to_end::OWN_PREFIX)).count();
    assert_eq!(own, 0, "something of the mirror's was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_cluster_by_two_addresses_of_a_member_is_refused() {
    let port = ports::free();
    let etcd = Etcd::builder().also_at(port).start().await;
    let second = format!("http://127.0.0.1:{port}");
    assert_one_cluster(&etcd, &etcd.endpoints(), &[second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_cluster_by_different_members_is_refused() {
    let etcd = Etcd::builder().members(3).start().await;
    let [a, b, c] = <[String; 3]>::try_from(etcd.endpoints()).unwrap();
    assert_one_cluster(&etcd, &[a, b.clone()], &[c, b]).await;
}

/// A standby that holds none of the mirror's records is a first copy, whatever was there before:
/// its own keys survive.
#[tokio::test]
async fn a_mirror_that_starts_anew_at_an_unknown_standby_enrols_it() {
    let (primary, mut standby) = pair().await;
    fill(&mut primary.client().await, "/d/", 50, "primary's").await;
    let mut mirror = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    mirror.terminate();
    standby.wipe();
    standby.add_flag("--initial-cluster-token=another");
    standby.restart().await;
    fill(&mut standby.client().await, "/d/own/", 300, "its own").await;
    let before = held(&standby).await;
    mirror.restart();
    let revision = put(&mut primary.client().await, "/d/late", "primary's").await;
    mirror.wait_for_checkpoint(revision).await;
    let after = held(&standby).await;
    for (key, entry) in &before.keys {
        assert_eq!(after.keys.get(key), Some(entry), "{}", key.escape_ascii());
    }
    assert_eq!(after.keys.len(), before.keys.len() + 51);
}
