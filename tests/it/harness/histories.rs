//! The checker of histories: it must see every way in which a history can be bad.

use std::time::Duration;

use end_to_end::{Anomaly, Dice, Etcd, Load, Recorder, Recording, compare, seed};
use etcd_client::{Txn, TxnOp};

/// A history written down: `(revision, key, value)`, where no value is a deletion.
fn recording(changes: &[(i64, &str, Option<&str>)]) -> Recording {
    let mut recording = Recording::new();
    for (revision, key, value) in changes {
        recording.note(*revision, key.as_bytes(), value.map(str::as_bytes));
    }
    recording
}

fn primary() -> Recording {
    recording(&[
        (2, "a", Some("1")),
        (3, "b", Some("1")),
        (4, "a", Some("2")),
        (4, "b", None),
        (5, "c", Some("1")),
        (6, "a", None),
    ])
}

#[test]
fn the_same_history_is_good() {
    assert_eq!(compare(&primary(), &primary(), 0), Ok(6));
}

#[test]
fn merged_revisions_are_good() {
    let standby = recording(&[(10, "a", Some("2")), (11, "c", Some("1")), (12, "a", None)]);
    assert_eq!(compare(&primary(), &standby, 0), Ok(4));
}

#[test]
fn a_copy_in_pieces_counts_only_once_it_is_whole() {
    let primary = recording(&[(2, "a", Some("1")), (3, "b", Some("1")), (4, "c", Some("1"))]);
    let standby = recording(&[
        (20, "b", Some("1")),
        (21, "a", Some("1")),
        // The last of the copy.
        (22, "c", Some("1")),
    ]);
    assert_eq!(compare(&primary, &standby, 4), Ok(1));
    assert_eq!(
        compare(&primary, &standby, 0),
        Err(Anomaly::NeverHeld { standby: 20, after_primary: 0 })
    );
}

#[test]
fn a_torn_revision_is_seen() {
    let standby = recording(&[
        (10, "a", Some("1")),
        (11, "b", Some("1")),
        // Revision 4 in two steps.
        (12, "a", Some("2")),
        (13, "b", None),
    ]);
    assert_eq!(
        compare(&primary(), &standby, 0),
        Err(Anomaly::NeverHeld { standby: 12, after_primary: 3 })
    );
}

#[test]
fn a_write_that_lands_late_is_seen() {
    let mut standby = primary();
    // Revision 2 once more, after all: the state of revision 5.
    standby.note(17, b"a", Some(b"2"));
    assert_eq!(
        compare(&primary(), &standby, 0),
        Err(Anomaly::BackInTime { standby: 17, primary: 5, after_primary: 6 })
    );
}

#[test]
fn a_lost_deletion_is_seen() {
    let standby = recording(&[(10, "a", Some("1")), (11, "b", Some("1")), (12, "a", Some("2"))]);
    assert!(compare(&primary(), &standby, 0).is_err());
}

#[test]
fn a_wrong_value_is_seen() {
    let standby = recording(&[(10, "a", Some("1 ")), (11, "b", Some("1"))]);
    assert!(compare(&primary(), &standby, 0).is_err());
}

#[test]
fn a_standby_that_never_was_equal_is_no_proof() {
    let standby = recording(&[(10, "z", Some("1"))]);
    assert_eq!(compare(&primary(), &standby, 2), Err(Anomaly::NeverEqual));
}

#[test]
fn a_state_that_comes_back_is_found_again() {
    let primary = recording(&[(2, "a", Some("1")), (3, "a", None), (4, "a", Some("1"))]);
    assert_eq!(compare(&primary, &primary, 0), Ok(4));
    assert_eq!(primary.at(1), primary.at(3));
    assert_eq!(primary.at(2), primary.at(4));
    assert_ne!(primary.at(2), primary.at(3));
}

/// Plays one load on both sides of a planted fault, with real watches in between.
#[tokio::test]
async fn real_histories_are_recorded_whole() {
    let mut dice = seed::dice("real_histories_are_recorded_whole");
    let etcd = Etcd::start().await;
    let twin = Etcd::start_standby().await;
    let recorders = [etcd.access(), twin.access()]
        .map(|access| Recorder::start(access, |key: &[u8]| key.starts_with(b"/in/")));
    let load = Load { prefix: "/in/".to_owned(), requests: 150, ..Load::default() };
    let noise = Load { prefix: "/out/".to_owned(), requests: 30, ..Load::default() };
    // The same throws on both sides make the same history.
    for cluster in [&etcd, &twin] {
        let mut client = cluster.client().await;
        let tally = load.run(&mut client, &mut dice.clone()).await;
        assert!(tally.puts > 0 && tally.deletes > 0 && tally.unknown == 0, "{tally:?}");
    }
    // Out of scope, they may differ.
    noise.run(&mut twin.client().await, &mut Dice::new(dice.next())).await;
    // One write more, that only the twin has.
    let planted = Txn::new().and_then([TxnOp::put("/in/planted", "1", None)]);
    twin.client().await.txn(planted).await.unwrap();

    let [primary, standby] = recorders;
    let (primary, standby) = (primary.finish().await, standby.finish().await);
    assert!(primary.len() > 50, "{} states", primary.len());
    let verdict = compare(&primary, &standby, 0);
    assert!(matches!(verdict, Err(Anomaly::NeverHeld { .. })), "{verdict:?}");
    // Without the planted write, all is well: the other way round it is not there.
    assert_eq!(compare(&standby, &primary, 0), Ok(primary.len()));
}

#[tokio::test]
async fn a_recorder_outlives_a_restart() {
    let mut etcd = Etcd::start().await;
    let recorder = Recorder::start(etcd.access(), end_to_end::everything);
    let mut client = etcd.client().await;
    client.put("a", "1", None).await.unwrap();
    etcd.kill();
    etcd.restart().await;
    let mut client = etcd.client().await;
    client.put("a", "2", None).await.unwrap();
    client.delete("a", None).await.unwrap();
    let recording = tokio::time::timeout(Duration::from_secs(30), recorder.finish()).await.unwrap();
    assert_eq!(recording.len(), 4);
}
