//! What a client sees when things go wrong, and what happened behind its back.

use etcd_mvcc::{
    Batch, ClusterId, Commit, CommitTxn, Expect, FailureClass, Guard, Key, KeyRange, Op,
    PrimaryRevision, ReadHead, ReadRange, Revision, StandbyRevision, Txn, Value, WatchRange,
    WatchStream,
};
use etcd_sim::{Fault, Faults, SimPrimary, SimStandby, SimStream};
use futures::FutureExt;
use futures::executor::block_on;

fn primary() -> SimPrimary {
    SimPrimary::new(ClusterId::new(1))
}

fn at(raw: i64) -> PrimaryRevision {
    PrimaryRevision::new(raw)
}

fn first_write() -> Txn {
    let checkpoint = Key::from("/checkpoint");
    Txn {
        guard: Guard(vec![(checkpoint.clone(), Expect::Absent)]),
        writes: vec![],
        own: vec![Op::Put { key: checkpoint, value: Value::from("1") }],
    }
}

fn watch(primary: &SimPrimary, from: i64) -> SimStream<PrimaryRevision> {
    block_on(primary.watch(KeyRange::prefix(b"a"), at(from))).unwrap()
}

fn revisions(batch: &Batch<PrimaryRevision>) -> Vec<i64> {
    batch.groups.iter().map(|group| group.revision.get()).collect()
}

#[test]
fn a_commit_that_was_lost_left_no_trace() {
    let standby = SimStandby::new(ClusterId::new(2));
    standby.inject(Fault::CommitLost);
    assert!(block_on(standby.commit(first_write())).unwrap_err().outcome_unknown);
    standby.inject(Fault::CommitFails);
    assert!(!block_on(standby.commit(first_write())).unwrap_err().outcome_unknown);
    assert_eq!(standby.with(|model| model.revision()), StandbyRevision::new(1));
}

#[test]
fn a_delayed_commit_lands_when_told_and_meets_its_guard_then() {
    let standby = SimStandby::new(ClusterId::new(2));
    for _ in 0..2 {
        standby.inject(Fault::CommitDelayed);
        assert!(block_on(standby.commit(first_write())).unwrap_err().outcome_unknown);
    }
    assert_eq!(standby.with(|model| model.revision()), StandbyRevision::new(1));
    assert!(matches!(standby.land_delayed(), Some(Ok(Commit::Done(_)))));
    assert_eq!(standby.land_delayed(), Some(Ok(Commit::Refused)));
    assert_eq!(standby.land_delayed(), None);
}

#[test]
fn a_cluster_that_is_away_refuses_everything_and_ends_its_watches() {
    let standby = SimStandby::new(ClusterId::new(2));
    let mut stream = block_on(standby.watch(KeyRange::all(), StandbyRevision::new(1))).unwrap();
    standby.set_away(true);
    assert_eq!(block_on(standby.head()).unwrap_err().class, FailureClass::Retry);
    assert!(block_on(standby.read_keys(&[], None)).is_err());
    assert!(!block_on(standby.commit(first_write())).unwrap_err().outcome_unknown);
    assert!(block_on(stream.next()).is_err());
    standby.set_away(false);
    assert!(block_on(stream.next()).is_err(), "an ended watch stays ended");
    assert!(block_on(standby.commit(first_write())).is_ok());
}

#[test]
fn a_watch_waits_for_changes_of_its_range_and_for_progress() {
    let primary = primary();
    let mut stream = watch(&primary, 1);
    assert!(stream.next().now_or_never().is_none());
    primary.with(|model| model.put("b", "1")).unwrap();
    assert!(stream.next().now_or_never().is_none());
    primary.with(|model| model.put("a", "1")).unwrap();
    let batch = block_on(stream.next()).unwrap();
    assert_eq!((revisions(&batch), batch.position), (vec![3], at(3)));
    primary.with(|model| model.put("b", "2")).unwrap();
    primary.send_progress();
    let batch = block_on(stream.next()).unwrap();
    assert_eq!((revisions(&batch), batch.position), (vec![], at(4)));
    assert!(stream.next().now_or_never().is_none());
}

#[test]
fn a_watch_that_compaction_overtakes_says_so() {
    let primary = primary();
    let mut stream = watch(&primary, 2);
    primary.with(|model| {
        model.put("a", "1").unwrap();
        model.put("a", "2").unwrap();
        model.compact(at(3)).unwrap();
    });
    assert_eq!(block_on(stream.next()).unwrap_err().class, FailureClass::Resync);
}

#[test]
fn a_watch_from_the_next_revision_opens_and_one_from_beyond_does_not() {
    let primary = primary();
    assert!(block_on(primary.watch(KeyRange::all(), at(2))).is_ok());
    let refused = block_on(primary.watch(KeyRange::all(), at(3))).unwrap_err();
    assert_eq!(refused.class, FailureClass::Retry);
}

#[test]
fn a_watch_ends_when_the_history_is_replaced() {
    let primary = primary();
    let snapshot = primary.with(|model| model.snapshot());
    let mut stream = watch(&primary, 1);
    primary.with(|model| model.restore(snapshot));
    assert_eq!(block_on(stream.next()).unwrap_err().class, FailureClass::Retry);
}

#[test]
fn a_watch_that_repeats_itself_goes_back_but_never_before_its_start() {
    let primary = primary();
    for _ in 0..9 {
        primary.with(|model| model.put("a", "1")).unwrap();
    }
    let mut stream = watch(&primary, 9);
    assert_eq!(revisions(&block_on(stream.next()).unwrap()), [9, 10]);
    let mut again = std::collections::BTreeSet::new();
    for _ in 0..20 {
        primary.inject(Fault::WatchRepeats);
        again.insert(revisions(&block_on(stream.next()).unwrap()));
    }
    assert_eq!(again.into_iter().collect::<Vec<_>>(), [vec![9, 10], vec![10]]);
}

/// Which of 200 calls fail.
fn trace(seed: u64) -> Vec<bool> {
    let primary = primary();
    primary.set_faults(Faults { read_fails: 300, ..Faults::default() }, seed);
    (0..200).map(|_| block_on(primary.head()).is_err()).collect()
}

#[test]
fn a_seed_decides_which_calls_fail() {
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
    let failed = trace(1).into_iter().filter(|failed| *failed).count();
    assert!((30..90).contains(&failed), "{failed} of 200");
}
