//! A primary that is an older copy of itself: nothing that only the standby still has is deleted or
//! overwritten. And its healthy twin, whose history is as little readable: it is followed, unasked.

use std::time::Duration;

use end_to_end::{Dump, Etcd, Mirror, dump, everything};
use etcd_client::Client;

use crate::support::{
    Copy, assert_caught_up, assert_only_guards, copy_data, fill, head, mirror, pair, put,
};

/// How a primary becomes an older copy of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setback {
    /// A snapshot, restored with a bumped revision, everything before it compacted.
    Bumped,
    /// A snapshot, restored.
    Restored,
    /// A copy of the data directory, raft log included.
    Copied,
}

/// Which keys the restored primary writes until it has overtaken the checkpoint.
#[derive(Clone, Copy, Debug)]
enum Overtakes {
    NotAtAll,
    WithOtherKeys,
    WithTheSameKeys,
}

const KEYS: usize = 100;
const CHANGED: usize = 65;
const CREATED: usize = 20;

async fn held(standby: &Etcd) -> Dump {
    dump(&standby.client().await).await.filtered(everything)
}

/// Writes that the older copy does not have: keys that are changed, and then keys that are new.
async fn write_the_newest(primary: &Etcd) {
    let mut client = primary.client().await;
    for n in 0..CHANGED {
        put(&mut client, &format!("/k/{n:05}"), "newest").await;
    }
    for n in 0..CREATED {
        put(&mut client, &format!("/new/{n:05}"), "newest").await;
    }
}

async fn overtake(primary: &Etcd, checkpoint: i64, how: Overtakes) {
    let mut client = primary.client().await;
    let mut n = 0;
    while head(&mut client).await < checkpoint + 50 {
        let key = match how {
            Overtakes::NotAtAll => break,
            Overtakes::WithOtherKeys => format!("/other/{n:05}"),
            Overtakes::WithTheSameKeys => format!("/k/{:05}", n % CHANGED),
        };
        put(&mut client, &key, &format!("another life {n}")).await;
        n += 1;
    }
    let newest = head(&mut client).await;
    if newest > checkpoint {
        compact(&mut client, newest).await;
    }
}

/// Compacts, unless that is done.
async fn compact(client: &mut Client, revision: i64) {
    match client.compact(revision, None).await {
        Err(error) if error.to_string().contains("has been compacted") => {}
        answer => drop(answer.unwrap()),
    }
}

async fn assert_blocked(mirror: &mut Mirror, standby: &Etcd, before: &Dump, what: &str) {
    let status = mirror.wait_for_state("blocked").await;
    let guard = status["blocked"]["guard"].as_str().unwrap_or_default();
    assert!(["history_changed", "history_unproven"].contains(&guard), "{what}: {status}");
    // It looks again by itself, and finds the same.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(held(standby).await.keys, before.keys, "{what}: the standby was touched");
}

async fn a_setback_blocks(how: Setback, running: bool, overtakes: Overtakes) {
    let what = format!("{how:?}, running: {running}, overtakes {overtakes:?}");
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/k/", KEYS, "old").await;
    // A history of some length: of one with two revisions a restored log is as long as the first.
    let mut client = primary.client().await;
    for n in 0..CREATED {
        put(&mut client, &format!("/k/{n:05}"), "old").await;
    }
    let mut mirrored = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirrored, &primary, &standby).await;
    let copy: Option<Copy> = match how {
        Setback::Copied => Some(copy_data(&mut primary).await),
        Setback::Bumped | Setback::Restored => None,
    };
    let snapshot = copy.is_none().then(|| primary.save_snapshot());
    write_the_newest(&primary).await;
    assert_caught_up(&mut mirrored, &primary, &standby).await;
    let checkpoint = head(&mut primary.client().await).await;
    let before = held(&standby).await;
    if !running {
        mirrored.kill();
    }
    match (&copy, &snapshot, how) {
        (Some(copy), _, _) => copy.put_back(&mut primary).await,
        (None, Some(snapshot), Setback::Bumped) => {
            primary.restore_bumped(snapshot, 1_000_000_000).await;
        }
        (None, Some(snapshot), _) => primary.restore_snapshot(snapshot).await,
        (None, None, _) => unreachable!("there is one of the two"),
    }
    overtake(&primary, checkpoint, overtakes).await;
    if !running {
        mirrored = mirror(&primary.endpoints(), &standby.endpoints()).start();
    }
    assert_blocked(&mut mirrored, &standby, &before, &what).await;
    assert_only_guards(&mut mirrored);
}

#[tokio::test]
async fn a_snapshot_restored_with_a_bumped_revision_blocks_a_mirror_that_runs() {
    a_setback_blocks(Setback::Bumped, true, Overtakes::NotAtAll).await;
}

#[tokio::test]
async fn a_snapshot_restored_with_a_bumped_revision_blocks_a_mirror_that_starts() {
    a_setback_blocks(Setback::Bumped, false, Overtakes::NotAtAll).await;
}

#[tokio::test]
async fn a_restored_snapshot_that_overtakes_and_compacts_blocks() {
    a_setback_blocks(Setback::Restored, false, Overtakes::WithOtherKeys).await;
}

#[tokio::test]
async fn a_restored_snapshot_that_overtakes_with_the_same_keys_blocks() {
    a_setback_blocks(Setback::Restored, false, Overtakes::WithTheSameKeys).await;
}

#[tokio::test]
async fn a_copied_data_directory_that_overtakes_and_compacts_blocks() {
    a_setback_blocks(Setback::Copied, false, Overtakes::WithOtherKeys).await;
}

/// What happens while the mirror is down, before the primary compacts past its checkpoint.
async fn a_healthy_primary_is_followed(outage: impl AsyncFnOnce(&mut Etcd)) {
    let (mut primary, standby) = pair().await;
    fill(&mut primary.client().await, "/k/", KEYS, "old").await;
    let mut mirrored = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirrored, &primary, &standby).await;
    write_the_newest(&primary).await;
    assert_caught_up(&mut mirrored, &primary, &standby).await;
    mirrored.kill();
    outage(&mut primary).await;
    let mut client = primary.client().await;
    let newest = head(&mut client).await;
    compact(&mut client, newest).await;
    let mut mirrored = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirrored, &primary, &standby).await;
    mirrored.wait_for_state("following").await;
    let log = mirrored.process().output();
    assert!(!log.contains("blocked"), "{log}");
}

#[tokio::test]
async fn a_primary_that_was_restarted_written_to_and_compacted_is_followed() {
    a_healthy_primary_is_followed(async |primary| {
        for life in 0..3 {
            primary.kill();
            primary.restart().await;
            let mut client = primary.client().await;
            for n in 0..40 {
                put(&mut client, &format!("/k/{n:05}"), &format!("life {life}")).await;
                client.delete(format!("/new/{:05}", n / 2), None).await.unwrap();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_primary_that_has_rewritten_or_deleted_every_key_is_followed() {
    a_healthy_primary_is_followed(async |primary| {
        primary.kill();
        primary.restart().await;
        let mut client = primary.client().await;
        for n in 0..KEYS {
            match n % 4 {
                0 => drop(client.delete(format!("/k/{n:05}"), None).await.unwrap()),
                _ => drop(put(&mut client, &format!("/k/{n:05}"), "after").await),
            }
        }
        for n in 0..CREATED {
            client.delete(format!("/new/{n:05}"), None).await.unwrap();
        }
    })
    .await;
}

/// A few hundred writes a second, compacted again and again while nobody mirrors.
#[tokio::test]
async fn a_busy_primary_that_compacts_again_and_again_is_followed() {
    a_healthy_primary_is_followed(async |primary| {
        let mut client = primary.client().await;
        for round in 0..4 {
            for n in 0..400 {
                let key = format!("/k/{:05}", (round * 7 + n) % KEYS);
                put(&mut client, &key, &format!("{round} {n}")).await;
            }
            let newest = head(&mut client).await;
            client.compact(newest, None).await.unwrap();
        }
    })
    .await;
}

/// Another etcd answers at the standby's address, with keys of its own.
#[tokio::test]
async fn another_cluster_in_the_standbys_place_blocks_and_keeps_its_keys() {
    let (primary, mut standby) = pair().await;
    fill(&mut primary.client().await, "/k/", KEYS, "old").await;
    let mut mirrored = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirrored, &primary, &standby).await;
    standby.wipe();
    standby.add_flag("--initial-cluster-token=another");
    standby.restart().await;
    fill(&mut standby.client().await, "/k/", 300, "its own").await;
    let before = held(&standby).await;
    put(&mut primary.client().await, "/k/00000", "new").await;
    let status = mirrored.wait_for_state("blocked").await;
    assert_eq!(status["blocked"]["guard"], "standby_changed", "{status}");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(held(&standby).await.keys, before.keys, "the other cluster was touched");
    assert_only_guards(&mut mirrored);
}

/// A standby restored from its own snapshot as another cluster holds a checkpoint that was written
/// to the first.
#[tokio::test]
async fn a_standby_restored_as_another_cluster_blocks() {
    let (primary, mut standby) = pair().await;
    fill(&mut primary.client().await, "/k/", KEYS, "old").await;
    let mut mirrored = mirror(&primary.endpoints(), &standby.endpoints()).start();
    assert_caught_up(&mut mirrored, &primary, &standby).await;
    mirrored.kill();
    let snapshot = standby.save_snapshot();
    let before = held(&standby).await;
    standby.restore_as(&snapshot, "another").await;
    put(&mut primary.client().await, "/k/00000", "new").await;
    let mut mirrored = mirror(&primary.endpoints(), &standby.endpoints()).start();
    let status = mirrored.wait_for_state("blocked").await;
    assert_eq!(status["blocked"]["guard"], "standby_changed", "{status}");
    assert_eq!(held(&standby).await.keys, before.keys);
}

/// Two etcds that were made from one manifest have one id, and are two clusters all the same.
#[tokio::test]
async fn two_clusters_with_one_id_are_mirrored() {
    let peer = end_to_end::ports::free();
    let twin = || {
        Etcd::builder()
            .flag(format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"))
            .flag(format!("--initial-cluster=m0=http://127.0.0.1:{peer}"))
            .start()
    };
    let (primary, standby) = tokio::join!(twin(), twin());
    let id = |client: &mut Client| {
        let mut client = client.clone();
        async move { client.get("k", None).await.unwrap().header().unwrap().cluster_id() }
    };
    let (one, other) = (id(&mut primary.client().await), id(&mut standby.client().await));
    assert_eq!(one.await, other.await, "the test's premise");
    fill(&mut primary.client().await, "/k/", KEYS, "old").await;
    let builder = mirror(&primary.endpoints(), &standby.endpoints());
    let check = builder.audit(&["--preset", "none"]);
    assert_ne!(check.status.code(), Some(4), "{check:?}");
    let mut mirrored = builder.start();
    assert_caught_up(&mut mirrored, &primary, &standby).await;
    for verb in ["plan", "preflight"] {
        let output = mirrored.verb(&[verb]);
        assert_ne!(output.status.code(), Some(4), "{verb}: {output:?}");
    }
}
